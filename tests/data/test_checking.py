import gzip
import json
import logging
import socket

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.checking import load_dialogues
from data.columns import ColumnsConfig
from data.dialogues import Dialogue, Turn
from data.sources import source_hash

QUESTIONS = ["where is my order?", "NA", "007", 'one, two and "three"', "¿dónde está? 😀"]
ANSWERS = ["On its way.", "null", "1.0", "yes, \u2028 it is", "여기 있어요"]


def record(dialogue_id="a", *texts, **more):
    """A dialogue in the JSONL form; user and agent speak by turns."""
    turns = [
        {"speaker": ("user", "agent")[number % 2], "text": text}
        for number, text in enumerate(texts or ("hi", "hello"))
    ]
    return {"dialogue_id": dialogue_id, "turns": turns, **more}


def write(path, *lines):
    text = "\n".join(x if isinstance(x, str) else json.dumps(x, ensure_ascii=False) for x in lines)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def spoken(dialogues):
    return [[tuple(turn) for turn in dialogue.turns] for dialogue in dialogues]


@pytest.fixture
def records():
    pairs = zip(QUESTIONS, ANSWERS, strict=True)
    return [record(str(n), question, answer) for n, (question, answer) in enumerate(pairs)]


@pytest.fixture
def expected():
    pairs = zip(QUESTIONS, ANSWERS, strict=True)
    return [[("user", q), ("agent", " ".join(a.split()))] for q, a in pairs]


@pytest.mark.parametrize("name", ["d.jsonl", "d.jsonl.gz", "d.csv", "d.parquet", "turns.parquet"])
def test_the_same_dialogues_read_alike_from_every_kind_of_file(tmp_path, records, expected, name):
    path = tmp_path / name
    table = pd.DataFrame({"question": QUESTIONS, "answer": ANSWERS})
    if name == "turns.parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    elif name.endswith(".parquet"):
        table.to_parquet(path)
    elif name.endswith(".csv"):
        table.to_csv(path, index=False)
    else:
        write(path, *records)
    assert spoken(load_dialogues(str(path))) == expected


def test_csv_cells_stay_text(tmp_path):
    path = write(tmp_path / "d.csv", "question,answer", "007,1.0", "NA,null", "True,2012-01-01")
    texts = [[text for _, text in turns] for turns in spoken(load_dialogues(str(path)))]
    assert texts == [["007", "1.0"], ["NA", "null"], ["True", "2012-01-01"]]


def test_a_folder_is_read_file_by_file_in_order_and_strangers_in_it_are_left(tmp_path, records):
    write(tmp_path / "b.jsonl", records[0])
    write(tmp_path / "a.jsonl.gz", *records[1:3])
    pq.write_table(pa.Table.from_pylist(records[3:]), tmp_path / "c.parquet")
    (tmp_path / "README.md").write_text("not a dialogue")
    assert [d.dialogue_id for d in load_dialogues(str(tmp_path))] == ["1", "2", "0", "3", "4"]


def test_columns_of_pairs_are_named_by_the_config(tmp_path):
    path = tmp_path / "d.parquet"
    pd.DataFrame({"answer": ["trap"], "q": ["hi"], "a": ["yes"], "intent": ["greet"]}).to_parquet(
        path
    )
    columns = ColumnsConfig(question="q", answer="a")
    (dialogue,) = load_dialogues(str(path), columns)
    assert spoken([dialogue]) == [[("user", "hi"), ("agent", "yes")]]
    assert dialogue.intent == "greet"


def test_columns_of_a_csv_are_named_by_the_config(tmp_path):
    path = write(tmp_path / "d.csv", "answer,q,a", "trap,hi,yes")
    columns = ColumnsConfig(question="q", answer="a")
    assert spoken(load_dialogues(str(path), columns)) == [[("user", "hi"), ("agent", "yes")]]


def test_pairs_in_jsonl_are_read_too(tmp_path):
    path = write(tmp_path / "d.jsonl", {"question": "hi", "answer": "yes"})
    assert spoken(load_dialogues(str(path))) == [[("user", "hi"), ("agent", "yes")]]


def test_unknown_keys_are_ignored_and_known_ones_are_kept(tmp_path):
    made = record(intent="refund", split="test", domain="shop", rating=5, nested={"a": [1]})
    made["turns"][0]["time"] = "12:00"
    (dialogue,) = load_dialogues(str(write(tmp_path / "d.jsonl", made)))
    turns = (Turn("user", "hi"), Turn("agent", "hello"))
    assert dialogue == Dialogue("a", turns, intent="refund", part="test")


