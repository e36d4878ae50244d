import json
import re

import numpy as np
import pytest
import sacrebleu

from apps.chatbot.evaluate import evaluate, raw_dialogues
from apps.chatbot.evaluate_table import table
from apps.chatbot.held_out import HeldOut, lead
from apps.chatbot.inference import Reply
from apps.chatbot.scores import reply_number, score_content, worst_replies
from core.cli import call
from core.comparison import range_cell
from data.checking import load_dialogues
from data.columns import ColumnsConfig
from data.dialogues import Dialogue, Pair, Turn, mask_dialogues, reply_pairs

TEXT_KEYS = {
    "bleu",
    "chrf",
    "distinct_1",
    "distinct_2",
    "repetition_rate",
    "entity_accuracy",
    "hallucinated_entity_rate",
    "intervals",
    "by_turn",
    "by_length",
}
KEYS = TEXT_KEYS | {
    "num_pairs",
    "num_dialogues",
    "perplexity",
    "handoff_rate",
    "latency_ms_p50",
    "latency_ms_p95",
    "calibration_error",
    "out_of_domain_handoff_rate",
    "risk_coverage",
    "worst",
}


def evaluated(command, *words):
    result = command("chatbot", "evaluate", *words, "--json")
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_evaluate_prints_every_key_with_the_baselines(chat, command):
    result = evaluated(command, "--run", chat.run)
    assert result.keys() >= KEYS
    assert result["baselines"].keys() == {"rules", "most_frequent", "tfidf", "bm25"}
    for row in result["baselines"].values():
        assert row.keys() >= TEXT_KEYS | {"paired"}
        for name in ("bleu", "chrf"):
            lead = row["paired"][name]["difference"]
            assert lead == pytest.approx(result[name] - row[name])
            assert row["intervals"][name][0] <= row[name] <= row["intervals"][name][1]
    assert result["latency_ms_p95"] >= result["latency_ms_p50"]
    assert result["baselines"]["tfidf"]["chrf"] > result["baselines"]["most_frequent"]["chrf"]
    assert result["hallucinated_entity_rate"] == 0


def test_evaluate_with_data_scores_every_pair(chat, command):
    pairs = reply_pairs(load_dialogues(str(chat.data)))
    assert evaluated(command, "--run", chat.run, "--data", chat.data)["num_pairs"] == len(pairs)


def test_a_missing_source_is_replaced_by_the_masked_test_part(tmp_path, command, caplog):
    from apps.chatbot.train import train
    from tests.conftest import TINY_CHAT, write_dialogues

    data = write_dialogues(tmp_path / "gone.jsonl")
    call(train, ["--data", str(data), "--run", str(tmp_path / "run"), *TINY_CHAT], "train")
    kept = evaluated(command, "--run", tmp_path / "run")
    data.unlink()
    result = command("chatbot", "evaluate", "--run", tmp_path / "run", "--json")
    assert "gone or changed" in caplog.text
    assert json.loads(result.out)["num_pairs"] == kept["num_pairs"]


def test_a_raw_dialogue_is_found_by_its_id_and_by_what_is_said_in_it(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("question,answer\norder A-12345,here\nhello,hi\n")
    found = load_dialogues(str(path))
    kept = mask_dialogues(found)
    assert raw_dialogues(str(path), ColumnsConfig(), kept) == found
    path.write_text("question,answer\norder A-12345,lost\nhello,hi\n")
    assert raw_dialogues(str(path), ColumnsConfig(), kept) == found[1:]


def pair(*turns):
    masked = mask_dialogues([Dialogue("d", tuple(Turn(*turn) for turn in turns))])[0]
    return Pair(masked, len(turns) - 1)


def scored(texts, pairs, references, lengths=None):
    sources = [[0] * length for length in lengths or [3] * len(pairs)]
    return HeldOut(pairs, references, sources).score(texts).metrics


def test_scores_are_sacrebleus_against_the_raw_reference():
    pairs = [pair(("user", "order A-12345"), ("agent", "order A-12345 is here"))]
    scores = scored(["order A-12345 is there"], pairs, ["order A-12345 is here"])
    expected = sacrebleu.corpus_bleu(["order A-12345 is there"], [["order A-12345 is here"]])
    assert scores["bleu"] == pytest.approx(expected.score)
    assert scores["entity_accuracy"] == 1
    assert scores["hallucinated_entity_rate"] == 0


def unmasked(count):
    return [pair(("user", f"hello {n}"), ("agent", "hi")) for n in range(count)]


def test_scores_by_length_are_sacrebleus_on_each_third():
    lengths = [9, 3, 12, 4, 8, 30]
    texts = [f"reply {n} to it" for n in lengths]
    references = [f"answer {n} to it, with {length} words" for n, length in enumerate(lengths)]
    found = scored(texts, unmasked(6), references, lengths)["by_length"]
    thirds = {"short": [1, 3], "middle": [0, 4], "long": [2, 5]}
    assert found.keys() == thirds.keys()
    for name, rows in thirds.items():
        own, expected = [texts[row] for row in rows], [[references[row] for row in rows]]
        assert found[name]["num_pairs"] == 2
        assert found[name]["tokens"] == sorted(lengths[row] for row in rows)
        assert found[name]["chrf"] == pytest.approx(sacrebleu.corpus_chrf(own, expected).score)
        assert found[name]["bleu"] == pytest.approx(sacrebleu.corpus_bleu(own, expected).score)


def test_sources_of_one_length_stay_together_and_an_empty_third_has_no_score():
    found = scored(["a b"] * 5, unmasked(5), ["a b"] * 5, [7, 7, 7, 7, 9])["by_length"]
    assert [part["num_pairs"] for part in found.values()] == [4, 0, 1]
    assert found["middle"] == {"tokens": None, "num_pairs": 0, "bleu": None, "chrf": None}


def long_dialogue(name, num_replies):
    turns = [Turn("agent", "welcome")]  # greets, and so answers nobody
    for number in range(num_replies):
        turns += [Turn("user", f"question {number}"), Turn("agent", f"answer {number}")]
        turns += [Turn("agent", "anything else?")] * (number == 1)
    return Dialogue(name, tuple(turns))


def test_replies_are_numbered_by_the_users_turns_that_they_answer():
    pairs = reply_pairs([long_dialogue("d", 5)])
    assert [reply_number(one) for one in pairs] == [1, 2, 3, 4, 5]


def test_scores_by_turn_are_sacrebleus_on_each_turn():
    pairs = reply_pairs([long_dialogue("a", 5), long_dialogue("b", 2)])
    texts = [f"answer {number} it is" for number in range(len(pairs))]
    references = [f"answer {one.position}" for one in pairs]
    found = scored(texts, pairs, references)["by_turn"]
    rows = {"first": [0, 5], "second": [1, 6], "third": [2], "later": [3, 4]}
    assert {name: part["num_pairs"] for name, part in found.items()} == {
        name: len(own) for name, own in rows.items()
    }
    for name, own in rows.items():
        expected = sacrebleu.corpus_chrf([texts[n] for n in own], [[references[n] for n in own]])
        assert found[name]["chrf"] == pytest.approx(expected.score)


def test_intervals_resample_dialogues_and_not_replies():
    # Within a dialogue all is right or all is wrong: eight times the replies say nothing more.
    dialogues = [long_dialogue(str(number), 8) for number in range(20)]
    few = [Pair(dialogue, 2) for dialogue in dialogues]
    widths = []
    for pairs in (few, reply_pairs(dialogues)):
        texts = ["all is right" if int(p.dialogue.dialogue_id) % 2 else "no" for p in pairs]
        low, high = scored(texts, pairs, ["all is right"] * len(pairs))["intervals"]["chrf"]
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0], rel=0.1)
    assert widths[1] > 5


