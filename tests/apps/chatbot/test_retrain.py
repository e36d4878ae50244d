import json
from types import SimpleNamespace

import pytest
from safetensors.torch import load_file

from apps.chatbot.datamodule import ChatDataModule
from apps.chatbot.retrain import retrain
from apps.chatbot.train import train
from core.champions import history
from core.cli import call
from core.files import file_hash
from core.nn.seq2seq import Seq2Seq
from core.plain import plain
from core.runs import load_run
from data.dialogues import PARTS
from data.sources import source_hash
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


BETTER = ["--epochs", 12, "--learning_rate", 0.02, "--json"]


@pytest.fixture(scope="module")
def retrained(tmp_path_factory):
    """A champion, and what retraining on other conversations made of it."""
    folder = tmp_path_factory.mktemp("retrained")
    data = write_dialogues(folder / "old.jsonl", 120)
    new = write_dialogues(folder / "new.jsonl", 120, seed=1, item="parcel")
    first, second = folder / "runs" / "first", folder / "runs" / "second"
    more = ["--trainer.max_epochs=12", "--optim.learning_rate=0.02"]
    call(train, ["--data", str(data), "--run", str(first), *TINY_CHAT, *more], "train")
    words = ["--run", first, "--data", new, "--out", second, "--margin", 3, *BETTER[:-1]]
    answer = call(retrain, [str(word) for word in words], "retrain")
    return SimpleNamespace(first=first, second=second, new=new, answer=answer)


def test_a_better_model_is_promoted_and_the_history_tells_why(retrained):
    assert retrained.answer["promoted"], retrained.answer["reason"]
    assert (retrained.first.parent / "champion").resolve() == retrained.second.resolve()
    entry = history(retrained.first.parent)[-1]
    assert (entry["run"], entry["replaced"]) == ("second", "first")
    assert entry["reason"] == retrained.answer["reason"]
    for side in ("old", "new"):
        assert entry["scores"][side]["new_data"]["chrf"] == pytest.approx(
            retrained.answer[side]["new_data"]["chrf"]
        )
    assert entry["source_sha256"] == source_hash(str(retrained.new))


def test_both_models_answer_the_same_frozen_hold_out(retrained):
    old, new = (
        ChatDataModule.from_run(load_run(run, "chatbot"))
        for run in (retrained.first, retrained.second)
    )
    before = [d.dialogue_id for d in old.dialogues("test")]
    after = [d.dialogue_id for d in new.dialogues("test")]
    assert after[: len(before)] == before
    assert len(after) - len(before) >= 20  # of the new ones
    assert not set(after) & {d.dialogue_id for d in new.dialogues("train")}
    pairs = retrained.answer["old"]["old_data"]["num_pairs"]
    assert pairs == sum(d.num_pairs for d in old.dialogues("test"))
    assert pairs == retrained.answer["new"]["old_data"]["num_pairs"]


def test_the_scores_are_single_numbers(retrained):
    for side in ("old", "new"):
        found = retrained.answer[side]["new_data"]
        assert found.keys() >= {"chrf", "bleu", "perplexity", "handoff_rate", "num_pairs"}
        assert all(value is None or isinstance(value, (int, float)) for value in found.values())


def test_new_words_get_rows_and_the_old_ones_stay(retrained):
    old, new = (
        ChatDataModule.from_run(load_run(run, "chatbot")).tokenizer
        for run in (retrained.first, retrained.second)
    )
    assert new.vocab_size > old.vocab_size
    assert len(new.encode(" parcel")) == 1 < len(old.encode(" parcel"))
    assert new.encode("where is my kettle") == old.encode("where is my kettle")
    weights = load_file(retrained.second / "model.safetensors")
    assert len(weights["embedding.weight"]) == new.vocab_size


def test_the_drift_is_told_before_training(retrained):
    drift = json.loads((retrained.second / "drift.json").read_text())
    assert "parcel" in drift["new_words"]["most_frequent"]
    words = drift["vocabulary_divergence"]
    assert words["new"] > words["halves_of_old"]
    assert "drift.json" in load_run(retrained.second, "chatbot").manifest["files"]


def test_a_model_that_forgets_the_old_is_not_promoted(retrained, tmp_path, command):
    words = ["--run", retrained.first, "--data", retrained.new, "--old_share", 0, "--margin", 0]
    done = command("chatbot", "retrain", *words, "--out", tmp_path / "forgetful", *BETTER)
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    lost = answer["old"]["old_data"]["chrf"] - answer["new"]["old_data"]["chrf"]
    assert answer["promoted"] == (lost < 0)
    assert "old hold-out" in answer["reason"]
    assert load_run(tmp_path / "forgetful", "chatbot")  # it is kept to be looked at


def test_a_retraining_that_ended_before_it_was_promoted_is_promoted_on_resume(retrained, command):
    link = retrained.first.parent / "champion"
    link.unlink()
    link.symlink_to("first")
    words = ["--run", retrained.first, "--data", retrained.new, "--out", retrained.second]
    done = command("chatbot", "retrain", *words, "--resume", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == json.loads(json.dumps(plain(retrained.answer)))
    assert link.resolve() == retrained.second.resolve()


def test_a_retrained_run_is_retrained_again(retrained, tmp_path, command):
    newer = write_dialogues(tmp_path / "newer.jsonl", 60, seed=2, item="package")
    words = ["--run", retrained.second, "--data", newer, "--epochs", 1, "--out", tmp_path / "third"]
    done = command("chatbot", "retrain", *words, "--json")
    assert done.code == 0, done.err
    stored = ChatDataModule.from_run(load_run(tmp_path / "third", "chatbot"))
    sources = {d.dialogue_id.split("-")[0] for d in stored.dialogues("train")}
    assert sources == {"order", "parcel", "package"}
