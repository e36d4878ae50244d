import json

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from apps.chatbot.train import train
from core.cli import call
from core.runs import begin_run, load_run
from data.token_file import TokenFile
from tests.conftest import TINY_CHAT


def test_a_run_folder_holds_what_inference_needs(chat):
    names = {str(p.relative_to(chat.run)) for p in chat.run.rglob("*") if p.is_file()}
    assert {
        "config.yaml",
        "model.safetensors",
        "preprocessor/tokenizer.json",
        "preprocessor/confidence.json",
        "data/train.parquet",
        "data/validation.parquet",
        "data/test.parquet",
        "manifest.json",
        "metrics.json",
        "card.md",
        "data_report.json",
        "checkpoints/last.ckpt",
        "logs/metrics.csv",
    } <= names
    assert load_run(chat.run, "chatbot").config["model"]["cell"] == "lstm"
    assert (chat.run.parent / "champion").resolve() == chat.run.resolve()


def test_no_order_number_of_the_data_reaches_the_run_folder(chat):
    numbers = [
        word.encode()
        for line in chat.data.read_text().splitlines()
        for word in json.loads(line)["turns"][0]["text"].split()
        if word.startswith("402-")
    ]
    assert len(numbers) == 60
    for path in chat.run.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not any(number in content for number in numbers), path
    texts = pq.read_table(chat.run / "data" / "train.parquet").to_pylist()
    assert any("<order_1>" in turn["text"] for row in texts for turn in row["turns"])


def test_the_same_seed_gives_the_same_weights(chat, tmp_path):
    call(train, ["--data", str(chat.data), "--run", str(tmp_path / "again"), *TINY_CHAT], "train")
    ours, theirs = (load_file(p / "model.safetensors") for p in (chat.run, tmp_path / "again"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_resumed_training_reads_its_data_again_and_ends_with_the_same_weights(
    chat, tmp_path, command, monkeypatch
):
    words = ["--data", str(chat.data), "--run", str(tmp_path / "run"), *TINY_CHAT]
    read, drawn = TokenFile.batch, []

    def failing(self, rows):
        drawn.append(rows)
        if len(drawn) == 7:
            raise RuntimeError("power cut")
        return read(self, rows)

    monkeypatch.setattr(TokenFile, "batch", failing)
    with pytest.raises(RuntimeError, match="power cut"):
        call(train, words, "train")
    monkeypatch.setattr(TokenFile, "batch", read)
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()
    assert command("chatbot", "train", *words, "--resume").code == 0
    ours, theirs = (load_file(p / "model.safetensors") for p in (chat.run, tmp_path / "run"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_other_cells_train_and_answer(cell, chat, tmp_path, command):
    words = ["--data", chat.data, "--run", tmp_path / cell, *TINY_CHAT]
    assert command("chatbot", "train", *words, "--model.cell", cell).code == 0
    assert command("chatbot", "reply", "hello", "--run", tmp_path / cell).out.strip()


def test_a_finished_run_is_not_overwritten(chat, command):
    before = (chat.run / "model.safetensors").read_bytes()
    result = command("chatbot", "train", "--data", chat.data, "--run", chat.run, *TINY_CHAT)
    assert result.code == 2
    assert "holds a finished run already" in result.err
    assert (chat.run / "model.safetensors").read_bytes() == before


def test_an_unfinished_training_is_kept_and_resumed_with_its_own_options_alone(
    chat, tmp_path, command
):
    run = tmp_path / "run"
    words = ["--data", chat.data, "--run", run, *TINY_CHAT]
    assert "no training was begun" in command("chatbot", "train", *words, "--resume").err
    before = load_run(chat.run, "chatbot")
    config = before.config
    config["trainer"]["max_epochs"] = 7
    begin_run(run, config, before.manifest["source_sha256"])
    (run / "checkpoints").mkdir()
    assert "holds an unfinished training" in command("chatbot", "train", *words).err
    refused = command("chatbot", "train", *words, "--resume")
    assert refused.code == 2
    assert "trainer.max_epochs was 7 when the training began, is 2" in refused.err
    assert command("chatbot", "train", *words, "--trainer.max_epochs=7", "--resume").code == 0
    assert (run / "manifest.json").exists()
    assert not (run / "started.json").exists()
