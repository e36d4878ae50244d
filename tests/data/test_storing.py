from dataclasses import replace

import pyarrow.parquet as pq

from data.dialogues import Dialogue, Turn, mask_dialogues
from data.storing import has_intents, read_dialogues, write_dialogues


def dialogue(name, *texts):
    turns = [Turn(("user", "agent")[number % 2], text) for number, text in enumerate(texts)]
    return Dialogue(str(name), tuple(turns))


def test_written_dialogues_are_read_back_without_the_values(tmp_path):
    made = [
        dialogue(
            "a", "my order is A-1234567", "Thanks for 402-7654321-1234567", "me@home.org", "ok"
        ),
        Dialogue("b", (Turn("user", "안녕 😀 \u2028"), Turn("agent", "hi")), intent="greet"),
    ]
    masked = mask_dialogues(made)
    path = tmp_path / "new" / "train.parquet"
    write_dialogues(path, masked)
    again = read_dialogues(path)
    assert [(d.dialogue_id, d.intent, d.turns) for d in again] == [
        (d.dialogue_id, d.intent, d.turns) for d in masked
    ]
    assert all(type(turn) is Turn for d in again for turn in d.turns)
    assert [dict(d.values) for d in again] == [{}, {}]
    plain = tmp_path / "plain.parquet"  # the same, so that compression hides nothing
    pq.write_table(pq.read_table(path), plain, compression="none", use_dictionary=False)
    for content in (path.read_bytes(), plain.read_bytes()):
        assert not any(value in content for value in (b"1234567", b"7654321", b"home.org"))
    assert b"<order_1>" in plain.read_bytes()


def test_a_single_intent_among_many_is_found(tmp_path):
    path = tmp_path / "train.parquet"
    without = [dialogue(number, "hello", "hi") for number in range(600)]
    write_dialogues(path, without)
    assert not has_intents(path)
    write_dialogues(path, [*without, replace(without[0], intent="greet")])
    assert has_intents(path)
