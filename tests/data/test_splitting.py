import random

import numpy as np
import pytest

from data.dialogues import PARTS, Dialogue, Turn, mask_dialogue
from data.splitting import HeldOutOpenings, draw_parts, opening_words, split_hash

WORDS = [f"{first}{second}" for first in "bdfg" for second in ("al", "el", "il", "ol")]


def hashes(count, seed=0):
    made = [Dialogue(str(n), (Turn("user", "hi"), Turn("agent", "hello"))) for n in range(count)]
    return np.array([split_hash(dialogue, seed) for dialogue in made], dtype=np.uint64)


def unnamed(count):
    return np.full(count, -1, dtype=np.int8)


def sizes(parts):
    return {name: int((parts == code).sum()) for code, name in enumerate(PARTS)}


def opening(text):
    return mask_dialogue(Dialogue("x", (Turn("user", text), Turn("agent", "ok"))))


def test_a_split_by_seed_is_fixed_and_has_the_shares():
    parts = draw_parts(hashes(200), unnamed(200), 0.1, 0.05)
    assert (parts == draw_parts(hashes(200), unnamed(200), 0.1, 0.05)).all()
    assert (parts != draw_parts(hashes(200, seed=1), unnamed(200), 0.1, 0.05)).any()
    assert sizes(parts) == {"train": 170, "validation": 10, "test": 20}


def test_the_parts_that_the_data_name_count():
    named = np.array([2, 0, 1, 0], dtype=np.int8)
    assert draw_parts(hashes(4), named, 0.9, 0.05).tolist() == [2, 0, 1, 0]


def test_parts_that_only_some_dialogues_name_do_not_count():
    named = np.array([2] * 50 + [-1] * 50, dtype=np.int8)
    assert sizes(draw_parts(hashes(100), named, 0.1, 0.1))["test"] == 10


@pytest.mark.parametrize("code", [-1, 0])
def test_too_few_dialogues_name_the_empty_part(code):
    with pytest.raises(ValueError, match="2 dialogues .*leave the .* part empty; add data"):
        draw_parts(hashes(2), np.full(2, code, dtype=np.int8), 0.1, 0.1)
    assert all(sizes(draw_parts(hashes(3), unnamed(3), 0.1, 0.1)).values())


def test_equal_openings_are_drawn_together_and_a_large_group_is_trained_on():
    values = np.repeat(np.arange(60, dtype=np.uint64), 5)
    values[:100] = 0  # a third of all
    parts = draw_parts(values, unnamed(300), 0.1, 0.1)
    for value in np.unique(values):
        assert len(set(parts[values == value].tolist())) == 1
    assert parts[0] == 0
    assert sizes(parts) == {"train": 240, "validation": 30, "test": 30}


def test_one_opening_alone_cannot_be_split():
    with pytest.raises(ValueError, match="with 1 different openings leave the training part"):
        draw_parts(np.zeros(9, dtype=np.uint64), unnamed(9), 0.1, 0.1)


def test_openings_that_differ_in_case_marks_numbers_and_values_share_a_hash():
    first = opening("Where is my order 402-1234567-7654321? It should be here by now!")
    second = opening("where is my order A-1234567 it should be here by now 2")
    assert split_hash(first, 0) == split_hash(second, 0)
    assert split_hash(first, 0) != split_hash(first, 1)


def test_short_openings_are_drawn_by_id():
    one, two = (Dialogue(name, (Turn("user", "hi there"), Turn("agent", "ok"))) for name in "ab")
    assert split_hash(one, 0) != split_hash(two, 0)


def test_characters_of_languages_without_spaces_count_as_words():
    assert len(opening_words("私の注文はどこですか")) == 10
    assert opening_words("내 주문 <order_1> 어디") == ["내", "주문", "order", "어디"]


def jaccard(one, two):
    one, two = set(opening_words(one)), set(opening_words(two))
    return len(one & two) / len(one | two)


def test_near_openings_are_found_as_by_comparing_all_of_them():
    generator = random.Random(0)
    base = [generator.choices(WORDS, k=generator.randrange(6, 16)) for _ in range(40)]
    texts = []
    for _ in range(400):
        words = list(generator.choice(base))
        for _ in range(generator.randrange(4)):
            words[generator.randrange(len(words))] = generator.choice(WORDS)
        texts.append(" ".join(words))
    held_out = HeldOutOpenings()
    for text in texts[:150]:
        held_out.add(text, 2)
    held_out.index()
    long = [text for text in texts[:150] if len(text.split()) >= 8]
    expected = [
        len(text.split()) >= 8 and any(5 * jaccard(text, other) >= 4 - 1e-9 for other in long)
        for text in texts[150:]
    ]
    assert [held_out.is_near(text, 0) for text in texts[150:]] == expected
    assert 50 < sum(expected) < 200


def test_validation_is_compared_with_the_test_part_alone():
    text = "one two three four five six seven eight"
    held_out = HeldOutOpenings()
    held_out.add(text, 1)
    held_out.index()
    assert held_out.is_near(text, 0)
    assert not held_out.is_near(text, 1)


def test_nothing_is_near_where_nothing_is_held_out():
    held_out = HeldOutOpenings()
    held_out.index()
    assert not held_out.is_near("one two three four five six seven eight", 0)
