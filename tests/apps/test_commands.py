"""What all commands do, tried on the apps."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from apps.chatbot import train as chatbot_training
from apps.stock_forecast import train as forecaster_training
from core.cli import call
from core.progress_file import VARIABLE
from tests.conftest import TINY_CHAT, write_dialogues
from tests.core.test_champions import three


def test_help_of_the_apps_is_given_before_anything_heavy_is_imported() -> None:
    code = (
        "import sys, apps.chatbot.__main__ as chatbot, apps.stock_forecast.__main__ as stock\n"
        "sys.argv[1:] = ['--help']\n"
        "for app in (chatbot, stock):\n"
        "    try:\n"
        "        app.main()\n"
        "    except SystemExit as stop:\n"
        "        assert stop.code == 0\n"
        "heavy = {'torch', 'pandas', 'pytorch_lightning', 'streamlit', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    for name in ("chatbot", "stock-forecast", "train", "reply", "forecast"):
        assert name in done.stdout


@pytest.mark.parametrize("words", ["--help", "train --help", "check --run nowhere --json"])
@pytest.mark.parametrize("command", ["-m apps.chatbot", "-u -m apps.chatbot"])
def test_a_reader_who_goes_away_is_no_error(command: str, words: str) -> None:
    line = f"(sleep .3; {sys.executable} {command} {words}; echo $? >&2) | head -c 0"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, env=buffered
    )
    assert "BrokenPipe" not in done.stderr
    code = {"train --help": "0"}  # argparse lets it go by itself
    assert done.stderr.splitlines()[-1] == code.get(words, "141")


def test_a_configuration_that_is_none_is_told_in_one_line(tmp_path: Path) -> None:
    def told(text: str) -> str:
        path = tmp_path / "c.yaml"
        path.write_text(text)
        with pytest.raises((ValueError, SystemExit)) as error:
            call(forecaster_training.train, ["--config", str(path)], "train")
        return str(error.value)

    assert "c.yaml: model must be a table of options" in told("model: null")
    assert "c.yaml: model must be a table of options" in told("model: 0.5")
    (tmp_path / "other.yaml").write_text("cell: gru")
    assert "c.yaml: model must be a table of options" in told(f"model: {tmp_path}/other.yaml")
    assert "c.yaml: config is no option of a file" in told(f"config: {tmp_path}/c.yaml")
    assert "windows.context_length=null is no value" in told("windows: {context_length: null}")
    assert "model.cell=null is no value" in told("model: {cell: null}")
    assert "data=null is no value" in told("data: null")
    assert "offline=null is no value" in told("offline: null")
    number = "1" + "0" * 400
    assert "an option of another kind" in told(f"optim: {{learning_rate: {number}}}")
    assert "hidden_size=1000000000 must lie between" in told("model: {hidden_size: 1000000000}")
    assert "num_layers=1000000000" in told("model: {num_layers: 1000000000}")
    assert "num_members=1000000000" in told("model: {num_members: 1000000000}")


def test_the_command_goes_back(tmp_path: Path, command) -> None:
    three(tmp_path)
    done = command("chatbot", "rollback", "--run", tmp_path / "champion", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == {"champion": str(tmp_path / "b"), "replaced": "c"}
    told = command("chatbot", "rollback", "--run", tmp_path / "a")
    assert "(before: b)" in told.out
    wrong = command("stock-forecast", "rollback", "--run", tmp_path / "b")
    assert wrong.code == 2
    assert "a run of chatbot, not of stock_forecast" in wrong.err


@pytest.mark.slow
def test_a_training_tells_how_far_it_is(monkeypatch, tmp_path):
    path = tmp_path / "progress.json"
    monkeypatch.setenv(VARIABLE, str(path))
    monkeypatch.setattr("core.progress_file.EVERY", 0.0)
    data = write_dialogues(tmp_path / "dialogues.jsonl")
    call(
        chatbot_training.train, [f"--data={data}", f"--run={tmp_path / 'run'}", *TINY_CHAT], "train"
    )
    told = json.loads(path.read_text())
    assert (told["epoch"], told["epochs"]) == (2, 2)
    assert told["step"] == told["steps"] > 0
    assert told["train_loss"] > 0
    assert told["val_loss"] > 0
    assert told["seconds_left"] == 0
