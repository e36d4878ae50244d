from collections import Counter

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

from data.dialogues import Dialogue, Turn
from data.entities import placeholders
from data.text import Tokenizer
from data.text_drift import Corpus, divergence, drift_table, ks_distance, text_drift


def dialogue(number: int, message: str, reply: str, intent: str | None = None) -> Dialogue:
    return Dialogue(str(number), (Turn("user", message), Turn("agent", reply)), intent)


OLD = [
    dialogue(n, f"where is order number {n % 3}", "it is on its way", "where") for n in range(40)
]
NEW = [
    dialogue(n, "my parcel <tracking_1> came broken and I am very sad about that", "oh", "broken")
    for n in range(20)
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([t.text for d in OLD for t in d.turns], 400, placeholders())


def test_the_same_data_do_not_lie_apart(tokenizer: Tokenizer) -> None:
    found = text_drift(Corpus.count(OLD, tokenizer), Corpus.count(OLD, tokenizer))
    assert found["vocabulary_divergence"]["new"] == 0
    assert found["new_words"] == {"share": 0.0, "most_frequent": []}
    assert found["message_words"]["ks_distance"] == 0
    assert found["new_intents"] == found["new_entities"] == []


def test_other_words_lengths_intents_and_entities_are_told(tokenizer: Tokenizer) -> None:
    found = text_drift(Corpus.count(OLD, tokenizer), Corpus.count(NEW, tokenizer))
    words = found["vocabulary_divergence"]
    assert words["new"] > 0.9
    assert words["halves_of_old"] < 0.1
    assert found["new_words"]["share"] > 0.9
    assert "parcel" in found["new_words"]["most_frequent"]
    assert found["message_words"]["ks_distance"] == 1
    assert found["tokens_per_word"]["new"] > found["tokens_per_word"]["old"]
    assert found["new_intents"] == ["broken"]
    assert found["new_entities"] == ["<tracking>"]
    table = drift_table(found)
    for words_told in ("40 old, 20 new", "parcel", "broken", "<tracking>"):
        assert words_told in table


def test_the_divergence_is_scipys_in_bits() -> None:
    first, second = {"a": 3, "b": 1}, {"b": 2, "c": 5}
    table = np.array([[3, 1, 0], [0, 2, 5]], float)
    expected = jensenshannon(table[0], table[1], base=2) ** 2
    assert divergence(first, second) == pytest.approx(expected)
    assert divergence({}, {"a": 1}) == 0.0


def test_the_distance_of_lengths_is_scipys() -> None:
    first, second = Counter({1: 4, 3: 6, 9: 1}), Counter({2: 5, 3: 5})
    expected = ks_2samp(list(first.elements()), list(second.elements())).statistic
    assert ks_distance(first, second) == pytest.approx(expected)
    assert ks_distance(Counter(), Counter()) == 0.0
