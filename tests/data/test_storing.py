from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.dialogues import Dialogue, Turn, mask_dialogues
from data.storing import has_intents, num_stored, read_dialogues, write_dialogues


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


TURN = {"speaker": "user", "text": "hi"}


@pytest.mark.parametrize(
    "rows",
    [
        [{"dialogue_id": "a", "intent": None}],
        [{"dialogue_id": "a", "intent": "x", "turns": "hi"}],
        [{"dialogue_id": 5, "intent": "x", "turns": [TURN]}],
        [{"dialogue_id": "a", "intent": "x", "turns": [{"speaker": "user", "words": "hi"}]}],
        [{"dialogue_id": "a", "intent": "x", "turns": None}, "good"],
        [{"dialogue_id": "a", "intent": "x", "turns": [None]}, "good"],
        [{"dialogue_id": None, "intent": "x", "turns": [TURN]}, "good"],
        [{"dialogue_id": "a", "intent": "x", "turns": [{**TURN, "text": None}]}, "good"],
        [{"dialogue_id": "a", "intent": "x", "turns": [{**TURN, "speaker": "x"}]}],
    ],
)
def test_a_file_of_something_else_is_named(tmp_path, rows):
    path = tmp_path / "part.parquet"
    good = {"dialogue_id": "b", "intent": "y", "turns": [TURN]}
    table = pa.Table.from_pylist([good if row == "good" else row for row in rows])
    pq.write_table(table, path)
    with pytest.raises(ValueError, match=r"part.parquet: cannot be read \(.*restore it"):
        read_dialogues(path)


def test_a_broken_file_is_named_by_all_that_read_it(tmp_path):
    path = tmp_path / "part.parquet"
    write_dialogues(path, [dialogue("a", "hello", "hi")])
    path.write_bytes(path.read_bytes()[:-30])
    for read in (read_dialogues, num_stored, has_intents):
        with pytest.raises(ValueError, match=r"part.parquet: cannot be read"):
            read(path)
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "none.parquet")