def test_the_lead_is_the_mean_over_the_seeds_and_turns_with_the_sides():
    pairs = unmasked(12)
    test = HeldOut(pairs, [f"hello to you, {n}" for n in range(12)], [[0]] * 12)
    seeds = [test.score([f"hello {end}, {n}" for n in range(12)]) for end in ("to you", "you")]
    other = test.score(["goodbye"] * 12)
    found, turned = lead(seeds, [other]), lead([other], seeds)
    for name in ("bleu", "chrf"):
        expected = np.mean([seed.metrics[name] for seed in seeds]) - other.metrics[name]
        assert found[name]["difference"] == pytest.approx(expected)
        assert turned[name]["difference"] == pytest.approx(-expected)
        assert turned[name]["p_value"] == found[name]["p_value"] < 0.01
    assert lead([other], [other])["chrf"]["p_value"] == 1


def spoken(masked, confidence=0.5):
    return Reply("田中様, hello", masked, confidence, False, [], [], [])


def test_the_worst_replies_are_those_of_the_lowest_sentence_chrf_and_twenty_at_most():
    pairs = [pair(("user", f"hello {n}"), ("agent", "x" * n + "hello")) for n in range(30)]
    replies = [spoken("hello", n / 30) for n in range(30)]
    scores = [sacrebleu.sentence_chrf("hello", [one.reply]).score for one in pairs]
    found = worst_replies(replies, pairs, scores)
    assert [one["question"] for one in found] == [f"hello {n}" for n in range(29, 9, -1)]
    assert {one["reply"] for one in found} == {"hello"}
    assert [one["chrf"] for one in found] == sorted(scores)[:20]
    assert found[0]["confidence"] == pytest.approx(29 / 30)


@pytest.fixture(scope="module")
def result(chat):
    """Every reply of the data scored."""
    return call(evaluate, ["--run", str(chat.run), "--data", str(chat.data)], "evaluate")


def test_what_is_shown_of_the_worst_replies_holds_no_personal_data():
    said = "my name is Maria, order 402-7781923-1120034"
    one = pair(("user", said), ("agent", "Maria, order 402-7781923-1120034 is here"))
    (shown,) = worst_replies([spoken("<name_1>, <order_1> is gone")], [one], [0.0])
    assert shown["question"] == "my name is <name_1>, order <order_1>"
    assert shown["reply"] == "<name_1>, <order_1> is gone"
    assert shown["reference"] == "<name_1>, order <order_1> is here"


def test_twenty_of_the_worst_replies_are_shown(result):
    assert len(result["worst"]) == 20
    shown = [one[name] for one in result["worst"] for name in ("question", "reply", "reference")]
    assert not any(re.search(r"\d{3}", text) for text in shown)


def test_the_table_shows_every_candidate_part_and_five_of_the_worst(result):
    shown = table(result)
    for word in ("bm25", "latency_ms_p95", "later n=", "short (", "aurc", "paired over dialogues"):
        assert word in shown
    assert shown.count("  reference  ") == 5
    assert range_cell(result["intervals"]["chrf"]) in shown


def test_an_invented_number_is_counted():
    pairs = [pair(("user", "order A-12345"), ("agent", "order A-12345 is here"))]
    scores = scored(["order B-99999 is here"], pairs, ["order A-12345 is here"])
    assert scores["entity_accuracy"] == 0
    assert scores["hallucinated_entity_rate"] == 1
    alone = score_content(["order B-99999 is here"], pairs)
    assert {name: scores[name] for name in alone} == alone
