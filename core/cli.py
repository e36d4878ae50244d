"""Commands from typed functions; nothing heavy is imported before a command is chosen."""

import argparse
import importlib
import json
import logging
import re
import sys
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.metadata import version
from inspect import Parameter, signature
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from core.plain import plain

PACKAGE = "recurrent-suite"


def run(
    name: str,
    about: str,
    verbs: Mapping[str, tuple[str, str]],
    arguments: Sequence[str] | None = None,
) -> NoReturn:
    """Parse the command line, call the verb's function and exit.

    Exit codes: 0 done, 2 misuse or bad data (one line on standard error), 130 interrupted.

    Args:
        name: The console script.
        about: One sentence for `--help`.
        verbs: Function as `module:function` and one line of help, by verb.
        arguments: Instead of the process's own.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        _print_help(name, about, verbs)
        sys.exit(0 if words else 2)
    if words[0] == "--version":
        print(f"{name} {version(PACKAGE)}")
        sys.exit(0)
    if words[0] not in verbs:
        _fail(name, f"unknown command {words[0]!r}; choose one of {', '.join(verbs)}")
    guarded(name, lambda: _run_verb(name, words[0], verbs[words[0]], words[1:]))


def guarded(name: str, action: Callable[[], None]) -> NoReturn:
    """Do something and exit with the codes of `run`: what the user can mend is told in one line."""
    try:
        action()
    except (ValueError, OSError) as error:
        _fail(name, _one_line(error))
    except KeyboardInterrupt:
        _fail(name, "interrupted", code=130)
    sys.exit(0)


def call(function: Callable[..., Any], words: Sequence[str], prog: str) -> Any:
    """Call a typed function with arguments as they stand on a command line; give its result.

    Args:
        function: Its signature and docstring make the options and their help.
        words: Such as `["--config", "small.yaml", "--seeds", "1"]`.
        prog: The command, for help and errors.
    """
    return function(**_parse(function, words, prog, "")[0])


def _run_verb(name: str, verb: str, entry: tuple[str, str], words: Sequence[str]) -> None:
    """Run one verb; what it returns is printed as JSON where `--json` is given."""
    target, about = entry
    module, function_name = target.split(":")
    function = getattr(importlib.import_module(module), function_name)
    options, as_json = _parse(function, words, f"{name} {verb}", about)
    result = function(**options)
    if as_json:
        print(json.dumps(plain(result), ensure_ascii=False, allow_nan=False))
    elif result is not None and hasattr(function, "show"):
        print(function.show(result))


def _parse(
    function: Callable[..., Any], words: Sequence[str], prog: str, about: str
) -> tuple[dict[str, Any], bool]:
    """The function's arguments, and whether `--json` is among the words."""
    from jsonargparse import ActionConfigFile, ArgumentParser

    class OneLineParser(ArgumentParser):
        """jsonargparse, with errors of one line."""

        def error(self, message: str, ex: Exception | None = None) -> NoReturn:
            _fail(prog, _one_line(ValueError(message)) + f"; see `{prog} --help`")

    quiet_libraries()
    parser = OneLineParser(prog=prog, description=about)
    parser.add_argument("--config", action=ActionConfigFile, help="YAML file of options")
    named = getattr(function, "positional", "")
    if named:
        _add_positional(parser, function, named)
    parser.add_function_arguments(function, skip={named})
    if getattr(function, "prints_json", False):
        parser.add_argument(
            "--json", action="store_true", help="one JSON object on standard output"
        )
    for word, after in pairwise([*words, ""]):
        if word == "--config" or word.startswith("--config="):
            _check_config(Path(after if word == "--config" else word.split("=", 1)[1]))
    flags = {f"--{p.name}" for p in signature(function).parameters.values() if p.annotation is bool}
    options = parser.parse_args(_with_values(words, flags))
    as_json = bool(options.pop("json", False))
    options.pop("config", None)
    return vars(parser.instantiate_classes(options)), as_json


def _add_positional(parser: Any, function: Callable[..., Any], name: str) -> None:
    """Add one text argument without a name; its help is the docstring's."""
    from docstring_parser import parse

    default = signature(function).parameters[name].default
    told = parse(function.__doc__ or "").params
    words = next((p.description for p in told if p.arg_name == name), None)
    is_needed = default is Parameter.empty
    optional = {} if is_needed else {"nargs": "?", "default": default}
    parser.add_argument(name, type=str, help=words, **optional)


def _check_config(path: Path) -> None:
    """Refuse what is no YAML table by the file's name, which jsonargparse leaves out."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not YAML ({error}); correct the file") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: a table of options is expected, such as `model: {{cell: gru}}`")


def _with_values(words: Sequence[str], flags: Collection[str]) -> list[str]:
    """`--resume` alone means `--resume=true`; jsonargparse wants the value."""
    following = [*words[1:], ""]
    return [
        f"{word}=true" if word in flags and after not in ("true", "false") else word
        for word, after in zip(words, following, strict=False)
    ]


def verb(show: Callable[[Any], str], positional: str = "") -> Callable[[Any], Any]:
    """Mark a function whose result is printed: as JSON with `--json`, else as `show` has it.

    Args:
        show: Turns the result into text.
        positional: The argument, a text, that is given without its name; where the function has a
            default for it, it may be left out.
    """

    def mark(function: Any) -> Any:
        function.prints_json = True
        function.show = show
        function.positional = positional
        return function

    return mark


def quiet_libraries() -> None:
    """Send the log to standard error, without what a user cannot act on."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in (
        "pytorch_lightning",
        "datasets",
        "fsspec",
        "httpx",
        "yfinance",
        "urllib3",
        "huggingface_hub",
    ):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*but have no `val_dataloader`.*")
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
    warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
    warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
    warnings.filterwarnings("ignore", message=".*tasks which were still being processed.*")


def _one_line(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"{error.filename}: no such file or folder; check the path"
    text = re.sub(r"Expected a typing.Literal\[(.*?)\]", r"choose one of \1", str(error))
    return " ".join(text.split())


def _fail(name: str, message: str, code: int = 2) -> NoReturn:
    print(f"{name}: {message}", file=sys.stderr)
    sys.exit(code)


def _print_help(name: str, about: str, verbs: Mapping[str, tuple[str, str]]) -> None:
    width = max(len(word) for word in verbs)
    parser = argparse.ArgumentParser(prog=name, description=about, add_help=False)
    print(f"usage: {parser.prog} COMMAND [options]\n\n{about}\n\ncommands:")
    for word, (_, line) in verbs.items():
        print(f"  {word:<{width}}  {line}")
    print(f"\n`{name} COMMAND --help` shows a command's options; --version the version.")
