import numpy as np
import pandas as pd
import pytest

from data.trading_days import day_ahead


def days(weekmask, first="2024-01-01", count=120):
    every = pd.bdate_range(first, periods=count, freq="C", weekmask=weekmask)
    return every.to_numpy().astype("datetime64[D]")


@pytest.mark.parametrize("weekmask", ["Mon Tue Wed Thu Fri", "Sun Mon Tue Wed Thu", "Sat Sun"])
@pytest.mark.parametrize("rows", [1, 5, 60])
def test_a_row_to_come_falls_on_a_day_that_the_series_keeps(weekmask, rows):
    dates = days(weekmask, count=200)
    assert day_ahead(dates[:-rows], rows) == dates[-1]


def test_a_series_of_every_day_has_tomorrow_next():
    dates = np.arange("2024-01-01", "2024-03-02", dtype="datetime64[D]")  # ends on a Friday
    assert day_ahead(dates, 1) == np.datetime64("2024-03-02")
    assert day_ahead(dates, 30) == np.datetime64("2024-03-31")


def test_one_session_on_a_saturday_makes_no_saturday_of_trade():
    dates = np.append(days("Mon Tue Wed Thu Fri", count=60), np.datetime64("2024-03-23"))
    assert day_ahead(dates, 1) == np.datetime64("2024-03-25")


def test_what_a_series_kept_years_ago_does_not_count():
    old = np.arange("2020-01-01", "2022-01-01", dtype="datetime64[D]")
    dates = np.append(old, days("Mon Tue Wed Thu Fri", "2022-01-03", 260))
    assert day_ahead(dates, 2) == np.busday_offset(dates[-1], 2)


def test_a_series_of_one_row_goes_on_by_the_week():
    assert day_ahead(np.array(["2024-01-03"], "datetime64[D]"), 1) == np.datetime64("2024-01-10")
