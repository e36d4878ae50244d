import json

import pandas as pd
import pytest

from data.checking import load_dialogues
from data.columns import KNOWN_PAIRS, ColumnsConfig

LONG = ColumnsConfig(conversation="chat", speaker="who", text="said")
ROWS = [
    ("1", "Customer", "where is it"),
    ("1", "AGENT", "on its way"),
    ("2", "client", "hello"),
    ("2", "system", "you are now talking to Bo"),
    ("2", "support", "hi"),
    ("2", "client", "thanks"),
]


def spoken(dialogues):
    return [[tuple(turn) for turn in dialogue.turns] for dialogue in dialogues]


def written(path, rows, columns=("chat", "who", "said")):
    table = pd.DataFrame(rows, columns=list(columns))
    table.to_parquet(path) if path.suffix == ".parquet" else table.to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize("name", ["d.csv", "d.parquet"])
def test_a_table_of_one_row_a_turn_is_joined_by_conversation(tmp_path, name):
    dialogues = load_dialogues(written(tmp_path / name, ROWS), LONG)
    assert [dialogue.dialogue_id for dialogue in dialogues] == ["1", "2"]
    assert spoken(dialogues) == [
        [("user", "where is it"), ("agent", "on its way")],
        [("user", "hello"), ("agent", "hi"), ("user", "thanks")],
    ]


def test_a_conversation_that_begins_again_is_named_by_its_row(tmp_path):
    path = written(tmp_path / "d.csv", [*ROWS, *ROWS[:2]])
    with pytest.raises(ValueError, match=r"d.csv row 7: conversation '1' begins again; sort"):
        load_dialogues(path, LONG)


def test_a_wrong_speaker_in_a_long_table_is_named_by_its_row(tmp_path):
    path = written(tmp_path / "d.csv", [*ROWS, ("3", "ghost", "boo")])
    with pytest.raises(
        ValueError, match=r"d.csv row 7: 'who' must be one of .*--columns.agent_roles"
    ):
        load_dialogues(path, LONG)


def test_missing_columns_of_a_long_table_are_named(tmp_path):
    path = written(tmp_path / "d.csv", ROWS, ("chat", "speaker", "said"))
    with pytest.raises(ValueError, match=r"row 1: no column 'who' \(it has chat, speaker, said\)"):
        load_dialogues(path, LONG)


def test_half_a_long_form_is_refused():
    with pytest.raises(ValueError, match=r"columns.speaker and columns.text missing"):
        ColumnsConfig(conversation="chat")


def test_a_role_on_both_sides_is_refused():
    with pytest.raises(ValueError, match="me is in user_roles and in agent_roles"):
        ColumnsConfig(user_roles="me,user", agent_roles="me")


def test_roles_name_the_speakers_of_jsonl_too(tmp_path):
    turns = [{"speaker": "Guest", "text": "hi"}, {"speaker": "Host", "text": "hello"}]
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps({"turns": turns}))
    columns = ColumnsConfig(user_roles="guest", agent_roles=" host , staff")
    assert spoken(load_dialogues(str(path), columns)) == [[("user", "hi"), ("agent", "hello")]]
    with pytest.raises(ValueError, match="turn 1: 'speaker' must be one of"):
        load_dialogues(str(path))


@pytest.mark.parametrize("pair", KNOWN_PAIRS, ids="-".join)
def test_known_pairs_of_columns_need_no_option(tmp_path, pair):
    path = written(tmp_path / "d.csv", [("f", "007", "NA", "x")], ("flags", *pair, "intent"))
    (dialogue,) = load_dialogues(path)
    assert spoken([dialogue]) == [[("user", "007"), ("agent", "NA")]]
    assert dialogue.intent == "x"


def test_two_known_pairs_are_not_guessed_between(tmp_path):
    names = ("question", "answer", "instruction", "response")
    path = written(tmp_path / "d.csv", [("a", "b", "c", "d")], names)
    with pytest.raises(ValueError, match=r"question/answer or instruction/response"):
        load_dialogues(path)
    columns = ColumnsConfig(question="instruction", answer="response")
    assert spoken(load_dialogues(path, columns)) == [[("user", "c"), ("agent", "d")]]


@pytest.mark.parametrize("label", [11, "card_arrival"])
def test_a_table_without_replies_is_told_so_in_one_line(tmp_path, label):
    path = written(tmp_path / "d.csv", [("where is my card", label)], ("text", "label"))
    with pytest.raises(ValueError, match="'text' is the only text and holds no replies") as error:
        load_dialogues(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_csv_with_a_byte_order_mark_is_read(tmp_path, encoding):
    (tmp_path / "d.csv").write_text("question,answer\nqué?,여기 😀\n", encoding=encoding)
    turns = [[("user", "qué?"), ("agent", "여기 😀")]]
    assert spoken(load_dialogues(str(tmp_path / "d.csv"))) == turns


@pytest.mark.parametrize(
    ("encoding", "guess"),
    [
        ("latin-1", "seems to be Latin-1 (Windows-1252)"),
        ("utf-16-le", "seems to be UTF-16 without a byte order mark"),
        ("euc-kr", "seems to be an East Asian or Cyrillic code page"),
    ],
)
def test_another_encoding_is_guessed_and_how_to_convert_it_is_said(tmp_path, encoding, guess):
    said = "주문이 어디에 있어요" if encoding == "euc-kr" else "¿dónde está?"
    rows = f"question,answer\n{said},{said}\n" + f"{said},{said}\n" * 50
    (tmp_path / "d.csv").write_bytes(rows.encode(encoding))
    with pytest.raises(ValueError, match="cannot be read") as error:
        load_dialogues(str(tmp_path / "d.csv"))
    assert guess in str(error.value)
    assert "iconv -f" in str(error.value)


def test_a_message_of_fifty_megabytes_is_cut(tmp_path):
    turns = [{"speaker": "user", "text": "where is it " * 4_200_000}]
    turns.append({"speaker": "agent", "text": "here"})
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps({"turns": turns}))
    (dialogue,) = load_dialogues(str(path))
    assert len(dialogue.turns[0].text) == 20_000
