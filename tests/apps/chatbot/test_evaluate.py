import json

import pytest
import sacrebleu

from apps.chatbot.evaluate import score_by_length, score_texts
from data.checking import load_dialogues
from data.dialogues import Dialogue, Pair, Turn, mask_dialogues, reply_pairs

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


def test_scores_by_length_are_sacrebleus_on_each_third():
    lengths = [9, 3, 12, 4, 8, 30]
    texts = [f"reply {n} to it" for n in lengths]
    references = [f"answer {n} to it, with {length} words" for n, length in enumerate(lengths)]
    found = score_by_length(texts, references, lengths)
    thirds = {"short": [1, 3], "middle": [0, 4], "long": [2, 5]}
    assert found.keys() == thirds.keys()
    for name, rows in thirds.items():
        own, expected = [texts[row] for row in rows], [[references[row] for row in rows]]
        assert found[name]["num_pairs"] == 2
        assert found[name]["tokens"] == sorted(lengths[row] for row in rows)
        assert found[name]["chrf"] == pytest.approx(sacrebleu.corpus_chrf(own, expected).score)
        assert found[name]["bleu"] == pytest.approx(sacrebleu.corpus_bleu(own, expected).score)


def test_sources_of_one_length_stay_together_and_an_empty_third_has_no_score():
    found = score_by_length(["a b"] * 5, ["a b"] * 5, [7, 7, 7, 7, 9])
    assert [part["num_pairs"] for part in found.values()] == [4, 0, 1]
    assert found["middle"] == {"tokens": None, "num_pairs": 0, "bleu": None, "chrf": None}


def test_an_invented_number_is_counted():
    pairs = [pair(("user", "order A-12345"), ("agent", "order A-12345 is here"))]
    scores = score_texts(["order B-99999 is here"], pairs, ["order A-12345 is here"])
    assert scores["entity_accuracy"] == 0
    assert scores["hallucinated_entity_rate"] == 1
