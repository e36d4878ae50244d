"""Rubbish in: one line that says what, where and what to do; exit code 2; nothing half-written."""

import json

import pytest

from tests.conftest import TINY_CHAT, TINY_PRICES, write_dialogues, write_prices

GOOD_TURNS = [{"speaker": "user", "text": "hi"}, {"speaker": "agent", "text": "hello"}]
HEADER = "Date,Open,High,Low,Close,Adj Close,Volume"


def jsonl(*rows):
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n"


def dialogue(number, turns=GOOD_TURNS):
    return {"dialogue_id": str(number), "turns": turns}


CHAT_FILES = {
    "empty.jsonl": ("", "empty.jsonl: the file is empty"),
    "blank.jsonl": ("\n\n", "no usable dialogue"),
    "broken.jsonl": (jsonl(dialogue(1), "{oops"), "broken.jsonl line 2: not JSON"),
    "list.jsonl": (jsonl("[1]"), "list.jsonl line 1: a JSON object"),
    "keys.jsonl": (jsonl({"messages": []}), "keys.jsonl line 1: no column 'question'"),
    "speaker.jsonl": (
        jsonl(dialogue(1, [{"speaker": "alien", "text": "x"}])),
        "speaker.jsonl line 1, turn 1: 'speaker' must be one of",
    ),
    "number.jsonl": (
        jsonl(dialogue(1, [{"speaker": "user", "text": 5}])),
        "number.jsonl line 1, turn 1: 'text' must be a string",
    ),
    "noagent.jsonl": (jsonl(dialogue(1, GOOD_TURNS[:1])), "no usable dialogue"),
    "twice.jsonl": (jsonl(dialogue(1), dialogue(1)), "twice.jsonl line 2: dialogue_id '1'"),
    "few.jsonl": (jsonl(dialogue(1)), "add data"),
    "pairs.csv": ("q,a\nhi,hello\n", "no column 'question' and no column 'answer' (it has q, a)"),
    "notes.txt": ("hi", "not a dialogue file"),
}


@pytest.mark.parametrize("name", CHAT_FILES)
def test_wrong_dialogues_are_refused_and_nothing_is_written(name, tmp_path, command):
    content, expected = CHAT_FILES[name]
    (tmp_path / name).write_text(content)
    run = tmp_path / "run"
    result = command("chatbot", "train", "--data", tmp_path / name, "--run", run, *TINY_CHAT)
    assert_refused(result, expected)
    assert not run.exists()


PRICE_FILES = {
    "empty.csv": ("", "empty.csv is empty"),
    "columns.csv": ("Date,Open\n2015-01-05,1\n", "columns.csv line 1: no column High, Low, Close"),
    "twice.csv": (f"{HEADER}\n" + "2015-01-05,1,1,1,1,1,1\n" * 2, "line 3: date 2015-01-05"),
    "zero.csv": (f"{HEADER}\n2015-01-05,1,1,1,0,1,1\n", "zero.csv line 2: Close 0 must be above 0"),
    "negative.csv": (f"{HEADER}\n2015-01-05,-1,1,1,1,1,1\n", "line 2: Open -1 must be above 0"),
    "text.csv": (f"{HEADER}\n2015-01-05,1,1,1,one,1,1\n", "line 2: Close 'one' is no number"),
    "date.csv": (f"{HEADER}\n5.1.2015,1,1,1,1,1,1\n", "line 2: Date '5.1.2015' is no date"),
    "short.csv": (f"{HEADER}\n2015-01-05,1,1,1,1,1,1\n", "context_length=20 needs at least"),
}


@pytest.mark.parametrize("name", PRICE_FILES)
def test_wrong_prices_are_refused_and_nothing_is_written(name, tmp_path, command):
    content, expected = PRICE_FILES[name]
    (tmp_path / name).write_text(content)
    run = tmp_path / "run"
    words = ["--data", tmp_path / name, "--run", run, *TINY_PRICES]
    assert_refused(command("stock-forecast", "train", *words), expected)
    assert not run.exists()


@pytest.mark.parametrize("app", ["chatbot", "stock-forecast"])
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "--data", "nowhere.csv"], "nowhere.csv"),
        (["train", "--no_such_option", "1"], "--no_such_option"),
        (["train", "--model.cell", "lsmt"], "'lstm'"),
        (["train", "--model.hidden_size", "-3"], "hidden_size=-3"),
        (["train", "--trainer.max_epochs", "many"], "max_epochs"),
        (["train", "--resume"], "--run"),
        (["evaluate", "--run", "nowhere"], "nowhere: no such run folder"),
        (["evaluate", "--run", "."], "not a run folder"),
        (["retrain"], "data"),
        (["fly"], "unknown command 'fly'"),
    ],
)
def test_misuse_is_told_in_one_line(app, words, expected, command):
    assert_refused(command(app, *words), expected)


def test_another_apps_run_is_refused(chat, stocks, command):
    result = command("chatbot", "evaluate", "--run", stocks.run)
    assert_refused(result, "a run of stock_forecast, not of chatbot")
    result = command("stock-forecast", "forecast", "--run", chat.run)
    assert_refused(result, "a run of chatbot, not of stock_forecast")


def test_good_rows_survive_beside_what_is_empty(tmp_path, command, caplog):
    data = write_dialogues(tmp_path / "d.jsonl")
    with data.open("a") as file:
        file.write(json.dumps(dialogue("x", GOOD_TURNS[:1])) + "\n")
        empty = [{"speaker": "user", "text": " "}, *GOOD_TURNS]
        file.write(json.dumps({**dialogue("y", empty), "unknown": 1}) + "\n")
    caplog.set_level("INFO")
    words = ["--data", data, "--run", tmp_path / "run", *TINY_CHAT]
    assert command("chatbot", "train", *words).code == 0
    assert "1 empty turns" in caplog.text
    assert "1 dialogues without an agent's answer" in caplog.text


def test_a_young_ticker_is_dropped_while_others_remain(tmp_path, command, caplog):
    long = write_prices(tmp_path / "long.csv").read_text()
    young = write_prices(tmp_path / "young.csv", "Y", days=15).read_text().split("\n", 1)[1]
    (tmp_path / "both.csv").write_text(long + young)
    words = ["--data", tmp_path / "both.csv", "--run", tmp_path / "run", *TINY_PRICES]
    assert command("stock-forecast", "train", *words).code == 0
    assert "dropped 1 tickers" in caplog.text
    assert "Y (15)" in caplog.text


def assert_refused(result, expected):
    assert result.code == 2
    assert result.out == ""
    assert expected in result.err
    assert result.err.strip().count("\n") == 0, result.err
    assert "Traceback" not in result.err
