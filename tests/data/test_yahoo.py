import logging
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
import yfinance

import data.yahoo_download
from data.price_cache import read_cache, write_cache
from data.prices import COLUMNS, load_prices
from data.yahoo import _end_date, fetch_prices


def answer(symbols, days=("2020-01-02", "2020-01-03"), empty=()):
    """What yfinance gives: tickers by column, joined on the union of their days."""
    fields = ["Open", "High", "Low", "Close", "Adj Close", "Volume"]
    columns = pd.MultiIndex.from_product([symbols, fields], names=["Ticker", "Price"])
    wide = pd.DataFrame(10.0, pd.DatetimeIndex(days, name="Date"), columns)
    for symbol in empty:
        wide[symbol] = np.nan
    return wide


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(data.yahoo_download, "WAITS", (0.0, 0.0))
    monkeypatch.setattr(yfinance, "set_tz_cache_location", lambda _: None)


def test_an_answer_is_normalised_and_cached(monkeypatch, tmp_path):
    asked = {}

    def download(symbols, **options):
        asked.update(options)
        return answer(symbols)

    monkeypatch.setattr(yfinance, "download", download)
    prices = load_prices("yahoo:aapl,MSFT", cache_dir=tmp_path)
    assert list(prices.columns) == list(COLUMNS)
    assert prices["Ticker"].tolist() == ["AAPL", "AAPL", "MSFT", "MSFT"]
    assert asked["auto_adjust"] is False
    assert (tmp_path / "AAPL.parquet").exists()


def test_days_of_the_union_that_a_ticker_did_not_trade_are_dropped(monkeypatch, tmp_path):
    def download(symbols, **_):
        wide = answer(symbols)
        wide.loc["2020-01-03", "B"] = np.nan
        return wide

    monkeypatch.setattr(yfinance, "download", download)
    prices, reports = fetch_prices(["A", "B"], tmp_path)
    assert prices.groupby("Ticker").size().to_dict() == {"A": 2, "B": 1}
    assert [(r.ticker, r.rows, r.last) for r in reports][1] == ("B", 1, "2020-01-02")


def test_the_cache_stands_in_when_yahoo_fails_and_its_age_is_told(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(yfinance, "download", lambda symbols, **_: answer(symbols))
    fresh = load_prices("yahoo:AAPL", cache_dir=tmp_path)
    frame, when = read_cache(tmp_path, "AAPL")
    write_cache(tmp_path, "AAPL", frame, when - timedelta(days=5))

    def fail(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.setattr(yfinance, "download", fail)
    with caplog.at_level(logging.WARNING):
        cached = load_prices("yahoo:AAPL", cache_dir=tmp_path)
    pd.testing.assert_frame_equal(fresh, cached)
    assert "using the cache, 5 days old" in caplog.text
    assert "no route" in caplog.text


def test_a_failure_that_is_only_logged_is_noticed(monkeypatch, tmp_path):
    def download(symbols, **_):
        logging.getLogger("yfinance").error("['BAD']: YFRateLimitError('Too Many Requests')")
        return answer(symbols, empty=["BAD"])

    monkeypatch.setattr(yfinance, "download", download)
    with pytest.raises(ValueError, match="yahoo:BAD: .*Too Many Requests.*nothing is cached"):
        load_prices("yahoo:BAD,AAPL", cache_dir=tmp_path)
    prices, reports = fetch_prices(["BAD", "AAPL"], tmp_path)
    assert [r.origin for r in reports] == ["none", "yahoo"]
    assert len(prices) == 2


def test_a_rate_limit_is_tried_again(monkeypatch, tmp_path):
    calls = []

    def download(symbols, **_):
        calls.append(symbols)
        if len(calls) < 3:
            raise RuntimeError("Too Many Requests")
        return answer(symbols)

    monkeypatch.setattr(yfinance, "download", download)
    assert len(load_prices("yahoo:AAPL", cache_dir=tmp_path)) == 2
    assert len(calls) == 3


def test_days_with_wrong_numbers_are_left_out_and_named(monkeypatch, tmp_path, caplog):
    def download(symbols, **_):
        wide = answer(symbols)
        wide.loc["2020-01-02", ("AAPL", "Low")] = 0.0
        wide.loc["2020-01-03", ("AAPL", "Volume")] = np.nan  # unknown, which is no reason
        return wide

    monkeypatch.setattr(yfinance, "download", download)
    prices = load_prices("yahoo:AAPL", cache_dir=tmp_path)
    assert prices["Date"].astype(str).tolist() == ["2020-01-03"]
    assert prices["Volume"].tolist() == [0.0]
    assert "yahoo:AAPL: left out 1 days" in caplog.text
    assert "2020-01-02" in caplog.text


def test_offline_never_asks_and_refuses_what_is_not_cached(monkeypatch, tmp_path):
    monkeypatch.setattr(yfinance, "download", lambda symbols, **_: answer(symbols))
    fresh = load_prices("yahoo:AAPL", cache_dir=tmp_path)

    def fail(*_, **__):
        raise AssertionError("asked")

    monkeypatch.setattr(yfinance, "download", fail)
    cached = load_prices("yahoo:AAPL", cache_dir=tmp_path, offline=True)
    pd.testing.assert_frame_equal(fresh, cached)
    with pytest.raises(ValueError, match="yahoo:B: not in the cache .*leave --offline out"):
        load_prices("yahoo:AAPL,B", cache_dir=tmp_path, offline=True)
    _, reports = fetch_prices(["AAPL", "B"], tmp_path, offline=True)
    assert [(r.origin, r.rows) for r in reports] == [("cache", 2), ("none", 0)]


def test_a_broken_cache_file_counts_as_none(monkeypatch, tmp_path, caplog):
    (tmp_path / "AAPL.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(ValueError, match="not in the cache"):
        load_prices("yahoo:AAPL", cache_dir=tmp_path, offline=True)
    assert "AAPL.parquet: not a whole Parquet file" in caplog.text


def test_a_symbol_cannot_leave_the_cache_folder(tmp_path):
    with pytest.raises(ValueError, match="no ticker symbol"):
        fetch_prices(["../../AAPL"], tmp_path)


def test_only_a_rate_limit_is_tried_again(monkeypatch, tmp_path):
    calls = []

    def fail(symbols, **_):
        calls.append(symbols)
        raise ConnectionError("could not resolve host")

    monkeypatch.setattr(yfinance, "download", fail)
    with pytest.raises(ValueError, match="could not resolve host"):
        load_prices("yahoo:AAPL", cache_dir=tmp_path)
    assert len(calls) == 1


def test_no_ticker_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="names no ticker"):
        load_prices("yahoo: ,", cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("now", "end"),
    [("2024-03-05 15:00", "2024-03-05"), ("2024-03-05 23:30", "2024-03-06")],
)
def test_a_trading_day_under_way_is_left_out(now, end):
    assert _end_date(pd.Timestamp(now, tz="UTC").to_pydatetime()) == end
