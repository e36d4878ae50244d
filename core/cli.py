"""Commands from typed functions; nothing heavy is imported before a command is chosen."""

import argparse
import errno
import importlib
import json
import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from inspect import Parameter, signature
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from core.logs import last_words, start_log
from core.plain import plain, yaml_table

PACKAGE = "recurrent-suite"
_DISK = {
    errno.ENOSPC: "free some space; a training that was begun goes on with --resume",
    errno.EDQUOT: "free some of your quota; a training that was begun goes on with --resume",
    errno.EROFS: "choose a folder that you may write to",
    errno.EACCES: "check who may read and write it",
}
# What jsonargparse lets through of what options can be: 10^400 for a float, a list for a key.
_NOT_PARSED = (TypeError, AttributeError, LookupError, OverflowError, RecursionError)


def run(
    name: str,
    about: str,
    verbs: Mapping[str, tuple[str, str]],
    arguments: Sequence[str] | None = None,
) -> NoReturn:
    """Parse the command line, call the verb's function and exit.

    Exit codes: 0 done, 2 misuse or bad data (one line on standard error), 130 interrupted, 141
    whoever read the output went away.

    Args:
        name: The console script.
        about: One sentence for `--help`.
        verbs: Function as `module:function` and one line of help, by verb.
        arguments: Instead of the process's own.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words:
        _print_help(name, about, verbs)
        sys.exit(2)
    if words[0] in ("-h", "--help"):
        guarded(name, lambda: _print_help(name, about, verbs))
    if words[0] == "--version":
        print(f"{name} {version(PACKAGE)}")
        sys.exit(0)
    if words[0] not in verbs:
        _fail(name, f"unknown command {words[0]!r}; choose one of {', '.join(verbs)}")
    guarded(name, lambda: _run_verb(name, words[0], verbs[words[0]], words[1:]))


def guarded(name: str, action: Callable[[], None]) -> NoReturn:
    """Do something and exit with the codes of `run`: what the user can mend is told in one line."""
    try:
        _to_the_last_letter(action)
    except BrokenPipeError:  # `head` has read enough: nothing is left to say, at the exit neither
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (ValueError, OSError) as error:
        _fail(name, _one_line(error))
    except KeyboardInterrupt as stop:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is ending already
        _fail(name, f"interrupted: {stop}" if str(stop) else "interrupted", code=130)
    sys.exit(0)


def _to_the_last_letter(action: Callable[[], None]) -> None:
    """Do something and write out what it printed: at the exit nobody could tell that it failed."""
    try:
        action()
    except SystemExit:
        sys.stdout.flush()
        raise
    sys.stdout.flush()


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
    if code := getattr(function, "exit_code", lambda _: 0)(result):
        sys.exit(code)


def _parse(
    function: Callable[..., Any], words: Sequence[str], prog: str, about: str
) -> tuple[dict[str, Any], bool]:
    """The function's arguments, and whether `--json` is among the words."""
    from jsonargparse import ActionConfigFile, ArgumentParser, DefaultHelpFormatter

    class Formatter(argparse.RawDescriptionHelpFormatter, DefaultHelpFormatter):
        """jsonargparse's, which keeps the lines of what stands before and after the options."""

    class OneLineParser(ArgumentParser):
        """jsonargparse, with errors of one line."""

        def error(self, message: str, ex: Exception | None = None) -> NoReturn:
            _fail(prog, _one_line(ValueError(message)) + f"; see `{prog} --help`")

    quiet_libraries(prog)
    parser = OneLineParser(
        prog=prog,
        description=about,
        epilog=getattr(function, "after", ""),
        formatter_class=Formatter,
    )
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
            path = Path(after if word == "--config" else word.split("=", 1)[1])
            _check_config(path, _sections(function))
    flags = {f"--{p.name}" for p in signature(function).parameters.values() if p.annotation is bool}
    try:
        options = parser.parse_args(_with_values(words, flags))
    except _NOT_PARSED as error:
        raise ValueError(f"an option of another kind than it must be ({error})") from None
    _check_none(function, options)
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


