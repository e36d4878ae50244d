import numpy as np
import pandas as pd

from data.price_gaps import missing_days


def table(days_of):
    frames = [pd.DataFrame({"Ticker": ticker, "Date": days}) for ticker, days in days_of.items()]
    return pd.concat(frames, ignore_index=True)


def days(start, periods, leave_out=()):
    return pd.bdate_range(start, periods=periods).drop(pd.DatetimeIndex(leave_out))


def counts(days_of):
    return {ticker: len(missing) for ticker, missing in missing_days(table(days_of)).items()}


def test_a_day_that_the_peers_have_is_missing():
    gap = "2020-03-03"
    found = missing_days(
        table({"A": days("2020-03-02", 20, [gap]), "B": days("2020-03-02", 20), "C": days(gap, 5)})
    )
    assert found["A"].tolist() == [np.datetime64(gap).item()]
    assert not len(found["B"])
    assert not len(found["C"])


def test_young_and_delisted_tickers_have_no_gap_before_and_after():
    assert counts(
        {
            "OLD": days("2020-01-01", 100),
            "YOUNG": days("2020-03-02", 50),
            "GONE": days("2020-01-01", 20),
        }
    ) == {"OLD": 0, "YOUNG": 0, "GONE": 0}


def test_another_exchange_has_another_calendar():
    seoul = days("2020-03-02", 40, ["2020-03-05", "2020-03-12"])
    coins = pd.date_range("2020-03-02", periods=56)
    found = counts({"A": days("2020-03-02", 40), "005930.KS": seoul, "BTC-USD": coins})
    assert found == {"A": 0, "005930.KS": 0, "BTC-USD": 0}


def test_the_odd_day_of_one_ticker_is_no_gap_of_the_others():
    odd = days("2020-03-02", 20).append(pd.DatetimeIndex(["2020-03-07"]))
    regular = days("2020-03-02", 20)
    assert counts({"A": odd, "B": regular, "C": regular}) == {"A": 0, "B": 0, "C": 0}


def test_a_lone_ticker_lacks_only_what_no_closure_explains():
    holidays = ["2020-04-10", "2020-04-13", "2020-05-01"]
    assert counts({"A": days("2020-03-02", 60, holidays)}) == {"A": 0}
    hole = pd.bdate_range("2020-03-16", periods=20)
    assert counts({"A": days("2020-03-02", 60, hole)}) == {"A": 20}
