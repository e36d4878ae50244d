import json

import pytest
import sacrebleu

from apps.chatbot.evaluate import score_texts
from data.dialogues import Dialogue, Pair, Turn, load_dialogues, mask_dialogues, reply_pairs

KEYS = {
    "num_pairs",
    "perplexity",
    "bleu",
    "chrf",
    "distinct_2",
    "repetition_rate",
    "entity_accuracy",
    "hallucinated_entity_rate",
    "handoff_rate",
    "latency_ms_p50",
}


def evaluated(command, *words):
    result = command("chatbot", "evaluate", *words, "--json")
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_evaluate_prints_every_key_with_the_baselines(chat, command):
    result = evaluated(command, "--run", chat.run)
    assert result.keys() >= KEYS
    assert {"most_frequent", "tfidf"} <= result["baselines"].keys()
    assert result["baselines"]["tfidf"]["chrf"] > result["baselines"]["most_frequent"]["chrf"]
    assert result["hallucinated_entity_rate"] == 0


def test_evaluate_with_data_scores_every_pair(chat, command):
    pairs = reply_pairs(load_dialogues(str(chat.data)))
    assert evaluated(command, "--run", chat.run, "--data", chat.data)["num_pairs"] == len(pairs)


def test_a_missing_source_is_replaced_by_the_masked_test_part(tmp_path, command, caplog):
    from apps.chatbot.train import train
    from core.cli import call
    from tests.conftest import TINY_CHAT, write_dialogues

    data = write_dialogues(tmp_path / "gone.jsonl")
    call(train, ["--data", str(data), "--run", str(tmp_path / "run"), *TINY_CHAT], "train")
    kept = evaluated(command, "--run", tmp_path / "run")
    data.unlink()
    result = command("chatbot", "evaluate", "--run", tmp_path / "run", "--json")
    assert "gone or changed" in caplog.text
    assert json.loads(result.out)["num_pairs"] == kept["num_pairs"]


def pair(*turns):
    masked = mask_dialogues([Dialogue("d", tuple(Turn(*turn) for turn in turns))])[0]
    return Pair(masked, len(turns) - 1)


def test_scores_are_sacrebleus_against_the_raw_reference():
    pairs = [pair(("user", "order A-12345"), ("agent", "order A-12345 is here"))]
    scores = score_texts(["order A-12345 is there"], pairs, ["order A-12345 is here"])
    expected = sacrebleu.corpus_bleu(["order A-12345 is there"], [["order A-12345 is here"]])
    assert scores["bleu"] == pytest.approx(expected.score)
    assert scores["entity_accuracy"] == 1
    assert scores["hallucinated_entity_rate"] == 0


def test_an_invented_number_is_counted():
    pairs = [pair(("user", "order A-12345"), ("agent", "order A-12345 is here"))]
    scores = score_texts(["order B-99999 is here"], pairs, ["order A-12345 is here"])
    assert scores["entity_accuracy"] == 0
    assert scores["hallucinated_entity_rate"] == 1
