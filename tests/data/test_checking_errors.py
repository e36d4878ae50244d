"""What `data.checking` and `data.sources` refuse: one line with the place and what to do."""

import gzip
import json

import pandas as pd
import pytest

from data.checking import load_dialogues
from data.columns import ColumnsConfig


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


def refusal(source, kind=ValueError, columns=None):
    """The message of a source that is refused, which must be one line."""
    with pytest.raises(kind) as error:
        load_dialogues(str(source), columns)
    message = str(error.value)
    assert "\n" not in message
    assert type(error.value) is kind
    return message


GOOD = json.dumps(record())


def with_turn(**turn):
    return json.dumps({"dialogue_id": "b", "turns": [*record()["turns"], turn]})


@pytest.mark.parametrize(
    ("line", "problem", "remedy"),
    [
        ("{broken", "line 2: not JSON", "mend or delete the line"),
        (GOOD[:-9], "line 2: not JSON", "mend or delete the line"),
        ("[1, 2]", "line 2: a JSON object with 'turns' is expected, not list", ""),
        ("null", "line 2: a JSON object with 'turns' is expected, not NoneType", ""),
        (with_turn(text="x"), "line 2, turn 3: needs 'speaker' and 'text'", "mend the line"),
        (with_turn(speaker="user"), "line 2, turn 3: needs 'speaker' and 'text'", "mend the line"),
        (
            with_turn(speaker="alien", text="x"),
            "line 2, turn 3: 'speaker' must be one of",
            "agent_roles",
        ),
        (
            with_turn(speaker=["user"], text="x"),
            "turn 3: 'speaker' must be",
            "--columns.user_roles",
        ),
        (with_turn(speaker="user", text=5), "line 2, turn 3: 'text' must be a string, not int", ""),
        (with_turn(speaker="user", text=["x"]), "line 2, turn 3: 'text' must be a string", ""),
        ('{"turns": "hi"}', "line 2: 'turns' must be a list", "mend the line"),
        ('{"turns": null}', "line 2: 'turns' must be a list", "mend the line"),
        ('{"turns": ["hi"]}', "line 2, turn 1: needs 'speaker' and 'text'", "mend the line"),
        (
            '{"text": "hi"}',
            "line 2: no column 'question' and no column 'answer'",
            "--columns.question",
        ),
        (GOOD, "line 2: dialogue_id 'a' comes twice", "give each its own"),
        (json.dumps(record(1.5)), "line 2: 'dialogue_id' must be a string, not float", ""),
        (json.dumps(record(None)), "line 2: 'dialogue_id' must be a string, not NoneType", ""),
        (json.dumps(record("b", split=["test"])), "line 2: 'split'", ""),
        (json.dumps(record("b", "cut emoji \ud83d", "ok")), "line 2", ""),
        ("[" * 100_000, "line 2: not JSON", "mend or delete the line"),
    ],
)
@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_a_wrong_line_is_named_with_file_line_and_remedy(tmp_path, line, problem, remedy, ending):
    message = refusal(write(tmp_path / f"d.{ending}", GOOD, line, GOOD.replace('"a"', '"z"')))
    assert f"d.{ending} line 2" in message
    assert problem in message
    assert remedy in message


@pytest.mark.parametrize(
    "line",
    [
        with_turn(speaker="Maria Lopez", text="x"),
        json.dumps(record(["Maria Lopez"])),
        json.dumps(record("b", split={"of": "Maria Lopez"})),
        json.dumps(record("maria@x.com")),
    ],
    ids=["speaker", "id", "split", "repeated id"],
)
def test_no_message_holds_personal_data(tmp_path, line):
    before = json.dumps(record("maria@x.com"))
    message = refusal(write(tmp_path / "d.jsonl", GOOD, before, line))
    assert "d.jsonl line 3" in message
    assert "maria" not in message.lower()


