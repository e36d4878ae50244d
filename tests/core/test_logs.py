import json
import os
import subprocess
import sys

import pytest

from core.logs import last_words, shows_bars
from core.progress import progress

BUG = """
import sys, threading, warnings
from types import ModuleType

from core.cli import run

def work() -> None:
    '''Do what a bug does.'''
    warnings.warn("odd\\nnumbers")
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    raise LookupError("a bug")

sys.modules["bug"] = ModuleType("bug")
sys.modules["bug"].work = work
run("tool", "", {"work": ("bug:work", "")}, ["work"])
"""


def test_warnings_and_crashes_are_objects_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BUG],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LOG_FORMAT": "json"},
    )
    assert done.returncode == 1
    warned, in_thread, crashed = [json.loads(line) for line in done.stderr.splitlines()]
    assert warned["level"] == "warning"
    assert "odd\nnumbers" in warned["message"]
    assert in_thread["message"] == "ZeroDivisionError: division by zero"
    assert (crashed["level"], crashed["message"]) == ("critical", "LookupError: a bug")
    assert crashed["error"].startswith("Traceback")


def test_bars_are_drawn_for_people_by_the_first_process_alone(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert shows_bars()
    for name, value in (("LOG_FORMAT", "json"), ("LOCAL_RANK", "1")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert not shows_bars()
            with progress("work", 3) as advance:
                advance(3)
            assert capfd.readouterr().err == ""


def test_last_words_are_text_or_json(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    last_words("chatbot", "no data", 2)
    assert capfd.readouterr().err == "chatbot: no data\n"
    monkeypatch.setenv("LOG_FORMAT", "json")
    last_words("chatbot", "no data", 2)
    told = json.loads(capfd.readouterr().err)
    assert (told["message"], told["exit_code"], told["command"]) == ("no data", 2, "chatbot")
