import json

import pytest

from core.progress_file import VARIABLE, callbacks


def test_without_the_variable_nothing_is_written(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert callbacks() == []


@pytest.mark.slow
def test_a_training_tells_how_far_it_is(monkeypatch, tmp_path):
    from apps.chatbot.train import train
    from core.cli import call
    from tests.conftest import TINY_CHAT, write_dialogues

    path = tmp_path / "progress.json"
    monkeypatch.setenv(VARIABLE, str(path))
    monkeypatch.setattr("core.progress_file.EVERY", 0.0)
    data = write_dialogues(tmp_path / "dialogues.jsonl")
    call(train, [f"--data={data}", f"--run={tmp_path / 'run'}", *TINY_CHAT], "train")
    told = json.loads(path.read_text())
    assert (told["epoch"], told["epochs"]) == (2, 2)
    assert told["step"] == told["steps"] > 0
    assert told["train_loss"] > 0
    assert told["val_loss"] > 0
    assert told["seconds_left"] == 0
