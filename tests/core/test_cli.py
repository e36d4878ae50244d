import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from core.cli import call, run

COMMANDS = '''
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.cli import verb


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large.

    Attributes:
        width: At least 1.
        kind: One of two.
    """

    width: int = 3
    kind: Literal["round", "square"] = "round"

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width={self.width} must be at least 1")


def build(path: Path = Path("out"), *, size: Size = Size(width=4), resume: bool = False) -> None:
    """Print what was understood.

    Args:
        path: Where.
        size: How large.
        resume: Go on.
    """
    print(path, size.width, size.kind, resume)


@verb(show=lambda result: f"mean {result['mean']}")
def score(seeds: int = 1) -> dict:
    """Score.

    Args:
        seeds: How many.
    """
    print_to_stderr("working")
    return {"mean": 0.5, "bleu": float("nan"), "rows": [(seeds, float("inf"))], "text": "né"}


@verb(show=str, positional="text")
def answer(text: str, loud: bool = False) -> dict:
    """Answer.

    Args:
        text: What was said.
        loud: In capitals.
    """
    return {"text": text.upper() if loud else text}


def print_to_stderr(text: str) -> None:
    import sys

    print(text, file=sys.stderr)


def fail(kind: str = "value") -> None:
    """Fail.

    Args:
        kind: How.
    """
    if kind == "value":
        raise ValueError("rows=3 is too few;\\n  add data")
    if kind == "file":
        open("/nowhere/at/all")
    if kind == "os":
        raise PermissionError(13, "Permission denied", "/some/file")
    if kind == "interrupt":
        raise KeyboardInterrupt
    1 / 0
'''


class Outcome(NamedTuple):
    code: Any
    out: str
    err: str


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """A command line over the functions above."""
    (tmp_path / "commands_of_the_test.py").write_text(COMMANDS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "commands_of_the_test", raising=False)
    verbs = {
        name: (f"commands_of_the_test:{name}", f"the verb {name}")
        for name in ("build", "score", "answer", "fail")
    }

    def command(*words: str) -> Outcome:
        with pytest.raises(SystemExit) as stop:
            run("tool", "Does things.", verbs, words)
        return Outcome(stop.value.code, *capsys.readouterr())

    return command


def test_options_become_typed_arguments(command: Any) -> None:
    words = ("--path", "a/b", "--size.width", "7", "--size.kind=square", "--resume=true")
    assert command("build", *words) == Outcome(0, "a/b 7 square True\n", "")


def test_what_is_left_out_has_the_functions_default(command: Any) -> None:
    assert command("build").out == "out 4 round False\n"
    assert command("build", "--size.kind", "square").out == "out 4 square False\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--resume"], True),
        (["--resume", "--path", "out"], True),
        (["--path", "out", "--resume"], True),
        (["--resume=true"], True),
        (["--resume", "true"], True),
        (["--resume=false"], False),
        (["--resume", "false"], False),
    ],
)
def test_a_flag_works_alone_and_with_a_value(
    command: Any, words: list[str], expected: bool
) -> None:
    assert command("build", *words) == Outcome(0, f"out 4 round {expected}\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fail"], "rows=3 is too few; add data"),
        (["fail", "--kind", "file"], "/nowhere/at/all: no such file or folder"),
        (["fail", "--kind", "os"], "/some/file: Permission denied; check who"),
        (["bild"], "unknown command 'bild'; choose one of build, score, answer, fail"),
        (["build", "--pth", "x"], "--pth"),
        (["build", "--size.wdth", "3"], "size.wdth"),
        (["build", "--size.width", "three"], "three"),
        (["build", "--size.width", "0"], "width=0 must be at least 1"),
        (["build", "--size.kind", "oval"], "oval"),
        (["build", "--size.kind", "oval"], "round"),
        (["build", "--resume=maybe"], "maybe"),
        (["build", "--path"], "--path"),
        (["build", "surplus"], "surplus"),
        (["build", "--json"], "--json"),
        (["build", "--config", "none.yaml"], "none.yaml"),
        (["answer"], "text"),
    ],
)
def test_misuse_is_one_line_on_standard_error_and_exit_2(
    command: Any, words: list[str], said: str
) -> None:
    outcome = command(*words)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("tool")
    assert said in outcome.err
    assert "Traceback" not in outcome.err


