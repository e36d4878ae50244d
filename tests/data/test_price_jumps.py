from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.price_checks import PRICE_COLUMNS
from data.price_jumps import find_split_jumps
from data.prices import load_prices

STOCKNET = Path(__file__).parents[3] / "shared" / "data" / "stocknet" / "prices.csv.gz"


@pytest.fixture(scope="module")
def sample():
    return load_prices("sample")


def split(prices, day, ratio):
    """The prices of one ticker as if nobody had adjusted for a split."""
    later = prices["Date"] >= day
    changed = prices.copy()
    for column in PRICE_COLUMNS:
        changed.loc[later, column] /= float(ratio)
    changed.loc[later, "Volume"] *= float(ratio)
    return changed


def test_adjusted_prices_have_no_flag(sample):
    assert find_split_jumps(sample) == []


@pytest.mark.skipif(not STOCKNET.exists(), reason="needs ../shared/data")
def test_sixty_six_adjusted_tickers_have_no_flag():
    assert find_split_jumps(load_prices(str(STOCKNET))) == []


def test_every_real_split_of_the_sample_is_found_and_no_crash(sample):
    raw = sample.assign(**{"Adj Close": sample["Close"]})
    assert [str(jump) for jump in find_split_jumps(raw)] == [
        "AAPL 2000-06-21 (2:1)",  # and not 2000-09-29, when it lost half in a day
        "AAPL 2005-02-28 (2:1)",
        "MSFT 2003-02-18 (2:1)",
    ]


@pytest.mark.parametrize("ratio", ["2", "3", "3/2", "4/3", "10", "1/2", "1/10"])
def test_a_made_split_is_found_by_date_and_ratio(sample, ratio):
    prices = sample[sample["Ticker"] == "IBM"]
    found = 0
    for day in prices["Date"].iloc[100::400]:
        value = Fraction(ratio)
        expected = f"IBM {day.date()} ({value.numerator}:{value.denominator})"
        jumps = [str(jump) for jump in find_split_jumps(split(prices, day, value))]
        assert set(jumps) <= {expected}
        found += len(jumps)
    assert found >= len(prices["Date"].iloc[100::400]) - 1  # a split on a day of news may be missed


def test_without_volume_a_split_is_found_by_its_day(sample):
    prices = sample[sample["Ticker"] == "IBM"].assign(Volume=0.0)
    assert len(find_split_jumps(split(prices, pd.Timestamp("2007-05-01"), 2))) == 1


def test_a_fall_by_half_that_is_traded_like_a_crash_is_no_split(sample):
    prices = sample[sample["Ticker"] == "IBM"]
    crash = split(prices, pd.Timestamp("2007-05-01"), 2).assign(Volume=prices["Volume"])
    crash.loc[crash["Date"] == "2007-05-01", "Volume"] *= 12
    assert find_split_jumps(crash) == []


def test_a_fall_by_half_after_which_few_shares_are_traded_is_no_split(sample):
    prices = sample[sample["Ticker"] == "IBM"]
    fall = split(prices, pd.Timestamp("2007-05-01"), 2)
    fall.loc[fall["Date"] >= "2007-05-01", "Volume"] /= 20
    assert find_split_jumps(fall) == []


def test_a_jump_between_two_ratios_is_no_split(sample):
    prices = sample[sample["Ticker"] == "IBM"]
    assert find_split_jumps(split(prices, pd.Timestamp("2007-05-01"), 70)) == []


def test_two_days_are_too_few_to_tell():
    days = pd.bdate_range("2020-01-01", periods=2)
    prices = pd.DataFrame({"Ticker": "A", "Date": days, "Volume": 1.0})
    for column in PRICE_COLUMNS:
        prices[column] = np.array([10.0, 5.0])
    assert find_split_jumps(prices) == []