def _sections(function: Callable[..., Any]) -> dict[str, Any]:
    """The parameters that are dataclasses, with their defaults."""
    defaults = {name: given.default for name, given in signature(function).parameters.items()}
    return {name: default for name, default in defaults.items() if is_dataclass(default)}


def _check_config(path: Path, sections: Collection[str]) -> None:
    """Refuse by the file's name what jsonargparse would take for another file, or not name."""
    table = yaml_table(path)
    if "config" in table:
        raise ValueError(f"{path}: config is no option of a file; give --config once for each")
    for name in sections:
        if not isinstance(table.get(name, {}), dict):
            raise ValueError(f"{path}: {name} must be a table of options, such as `{name}: {{}}`")


def _check_none(function: Callable[..., Any], options: Any) -> None:
    """Refuse `null` where there has to be something; jsonargparse lets it through."""
    sections = _sections(function)
    defaults = {
        name: parameter.default
        for name, parameter in signature(function).parameters.items()
        if name not in sections
    }
    for name, section in sections.items():
        if not hasattr(options.get(name), "keys"):
            raise ValueError(f"{name}={options.get(name)!r} must be a table of options")
        defaults |= {f"{name}.{f.name}": getattr(section, f.name) for f in fields(section)}
    for name, default in defaults.items():
        if options.get(name) is None and default not in (None, Parameter.empty):
            raise ValueError(f"{name}=null is no value; leave it out for {default!r}")


def _with_values(words: Sequence[str], flags: Collection[str]) -> list[str]:
    """`--resume` alone means `--resume=true`; jsonargparse wants the value."""
    following = [*words[1:], ""]
    return [
        f"{word}=true" if word in flags and after not in ("true", "false") else word
        for word, after in zip(words, following, strict=False)
    ]


def verb(
    show: Callable[[Any], str],
    positional: str = "",
    code: Callable[[Any], int] = lambda _: 0,
    after: str = "",
) -> Callable[[Any], Any]:
    """Mark a function whose result is printed: as JSON with `--json`, else as `show` has it.

    Args:
        show: Turns the result into text.
        positional: The argument, a text, that is given without its name; where the function has a
            default for it, it may be left out.
        code: The exit code of a result.
        after: Stands below the options in the help, its lines kept.
    """

    def mark(function: Any) -> Any:
        function.prints_json = True
        function.show = show
        function.positional = positional
        function.exit_code = code
        function.after = after
        return function

    return mark


def quiet_libraries(command: str = "") -> None:
    """Send the log to standard error, without what a user cannot act on.

    Args:
        command: Whose, such as `chatbot train`.
    """
    start_log(command)
    for noisy in (
        "pytorch_lightning",
        "lightning_fabric",
        "datasets",
        "fsspec",
        "httpx",
        "yfinance",
        "urllib3",
        "huggingface_hub",
        "kaleido",
        "choreographer",
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
    if isinstance(error, OSError) and error.errno in _DISK:
        return f"{error.filename or 'the disk'}: {error.strerror}; {_DISK[error.errno]}"
    text = re.sub(r"Expected a typing.Literal\[(.*?)\]", r"choose one of \1", str(error))
    return " ".join(text.split())


def _fail(name: str, message: str, code: int = 2) -> NoReturn:
    last_words(name, message, code)
    sys.exit(code)


def _print_help(name: str, about: str, verbs: Mapping[str, tuple[str, str]]) -> None:
    width = max(len(word) for word in verbs)
    parser = argparse.ArgumentParser(prog=name, description=about, add_help=False)
    print(f"usage: {parser.prog} COMMAND [options]\n\n{about}\n\ncommands:")
    for word, (_, line) in verbs.items():
        print(f"  {word:<{width}}  {line}")
    print(f"\n`{name} COMMAND --help` shows a command's options; --version the version.")
    print("LOG_FORMAT=json in the environment makes every line of the log one JSON object.")
