import json

from core.nn.seq2seq import Seq2Seq
from core.runs import file_hash
from tests.conftest import TINY_CHAT, write_dialogues


def test_new_dialogues_make_a_new_run_and_leave_the_old_one_alone(tmp_path, command):
    data = write_dialogues(tmp_path / "old.jsonl")
    run = tmp_path / "runs" / "old"
    assert command("chatbot", "train", "--data", data, "--run", run, *TINY_CHAT).code == 0
    before = {p: file_hash(p) for p in run.rglob("*") if p.is_file()}
    new = write_dialogues(tmp_path / "new.jsonl", seed=1, item="parcel")
    words = ["--run", run, "--data", new, "--epochs", 3, "--learning_rate", 0.01, "--json"]
    result = command("chatbot", "retrain", *words)
    assert result.code == 0, result.err
    answer = json.loads(result.out)
    assert answer.keys() >= {"old", "new", "promoted", "reason", "run"}
    assert {p: file_hash(p) for p in run.rglob("*") if p.is_file()} == before
    champion = (tmp_path / "runs" / "champion").resolve()
    assert (champion == (tmp_path / "runs" / answer["run"]).resolve()) == answer["promoted"]
    assert command("chatbot", "reply", "hello", "--run", answer["run"]).code == 0


def test_retraining_trains_with_dropout(chat, tmp_path, command, monkeypatch):
    modes = []
    forward = Seq2Seq.forward

    def watched(self, batch):
        modes.append(self.training)
        return forward(self, batch)

    monkeypatch.setattr(Seq2Seq, "forward", watched)
    new = write_dialogues(tmp_path / "new.jsonl", seed=2, item="parcel")
    words = ["--run", chat.run, "--data", new, "--epochs", 1, "--out", tmp_path / "out"]
    assert command("chatbot", "retrain", *words).code == 0
    assert True in modes


def test_dialogues_that_the_run_knows_already_are_refused(chat, command):
    result = command("chatbot", "retrain", "--run", chat.run, "--data", chat.data)
    assert result.code == 2
    assert "0 dialogues are new" in result.err
