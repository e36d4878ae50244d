import json

from apps.chatbot import rules
from tests.conftest import TINY_CHAT


def test_every_candidate_has_its_row(chat, tmp_path, command):
    words = ["--data", chat.data, "--run", tmp_path / "c", "--seeds", 1, *TINY_CHAT]
    result = command("chatbot", "compare", *words, "--trainer.max_epochs", 1, "--json")
    rows = json.loads(result.out)
    assert [row["name"] for row in rows] == [
        "rules",
        "most_frequent",
        "tfidf",
        "rnn_unclipped",
        "rnn",
        "lstm",
        "lstm_attention",
        "gru_attention",
    ]
    assert all(row.keys() >= {"name", "seed", "parameters", "seconds", "metrics"} for row in rows)
    trained = {row["name"]: row for row in rows if row["parameters"]}
    assert trained["lstm_attention"]["parameters"] > trained["lstm"]["parameters"]
    assert trained["lstm"]["parameters"] > trained["rnn_unclipped"]["parameters"]
    assert len({row["metrics"]["perplexity"] for row in trained.values()}) == len(trained)


def test_seeds_are_scored_apart_and_tabled_together(chat, tmp_path, command):
    words = ["--data", chat.data, "--run", tmp_path / "c", "--candidates", "tfidf,rnn"]
    result = command("chatbot", "compare", *words, "--seeds", 2, *TINY_CHAT)
    assert result.code == 0
    line = next(line for line in result.out.splitlines() if line.startswith("rnn"))
    assert "±" in line
    assert (tmp_path / "c" / "rnn-seed1" / "manifest.json").exists()


def test_an_unknown_candidate_is_named(chat, command):
    result = command("chatbot", "compare", "--data", chat.data, "--candidates", "rnn,lsmt")
    assert result.code == 2
    assert "lsmt" in result.err


def test_rules_answer_by_keyword_and_fall_back():
    assert "password" in rules.answer("I forgot my PASSWORD").lower()
    assert rules.answer("zzz") == rules.FALLBACK
