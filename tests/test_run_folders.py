"""A run folder that somebody changed: the file is named, nothing outside of the folder is read."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from apps.chatbot.answers import Answers
from apps.chatbot.datamodule import ChatDataModule
from apps.stock_forecast.datamodule import PriceDataModule
from apps.stock_forecast.inference import StockForecaster
from core.files import file_hash
from core.runs import load_run, write_manifest
from tests.conftest import rewrite

UNREAD = ("logs", "checkpoints")  # no app reads them of a finished run


@pytest.fixture(params=["chatbot", "stock_forecast"])
def app(request):
    return request.param


@pytest.fixture
def run(app, request, tmp_path):
    kept = request.getfixturevalue({"chatbot": "chat", "stock_forecast": "stocks"}[app]).run
    return Path(shutil.copytree(kept, tmp_path / "run"))


@pytest.fixture
def chat_run(chat, tmp_path):
    return Path(shutil.copytree(chat.run, tmp_path / "run"))


@pytest.fixture
def stock_run(stocks, tmp_path):
    return Path(shutil.copytree(stocks.run, tmp_path / "run"))


def read_everything(run, app):
    if app == "chatbot":
        bot = Answers(run)
        data = ChatDataModule.from_run(bot.run)
        return [list(data.dialogues(part)) for part in ("train", "validation", "test")]
    forecaster = StockForecaster.load(run)
    return PriceDataModule.from_run(forecaster.run)


def refusal(run, app, kind=ValueError):
    """The message of a run that is refused, in one line."""
    with pytest.raises(kind) as error:
        read_everything(run, app)
    assert "\n" not in str(error.value)
    return str(error.value)


def reseal(run, name):
    """As if it had been trained so."""
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["files"][name] = file_hash(run / name)
    write_manifest(run, manifest)


def test_a_flipped_byte_in_any_file_is_reported_with_its_name(run, app):
    files = [path for path in sorted(run.rglob("*")) if path.is_file()]
    files = [path for path in files if path.relative_to(run).parts[0] not in UNREAD]
    assert len(files) > 7
    for path in files:
        if path.name == "manifest.json":
            continue  # see the next test
        content = path.read_bytes()
        for place in {0, len(content) // 3, len(content) - 1}:
            changed = bytearray(content)
            changed[place] ^= 0x40
            path.write_bytes(changed)
            assert f"{path}: changed since the run was written" in refusal(run, app)
        path.write_bytes(content)
    read_everything(run, app)


def test_a_flipped_byte_in_the_manifest_is_reported_with_its_name(run, app):
    path = run / "manifest.json"
    content = path.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 0x01
        path.write_bytes(changed)
        assert str(path) in refusal(run, app)


@pytest.mark.parametrize("inside", ["data/validation.parquet", "metrics.json"])
def test_a_file_that_a_folder_or_a_broken_link_replaces_is_named(run, app, inside):
    (run / inside).unlink()
    (run / inside).mkdir()
    assert inside in refusal(run, app, OSError)
    (run / inside).rmdir()
    for target in ("nowhere", Path(inside).name):
        (run / inside).symlink_to(target)
        assert inside in refusal(run, app, OSError)
        (run / inside).unlink()


@pytest.mark.parametrize(
    "name",
    [
        "../outside.json",
        "preprocessor/../../outside.json",
        "data/../preprocessor/../../outside.json",
        "{absolute}",
    ],
)
def test_no_name_in_the_manifest_leads_out_of_the_folder(run, app, name, tmp_path):
    outside = tmp_path / "outside.json"
    outside.write_text('"a secret"')
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["files"][name.format(absolute=outside)] = file_hash(outside)
    write_manifest(run, manifest)
    assert "manifest.json" in refusal(run, app)


@pytest.mark.parametrize("name", ["", ".", "a\0b", "\ud800", "x" * 5000, "preprocessor", "data/"])
def test_a_name_that_is_no_file_is_refused(run, app, name):
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["files"][name] = hashlib.sha256(b"").hexdigest()
    write_manifest(run, manifest)
    with pytest.raises((ValueError, OSError)):
        load_run(run, app)


def test_a_path_in_the_configuration_is_not_followed(run, app, tmp_path):
    pipe = tmp_path / "secret.csv"
    os.mkfifo(pipe)  # whoever opened it would wait for ever
    rewrite(run, "config.yaml", lambda text: f"data: {pipe}\n" + text.split("\n", 1)[1])
    read_everything(run, app)


CHAT_BROKEN = {
    "config.yaml": [
        ("hidden_size: 24", "hidden_size: many", "model.hidden_size must be int, not 'many'"),
        ("hidden_size: 24", "hidden_size: 60000", "parameters, the weights hold"),
        ("hidden_size: 24", "hidden_size: 1000000000", "must lie between 1 and"),
        ("num_layers: 1", "num_layers: 1000000000", "num_layers=1000000000"),
        ("hidden_size: 24", "hiden_size: 24", "model.hiden_size is unknown"),
        ("decoding:", "decodings:", "decoding must be a table, not None"),
        ("beam_size: 2", "beam_size: null", "decoding.beam_size must be int, not None"),
        ("batch_size: 16", "batch_size: .nan", "text.batch_size must be int, not nan"),
        ("fallback:", "fallback: 5\nother:", "fallback must be a table, not 5"),
    ],
    "preprocessor/tokenizer.json": [
        ('"', '["', "not JSON"),
        ("BPE", "WordPiece", "no tokenizer"),
        ('<pad>\\":', '<pat>\\":', "token <pad> does not have the id 0"),
    ],
    "preprocessor/confidence.json": [
        ('"threshold"', '"threshhold"', "threshhold is unknown"),
        ('"usual": ', '"usual": "x", "other": ', "is unknown"),
        ('"known": [', '"known": [5, ', "known must be"),
        ('"scale": [', '"scale": [0.5, ', "calibrator must have 4 signals"),
        ('"bias": ', '"bias": NaN, "": ', "is unknown"),
    ],
}


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [(name, *case) for name, cases in CHAT_BROKEN.items() for case in cases],
)
def test_a_chatbots_file_that_says_something_else_is_named(chat_run, name, old, new, told):
    assert old in (chat_run / name).read_text()
    rewrite(chat_run, name, lambda text: text.replace(old, new, 1))
    message = refusal(chat_run, "chatbot")
    assert f"{chat_run / name}: " in message
    assert told in message


STOCK_BROKEN = {
    "config.yaml": [
        ("context_length: 20", "context_length: '20'", "windows.context_length must be int"),
        ("horizons:", "horizons: []\n  other:", "windows.other is unknown"),
        ("cell: gru", "cell: [gru]", "model.cell must be"),
        ("hidden_size: 8", "hidden_size: 60000", "parameters, the weights hold"),
        ("num_members: 1", "num_members: 1000000000", "num_members=1000000000"),
    ],
    "preprocessor/prices.json": [
        ('"scaler"', '"scalar"', "scalar is unknown"),
        ('"mean": [', '"mean": [0.5,', "scaler.mean must hold"),
        ('"regression": [', '"regression": [[],', "regression must hold"),
        ('"regression": [', '"regression": [5,', "regression must be"),
        ('"fan": [', '"fan": [[1],', "fan must hold"),
        ('"has_news": false', '"has_news": 0', "has_news must be bool, not 0"),
        ('"classifier": null', '"classifier": {}', "classifier.bias is missing"),
        ('"drift_variance": ', '"drift_variance": -1', "drift_variance 0 or more"),
        ('"validation_start": "2', '"validation_start": "x2', "Invalid isoformat"),
        ('"test_end": "2', '"test_end": "1', "must come in this order"),
        ('"tickers": [', '"tickers": [null,', "tickers must be"),
    ],
}


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [(name, *case) for name, cases in STOCK_BROKEN.items() for case in cases],
)
def test_a_forecasters_file_that_says_something_else_is_named(stock_run, name, old, new, told):
    assert old in (stock_run / name).read_text()
    rewrite(stock_run, name, lambda text: text.replace(old, new, 1))
    message = refusal(stock_run, "stock_forecast")
    assert f"{stock_run / name}: " in message
    assert told in message


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("  - 5\n", "", "regression must hold 1 times"),
        ("left_out: []", "left_out: [volume]", "scaler.mean must hold 1 times 9"),
        ("news_sentiment: none", "news_sentiment: classifier", "classifier does not go with"),
        ("news_encoder: false", "news_encoder: true", "has_news must be true"),
    ],
)
def test_a_configuration_that_the_fitted_parts_do_not_go_with_is_told(stock_run, old, new, told):
    rewrite(stock_run, "config.yaml", lambda text: text.replace(old, new, 1))
    message = refusal(stock_run, "stock_forecast")
    assert "prices.json: " in message
    assert told in message


TABLES = {
    "no close": (lambda table: table.drop(columns="Close"), "has no column Close"),
    "text": (lambda table: table.assign(Close="x"), "Close must hold numbers"),
    "zero": (lambda table: table.assign(Low=0.0), "Low must lie between"),
    "unknown": (lambda table: table.assign(High=float("nan")), "High must lie between"),
    "dates as text": (lambda table: table.assign(Date=table["Date"].astype(str)), "hold dates"),
    "no date": (lambda table: table.assign(Date=pd.NaT), "Date must lie between"),
    "long ago": (lambda table: table.assign(Date=pd.Timestamp("1066-10-14")), "Date must lie"),
    "ticker": (lambda table: table.assign(Ticker=5), "Ticker must hold texts"),
    "no ticker": (lambda table: table.assign(Ticker=None), "Ticker must hold texts"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_part_that_holds_no_prices_is_named(stock_run, case):
    change, told = TABLES[case]
    name = "data/train.parquet"
    change(pd.read_parquet(stock_run / name)).to_parquet(stock_run / name, index=False)
    reseal(stock_run, name)
    message = refusal(stock_run, "stock_forecast")
    assert f"{stock_run / name}: " in message
    assert told in message


def test_parts_without_the_runs_tickers_are_refused(stock_run):
    rewrite(
        stock_run,
        "preprocessor/prices.json",
        lambda text: text.replace('"A"', '"X"').replace('"B"', '"Y"'),
    )
    assert "holds not the rows that the run was split from" in refusal(stock_run, "stock_forecast")


@pytest.mark.parametrize("name", ["data/train.parquet", "data/test.parquet"])
def test_a_broken_part_is_named_whatever_the_library_says(run, app, name):
    path = run / name
    content = path.read_bytes()
    for broken in (b"", b"PAR1", content[:-9], content[:200] + bytes(300) + content[500:]):
        path.write_bytes(broken)
        reseal(run, name)
        assert f"{path}: cannot be read" in refusal(run, app)
