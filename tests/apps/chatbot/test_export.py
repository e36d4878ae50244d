import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from apps.chatbot import export as exporting
from apps.chatbot.answers import Answers
from apps.chatbot.datamodule import ChatDataModule
from core.files import file_hash
from core.runs import load_run, write_manifest
from data.dialogues import Turn
from tests.conftest import TINY_CHAT

QUESTIONS = ["where is my order 402-7781923-1120034?", "thank you", "a", "🙂"]


@pytest.fixture
def run(chat, tmp_path):
    """A copy of the tiny run that a test may write into."""
    return shutil.copytree(chat.run, tmp_path / "run")


def replies(path, engine):
    answers = Answers(path, engine=engine)
    return [answers([Turn("user", question)]) for question in QUESTIONS]


def test_both_engines_give_the_same_replies(run):
    for expected, found in zip(replies(run, "torch"), replies(run, "onnx"), strict=True):
        assert found["text"] == expected["text"]
        assert found["confidence"] == pytest.approx(expected["confidence"], abs=1e-5)
        for wanted, given in zip(expected["attention"], found["attention"], strict=True):
            assert given["token"] == wanted["token"]
            assert given["weights"] == pytest.approx(wanted["weights"], abs=1e-5)


def test_export_writes_checked_graphs_and_copies_them(run, command, tmp_path):
    result = command("chatbot", "export", "--run", run, "--out", tmp_path / "out", "--json")
    assert result.code == 0, result.err
    told = json.loads(result.out)
    assert told["max_difference"] < 1e-4
    assert told["files"].keys() >= {"encoder.onnx", "decoder_step.onnx"}
    for name, size in told["files"].items():
        assert (run / "onnx" / name).stat().st_size == size
        assert file_hash(run / "onnx" / name) == file_hash(tmp_path / "out" / name)
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(told["files"])
    for kind in ("float", "int8"):
        assert 0 <= told["int8"][f"chrf_{kind}"] <= 100
    assert told["int8"]["kept"] is ("encoder.int8.onnx" in told["files"])


@pytest.mark.parametrize(("allowed", "kept"), [(1000.0, True), (-1000.0, False)])
def test_int8_is_kept_only_where_it_loses_little_chrf(run, command, monkeypatch, allowed, kept):
    monkeypatch.setattr(exporting, "MAX_CHRF_LOSS", allowed)
    result = command("chatbot", "export", "--run", run)
    assert result.code == 0, result.err
    assert f"int8: {'kept' if kept else 'left out'}: chrF" in result.out
    for name in ("encoder.int8.onnx", "decoder_step.int8.onnx"):
        assert (run / "onnx" / name).exists() is kept
    answered = command("chatbot", "reply", "where is my lamp", "--run", run, "--engine", "int8")
    assert answered.code == (0 if kept else 2)
    assert answered.out.strip() if kept else "holds no int8 graphs" in answered.err


def test_int8_is_judged_by_replies_from_all_over_the_validation_part(run, command, monkeypatch):
    monkeypatch.setattr(exporting, "MAX_PAIRS", 2)
    judged = []

    def watched(bot, folder, pairs):
        judged.extend(pairs)
        return {"kept": False, "reason": ""}

    monkeypatch.setattr(exporting, "add_int8", watched)
    assert command("chatbot", "export", "--run", run).code == 0
    every = ChatDataModule.from_run(load_run(run, "chatbot")).pairs("validation")
    assert len(every) > 3
    ids = [pair.dialogue.dialogue_id for pair in (every[0], every[len(every) // 2])]
    assert [pair.dialogue.dialogue_id for pair in judged] == ids
    assert judged[0].dialogue.values["<order_1>"] == "<order_1>"


def test_graphs_are_read_again_and_made_anew_only_where_they_do_not_belong(run):
    replies(run, "onnx")
    graph, note = run / "onnx" / "decoder_step.onnx", run / "onnx" / "export.json"
    made = graph.stat().st_mtime_ns
    replies(run, "onnx")
    assert graph.stat().st_mtime_ns == made
    for spoil in (
        lambda: graph.write_bytes(b"cut off"),
        lambda: note.write_text(json.dumps({"weights_sha256": "of another run", "files": {}})),
        lambda: note.write_text("[]"),
        note.unlink,
    ):
        spoil()
        assert [r["text"] for r in replies(run, "onnx")] == [
            r["text"] for r in replies(run, "torch")
        ]
        assert json.loads(note.read_text())["files"][graph.name] == file_hash(graph)


def test_graphs_of_other_weights_are_made_anew(run):
    replies(run, "onnx")
    path = run / "model.safetensors"
    weights = load_file(path)
    save_file({name: torch.flip(value, [0]) for name, value in weights.items()}, path)
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["files"][path.name] = file_hash(path)
    write_manifest(run, manifest)
    assert [r["text"] for r in replies(run, "onnx")] == [r["text"] for r in replies(run, "torch")]
    note = json.loads((run / "onnx" / "export.json").read_text())
    assert note["weights_sha256"] == file_hash(path)


@pytest.mark.parametrize("verb", [["export"], ["reply", "hello", "--engine", "onnx"]])
def test_a_run_that_cannot_be_written_is_told_in_one_line(run, command, verb):
    (run / "onnx").write_text("a file where the folder belongs")
    result = command("chatbot", *verb, "--run", run)
    assert result.code == 2
    assert "onnx: cannot be written" in result.err.splitlines()[-1]
    assert "Traceback" not in result.err


def test_a_cell_that_onnx_lacks_is_refused_and_torch_still_answers(chat, command, tmp_path):
    words = ["--data", chat.data, "--run", tmp_path / "run", *TINY_CHAT, "--model.cell=mingru"]
    assert command("chatbot", "train", *words, "--trainer.max_epochs=1").code == 0
    result = command("chatbot", "reply", "hello", "--run", tmp_path / "run", "--engine", "onnx")
    assert result.code == 2
    assert "cell='mingru'" in result.err.splitlines()[-1]
    assert command("chatbot", "reply", "hello", "--run", tmp_path / "run").code == 0


def test_evaluate_and_chat_take_the_engine(run, command, monkeypatch):
    import io

    result = command("chatbot", "evaluate", "--run", run, "--engine", "onnx", "--json")
    expected = command("chatbot", "evaluate", "--run", run, "--json")
    for key in ("bleu", "chrf", "perplexity", "handoff_rate"):
        assert json.loads(result.out)[key] == pytest.approx(json.loads(expected.out)[key])
    monkeypatch.setattr("sys.stdin", io.StringIO("where is my lamp\n\n"))
    assert command("chatbot", "chat", "--run", run, "--engine", "onnx").out.strip()
    assert command("chatbot", "reply", "hi", "--run", run, "--engine", "tflite").code == 2