def test_an_interrupt_is_exit_130(command: Any) -> None:
    assert command("fail", "--kind", "interrupt") == Outcome(130, "", "tool: interrupted\n")


def test_a_bug_of_the_program_keeps_its_traceback(command: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        command("fail", "--kind", "bug")


def test_json_is_one_object_alone_on_standard_output(command: Any) -> None:
    outcome = command("score", "--json", "--seeds", "2")
    assert outcome.code == 0
    assert outcome.err == "working\n"
    assert outcome.out.count("\n") == 1
    expected = {"mean": 0.5, "bleu": None, "rows": [[2, None]], "text": "né"}
    assert json.loads(outcome.out) == expected


def test_without_json_the_result_is_shown_to_people(command: Any) -> None:
    assert command("score").out == "mean 0.5\n"


def test_a_positional_argument_needs_no_name(command: Any) -> None:
    assert json.loads(command("answer", "where is it?", "--json").out) == {"text": "where is it?"}
    assert json.loads(command("answer", "--loud", "hi", "--json").out) == {"text": "HI"}
    assert json.loads(command("answer", "hi", "--json", "--loud").out) == {"text": "HI"}


def test_a_yaml_file_gives_options_and_the_command_line_wins(command: Any, tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text("size:\n  width: 9\n  kind: square\nresume: true\n")
    assert command("build", "--config", str(file)).out == "out 9 square True\n"
    found = command("build", "--config", str(file), "--size.width", "5", "--resume=false")
    assert found.out == "out 5 square False\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("size:\n  widht: 9\n", "widht"),
        ("sise:\n  width: 9\n", "sise"),
        ("size:\n  width: nine\n", "nine"),
        ("size: [\n", "small.yaml"),
        ("just words\n", "small.yaml"),
    ],
)
def test_a_wrong_yaml_file_is_one_line_that_names_what_is_wrong(
    command: Any, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(text)
    outcome = command("build", "--config", str(file))
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert said in outcome.err


def test_the_printed_config_can_be_read_again(command: Any, tmp_path: Path) -> None:
    printed = command("build", "--size.width", "8", "--print_config")
    assert printed.code == 0
    file = tmp_path / "printed.yaml"
    file.write_text(printed.out)
    assert command("build", "--config", str(file)).out == "out 8 round False\n"


def test_help_lists_every_verb_and_a_verbs_help_its_options(command: Any) -> None:
    for word in ("--help", "-h"):
        outcome = command(word)
        assert (outcome.code, outcome.err) == (0, "")
        for name in ("build", "score", "answer", "fail"):
            assert f"{name}  " in outcome.out
            assert f"the verb {name}" in outcome.out
    outcome = command("build", "--help")
    assert outcome.code == 0
    for said in ("--path", "--size.width", "At least 1.", "--resume", "--config", "--print_config"):
        assert said in outcome.out


def test_no_words_at_all_show_the_help_as_misuse(command: Any) -> None:
    outcome = command()
    assert outcome.code == 2
    assert "the verb build" in outcome.out


def test_the_version_is_that_of_the_package(command: Any) -> None:
    from importlib.metadata import version

    assert command("--version") == Outcome(0, f"tool {version('recurrent-suite')}\n", "")


def test_call_gives_the_result_of_a_function() -> None:
    def double(number: int, times: int = 2) -> int:
        return number * times

    assert call(double, ["--number", "4"], "tool") == 8
    assert call(double, ["--number", "4", "--times", "3"], "tool") == 12
