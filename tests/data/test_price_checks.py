import logging

import numpy as np
import pandas as pd
import pytest

from data.prices import load_prices


def frame(ticker, days, seed=0):
    close = 50 * np.exp(0.01 * np.cumsum(np.random.default_rng(seed).standard_normal(len(days))))
    return pd.DataFrame(
        {
            "Ticker": ticker,
            "Date": pd.DatetimeIndex(days).strftime("%Y-%m-%d"),
            "Open": close,
            "High": close * 1.01,
            "Low": close * 0.99,
            "Close": close,
            "Adj Close": close,
            "Volume": 1000,
        }
    )


DAILY = pd.bdate_range("2015-01-05", periods=300)
HOLIDAYS = pd.bdate_range("2015-01-05", "2016-02-01", freq="23B")


def load(path, *frames):
    pd.concat(frames).to_csv(path, index=False)
    return load_prices(str(path))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "p.csv"


def flat(ticker):
    same = frame(ticker, DAILY)
    same[["Open", "High", "Low", "Close", "Adj Close"]] = 7.5
    return same


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (frame("W", pd.date_range("2015-01-09", periods=60, freq="W-FRI")), "W (weekly rows)"),
        (frame("M", pd.date_range("2012-01-31", periods=60, freq="ME")), "M (monthly rows)"),
        (
            frame(
                "S",
                pd.date_range("2015-01-10", periods=60, freq="W-SAT")
                .append(pd.date_range("2015-01-11", periods=60, freq="W-SUN"))
                .sort_values(),
            ),
            "S (rows on few days a week, on days when no other ticker traded)",
        ),
        (flat("F"), "F (flat: 7.5 on all 300 days)"),
    ],
)
def test_a_ticker_without_daily_moving_prices_is_left_out_or_alone_refused(
    path, caplog, bad, problem
):
    with caplog.at_level(logging.WARNING):
        prices = load(path, frame("A", DAILY), bad)
    assert prices["Ticker"].unique().tolist() == ["A"]
    [record] = caplog.records
    assert problem in record.getMessage()
    assert "p.csv: left out" in record.getMessage()
    with pytest.raises(ValueError, match="no usable ticker.*; give") as error:
        load(path, bad)
    assert problem.partition(",")[0].rstrip(")") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_ticker_of_holidays_alone_is_left_out(path, caplog):
    peer = frame("A", DAILY.difference(HOLIDAYS))
    assert load(path, peer, frame("H", HOLIDAYS))["Ticker"].unique().tolist() == ["A"]
    assert "on days when no other ticker traded" in caplog.text


def test_rows_of_the_future_are_left_out(path, caplog):
    late = frame("A", [*DAILY, pd.Timestamp("2190-01-05")])
    assert len(load(path, late)) == len(DAILY)
    assert "left out 1 rows of the future, first A 2190-01-05" in caplog.text
    with pytest.raises(ValueError, match="only 3 rows of the future"):
        load(path, frame("A", pd.bdate_range("2190-01-05", periods=3)))


def test_today_is_no_future(path):
    today = pd.Timestamp.now("UTC").tz_localize(None).normalize()
    assert load(path, frame("A", [today])).shape[0] == 1


def test_a_split_that_nobody_adjusted_is_told_by_date_and_stays(path, caplog):
    prices = frame("A", DAILY)
    prices.loc[150:, ["Open", "High", "Low", "Close", "Adj Close"]] /= 10
    prices.loc[150:, "Volume"] *= 10
    assert len(load(path, prices)) == len(DAILY)
    [record] = caplog.records
    assert f"A {DAILY[150].date()} (10:1)" in record.getMessage()


def test_many_missing_days_are_told_and_a_delisted_ticker_lacks_none(path, caplog):
    load(path, frame("A", DAILY), frame("GONE", DAILY[:100], seed=1), frame("B", DAILY, seed=2))
    assert not caplog.records
    holes = DAILY.delete(range(100, 160))
    load(path, frame("A", DAILY), frame("B", DAILY, seed=2), frame("C", holes))
    [record] = caplog.records
    assert f"C (60 of 300, first {DAILY[100].date()})" in record.getMessage()


def test_a_volume_that_is_missing_is_unknown_and_loses_no_row(path, caplog):
    prices = frame("A", DAILY).astype({"Volume": object})
    prices.loc[5, "Volume"] = ""
    loaded = load(path, prices)
    assert len(loaded) == len(DAILY)
    assert loaded["Volume"][5] == 0
    assert not caplog.records
    assert (load(path, prices.drop(columns="Volume"))["Volume"] == 0).all()
    assert "p.csv: no volume at all, it counts as unknown: A" in caplog.text


def test_a_time_zone_keeps_the_day_as_written(path, caplog):
    prices = frame("A", DAILY)
    for ending, is_told in (
        (" 00:00:00-05:00", False),
        ("T00:00:00+09:00", False),
        (" 15:00:00+00:00", True),
        ("T21:00:00Z", True),
    ):
        caplog.clear()
        loaded = load(path, prices.assign(Date=prices["Date"] + ending))
        assert loaded["Date"].tolist() == list(DAILY)
        assert ("dates carry a time" in caplog.text) == is_told
