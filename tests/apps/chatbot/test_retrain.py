import json

from apps.chatbot.datamodule import ChatDataModule
from core.files import file_hash
from core.nn.seq2seq import Seq2Seq
from core.runs import load_run
from data.dialogues import PARTS
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


def test_dialogues_that_the_run_knows_already_change_nothing(chat, command):
    runs = sorted(chat.run.parent.iterdir())
    result = command("chatbot", "retrain", "--run", chat.run, "--data", chat.data, "--json")
    assert result.code == 0, result.err
    answer = json.loads(result.out)
    assert not answer["promoted"]
    assert "0 dialogues are new" in answer["reason"]
    assert answer["run"] == str(chat.run.resolve())
    assert sorted(chat.run.parent.iterdir()) == runs


def write_table(path, word, count=40):
    """Pairs of a question and an answer, a row each; ids are the rows."""
    things = ("kettle", "phone", "lamp", "chair")
    rows = [f"where is {word} {number} {things[number % 4]}" for number in range(count)]
    path.write_text("question,answer\n" + "".join(f"{row},{row} is here\n" for row in rows))
    return path


def test_a_table_of_new_rows_under_the_same_name_is_not_mistaken_for_the_old_one(
    tmp_path, command, caplog
):
    data = write_table(tmp_path / "week.csv", "old")
    first, second = tmp_path / "runs" / "first", tmp_path / "runs" / "second"
    words = ["--data", data, "--run", first, "--text.test_share", "0.3", *TINY_CHAT]
    assert command("chatbot", "train", *words).code == 0
    write_table(data, "new")
    words = ["--data", data, "--run", first, "--out", second, "--epochs", 1]
    assert command("chatbot", "retrain", *words).code == 0
    module = ChatDataModule.from_run(load_run(second, "chatbot"))
    ids = [dialogue.dialogue_id for part in PARTS for dialogue in module.dialogues(part)]
    assert len(ids) == len(set(ids)) == 80
    result = command("chatbot", "evaluate", "--run", second, "--json")
    assert result.code == 0, result.err
    scored = json.loads(result.out)
    test = list(module.dialogues("test"))
    assert scored["num_dialogues"] == len(test)
    assert {one["question"] for one in scored["worst"]} <= {d.opening for d in test}
    assert "gone or changed" in caplog.text