def test_no_message_of_a_long_table_holds_personal_data(tmp_path):
    rows = ["5551234567,user,hi", "5551234567,agent,yes", "2,user,hi", "2,agent,yes"]
    path = write(tmp_path / "d.csv", "chat,who,text", *rows, *rows)
    columns = ColumnsConfig(conversation="chat", speaker="who", text="text")
    message = refusal(path, columns=columns)
    assert "conversation 'id-" in message
    assert "5551234567" not in message


def test_an_id_that_comes_twice_in_two_files_is_refused(tmp_path):
    write(tmp_path / "a.jsonl", GOOD)
    write(tmp_path / "b.jsonl", GOOD)
    assert "b.jsonl line 1: dialogue_id 'a' comes twice" in refusal(tmp_path)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_missing_columns_are_named_with_those_that_are_there(tmp_path, ending):
    path = tmp_path / f"d.{ending}"
    table = pd.DataFrame({"question": ["hi"], "reply": ["yes"]})
    table.to_parquet(path) if ending == "parquet" else table.to_csv(path, index=False)
    message = refusal(path)
    assert "row 1: no column 'answer' (it has question, reply)" in message
    assert "--columns.answer" in message
    both = refusal(path, columns=ColumnsConfig(question="q", answer="a"))
    assert "no column 'q' and no column 'a'" in both


def test_a_number_in_a_text_column_is_refused(tmp_path):
    path = tmp_path / "d.parquet"
    pd.DataFrame({"question": ["hi", "ho"], "answer": [1, 2]}).to_parquet(path)
    assert "row 1, turn 2: 'text' must be a string, not int" in refusal(path)


def test_a_csv_row_with_more_cells_than_columns_is_refused(tmp_path):
    """An unquoted comma: read leniently, every text would move one column to the left."""
    lines = ["question,answer", "hi, where is it,On its way", "hi, are you there,Yes"]
    message = refusal(write(tmp_path / "d.csv", *lines))
    assert "d.csv: cannot be read" in message
    assert "dtype" not in message


def test_a_csv_row_that_never_ends_is_refused(tmp_path):
    message = refusal(write(tmp_path / "d.csv", "question,answer", "hi,yes", 'hi,"open'))
    assert "d.csv: cannot be read" in message
    assert "EOF" in message


@pytest.mark.parametrize("name", ["d.jsonl", "d.csv", "d.parquet", "d.jsonl.gz"])
def test_an_empty_file_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    assert f"{name}: the file is empty; give one with dialogues" in refusal(tmp_path / name)
    assert f"{name}: the file is empty" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.jsonl", b"\n \n"),
        ("d.jsonl.gz", gzip.compress(b"")),
        ("d.csv", b"question,answer\n"),
    ],
)
def test_a_file_without_dialogues_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert f"{name}: no usable dialogue (it is empty)" in refusal(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.jsonl", b"\xff\x00\n"),
        ("d.jsonl.gz", b"not gzip"),
        ("d.jsonl.gz", gzip.compress(GOOD.encode())[:-9]),
        ("d.jsonl.gz", gzip.compress(b"")[:10] + b"\xff" * 50),
        ("d.parquet", b"PAR1 but not really PAR1"),
    ],
    ids=["not UTF-8", "not gzip", "cut gzip", "spoilt gzip", "not Parquet"],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    message = refusal(tmp_path / name)
    assert f"{name}: cannot be read (" in message
    assert "check the file or name" in message


@pytest.mark.parametrize("name", ["d.txt", "d.json", "d.JSONL.bak", "d"])
def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path, name):
    message = refusal(write(tmp_path / name, GOOD))
    assert f"{name}: not a dialogue file; give .jsonl, .jsonl.gz, .csv or .parquet" in message
    assert "not a dialogue file" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["nowhere.jsonl", "nowhere", "sample.csv"])
def test_a_missing_path_is_refused(tmp_path, name):
    message = refusal(tmp_path / name, FileNotFoundError)
    assert message.endswith(f"{name}: no such file or folder; check --data")
