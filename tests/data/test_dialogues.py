import re
import time
from itertools import product

import pytest

from data.dialogues import (
    Dialogue,
    Turn,
    mask_dialogue,
    mask_dialogues,
    masked_id,
    reply_pairs,
)


def dialogue(name, *texts, part=None):
    turns = [Turn(("user", "agent")[number % 2], text) for number, text in enumerate(texts)]
    return Dialogue(str(name), tuple(turns), part=part)


def test_masking_numbers_entities_by_dialogue_and_keeps_the_rest():
    first = dialogue("a", "order A-1234567", "A-1234567, yes", part="test")
    second = dialogue("b", "order A-7654321", "ok")
    masked = mask_dialogues([first, second])
    assert [turn.text for turn in masked[0].turns] == ["order <order_1>", "<order_1>, yes"]
    assert [dict(d.values) for d in masked] == [
        {"<order_1>": "A-1234567"},
        {"<order_1>": "A-7654321"},
    ]
    assert (masked[0].dialogue_id, masked[0].part, masked[1].part) == ("a", "test", None)
    assert "1234567" not in repr(masked)


def test_pairs_are_the_agents_turns_that_follow_a_users():
    speakers = ["agent", "user", "user", "agent", "agent", "user", "agent", "user"]
    made = Dialogue("a", tuple(Turn(s, str(n)) for n, s in enumerate(speakers)))
    pairs = reply_pairs([made])
    assert [pair.reply for pair in pairs] == ["3", "6"]
    assert [len(pair.context) for pair in pairs] == [3, 6]
    assert pairs[0].context == made.turns[:3]


@pytest.mark.parametrize(
    "name",
    [
        "5551234567",
        "15551234567",
        "0612345678",
        "chat_06 12.34-56 78_b",
        "wa15551234567x",
        "+49 170 1234567",
        "555-123-4567",
        "maria@x.com",
        "4111-1111-1111-1111",
    ],
)
def test_an_id_with_personal_data_is_hashed(name):
    assert re.fullmatch("id-[0-9a-f]{16}", masked_id(name))
    assert masked_id(name) == masked_id(name) != masked_id(f"{name}1")


@pytest.mark.parametrize("name", ["chat 12", "123456789", "d.csv row 7", "2024-01-31 a 12345"])
def test_another_id_stays(name):
    assert masked_id(name) == name


WORDS = ["".join(letters).capitalize() for letters in product("abcdefghijk", repeat=3)]


@pytest.mark.parametrize(
    "text_of",
    [
        lambda count: ", ".join(f"my name is {word}" for word in WORDS[:count]),
        lambda count: ", ".join(f"my name is Ann {word}" for word in WORDS[:count]),
        lambda count: f"{'<' * 8 * count}eos{'>' * 8 * count}",
    ],
    ids=["names", "names that begin alike", "brackets"],
)
def test_masking_takes_time_in_proportion_to_the_length(text_of):
    seconds = []
    for count in (160, 1280):
        long = dialogue("a", text_of(count), "ok")
        times = []
        for _ in range(3):
            started = time.process_time()
            mask_dialogue(long)
            times.append(time.process_time() - started)
        seconds.append(min(times))
    assert seconds[1] < 16 * seconds[0]  # 8 were proportional, 64 quadratic