def test_a_dialogue_without_an_id_is_named_by_its_place(tmp_path):
    lines = [{"turns": record()["turns"]}] * 2
    ids = [d.dialogue_id for d in load_dialogues(str(write(tmp_path / "d.jsonl", *lines)))]
    assert [name.removeprefix(str(tmp_path)) for name in ids] == [
        "/d.jsonl line 1",
        "/d.jsonl line 2",
    ]


def test_blank_lines_are_passed_over_and_shift_no_line_number(tmp_path):
    assert len(load_dialogues(str(write(tmp_path / "a.jsonl", "", record(), "  ", "")))) == 1
    path = write(tmp_path / "b.jsonl", "", record(), "{")
    with pytest.raises(ValueError, match="b.jsonl line 3: not JSON"):
        load_dialogues(str(path))


def test_windows_line_ends_are_read(tmp_path):
    path = tmp_path / "d.jsonl"
    path.write_bytes(b"\r\n".join(json.dumps(record(n)).encode() for n in "ab") + b"\r\n")
    assert [d.dialogue_id for d in load_dialogues(str(path))] == ["a", "b"]


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e"])
def test_line_marks_inside_a_string_break_no_line(tmp_path, mark):
    made = record("x", f"one{mark}two", "b")  # written as it is, but for control characters
    path = write(tmp_path / "d.jsonl", made, record(), "{broken")
    with pytest.raises(ValueError, match="line 3: not JSON"):
        load_dialogues(str(path))
    path = write(tmp_path / "e.jsonl", made, record())
    first, second = load_dialogues(str(path))
    assert first.turns[0].text == "one two"
    assert second.dialogue_id == "a"


def test_empty_turns_are_dropped_and_counted(tmp_path, caplog):
    made = record("a", "hi", "  \n ", "still there?", "yes")
    made["turns"][2]["text"] = None
    path = write(tmp_path / "d.jsonl", made)
    with caplog.at_level(logging.INFO):
        dialogues = load_dialogues(str(path))
    assert spoken(dialogues) == [[("user", "hi"), ("agent", "yes")]]
    assert "1 dialogues; dropped 2 empty turns" in caplog.text


def test_a_dialogue_that_no_agent_answers_is_dropped_and_counted(tmp_path, caplog):
    silent = {"dialogue_id": "b", "turns": [{"speaker": "user", "text": "hello?"}]}
    monologue = {"dialogue_id": "c", "turns": [{"speaker": "agent", "text": "hello"}]}
    late = {"dialogue_id": "d", "turns": record()["turns"][::-1]}
    path = write(tmp_path / "d.jsonl", silent, record(), monologue, late)
    with caplog.at_level(logging.INFO):
        dialogues = load_dialogues(str(path))
    assert [d.dialogue_id for d in dialogues] == ["a"]
    assert "dropped 3 dialogues without an agent's answer" in caplog.text
    path = write(tmp_path / "e.jsonl", silent)
    with pytest.raises(ValueError, match="e.jsonl: no usable dialogue .*without an agent's answer"):
        load_dialogues(str(path))


def test_a_file_name_is_no_pattern(tmp_path):
    write(tmp_path / "chats 1.jsonl", record("other"))
    path = write(tmp_path / "chats [1].jsonl", record("mine"))
    assert [d.dialogue_id for d in load_dialogues(str(path))] == ["mine"]


def test_local_files_are_read_without_the_network(tmp_path, monkeypatch):
    asked = []

    def refuse(*arguments, **_):
        asked.append(arguments[0])
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: refuse(address))
    load_dialogues(str(write(tmp_path / "d.jsonl", record())))
    assert asked == []


def test_the_sample_is_a_source_with_intents_and_parts():
    dialogues = load_dialogues("sample")
    assert {dialogue.part for dialogue in dialogues} == {"train", "validation", "test"}
    assert all(dialogue.intent for dialogue in dialogues)


def test_the_hash_of_a_source_follows_its_content(tmp_path):
    path = write(tmp_path / "a.jsonl", record())
    same = write(tmp_path / "b.jsonl", record())
    before = source_hash(str(path))
    assert len(before) == 64
    assert before == source_hash(str(path)) == source_hash(str(same))
    write(path, record(), "")
    assert source_hash(str(path)) != before
    folder = source_hash(str(tmp_path))
    write(tmp_path / "c.jsonl", record("c"))
    assert source_hash(str(tmp_path)) != folder


def test_the_hash_of_a_source_elsewhere_follows_its_name():
    assert source_hash("sample") == source_hash("sample") != source_hash("hf:a/b")
