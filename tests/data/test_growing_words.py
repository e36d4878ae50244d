"""A tokenizer that learns new words on top of the old ones."""

import json
from collections import Counter

import pytest
import tokenizers
from tokenizers import models, trainers

from data.entities import placeholders
from data.text import LEAST_PAIRS, Tokenizer, grown, learned_merges

OLD = ["where is my order <order_1>", "your order is on its way", "hello there, all is well"] * 9
NEW = [
    "the zygomorphic warranty of my dishwasher",
    "dishwasher warranty! 보증",
    "my dishwasher",
] * 9


@pytest.fixture(scope="module")
def old() -> Tokenizer:
    return Tokenizer.train(OLD, 400, placeholders())


def test_new_words_become_whole_tokens_and_old_texts_are_read_as_before(old: Tokenizer) -> None:
    new = grown(old, OLD, NEW, 200)
    assert new.vocab_size > old.vocab_size
    for text in OLD:
        assert new.encode(text) == old.encode(text)
    assert len(new.encode(" dishwasher")) == 1 < len(old.encode(" dishwasher"))
    for text in [*NEW, "🙂 ñandú <order_1>"]:
        assert new.decode(new.encode(text)) == text


def test_the_old_tokens_keep_their_ids_and_the_new_ones_know_what_they_stand_for(
    old: Tokenizer,
) -> None:
    new = grown(old, OLD, NEW, 200)
    pieces = new.pieces(old)
    assert len(pieces) == new.vocab_size - old.vocab_size
    row = new.encode(" dishwasher")[0] - old.vocab_size
    assert pieces[row] == old.encode(" dishwasher")
    with pytest.raises(ValueError, match="does not begin with the old one"):
        Tokenizer.train(NEW, 400, placeholders()).pieces(old)


def test_a_new_type_of_entity_gets_tokens_of_its_own() -> None:
    kinds = [name for name in placeholders() if not name.startswith("<phone")]
    old = Tokenizer.train(OLD, 400, kinds)
    new = grown(old, OLD, ["call me at <phone_1>"] * 9, 0)
    assert len(new.encode("<phone_1>")) == 1 < len(old.encode("<phone_1>"))
    assert new.pieces(old)[: len(placeholders()) - len(kinds)] == [[]] * (
        len(placeholders()) - len(kinds)
    )


def test_no_more_tokens_are_added_than_were_allowed_nor_for_rare_words(old: Tokenizer) -> None:
    assert grown(old, OLD, NEW, 3).vocab_size == old.vocab_size + 3
    assert grown(old, OLD, NEW, 0).vocab_size == old.vocab_size
    assert grown(old, OLD, ["zygomorphic"] * (LEAST_PAIRS - 1), 9).vocab_size == old.vocab_size


def test_growing_again_adds_nothing(old: Tokenizer) -> None:
    new = grown(old, OLD, NEW, 200)
    assert grown(new, [*OLD, *NEW], NEW, 200).to_json() == new.to_json()


def test_the_merges_are_those_of_the_tokenizers_library() -> None:
    words = Counter({"lower": 5, "lowest": 6, "newer": 7, "wider": 8, "wide": 11})
    trainer = trainers.BpeTrainer(vocab_size=40, show_progress=False, min_frequency=LEAST_PAIRS)
    reference = tokenizers.Tokenizer(models.BPE())
    reference.train_from_iterator([w for word, n in words.items() for w in [word] * n], trainer)
    vocabulary = {letter: id for id, letter in enumerate(sorted(set("".join(words))))}
    spelled = {tuple(word): count for word, count in words.items()}
    found = learned_merges(spelled, vocabulary, 40 - len(vocabulary))
    assert [list(pair) for pair in found] == json.loads(reference.to_str())["model"]["merges"]
    assert vocabulary == reference.get_vocab()
