"""Trading days that a ticker lacks, by the calendar of its own exchange."""

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.price_slices import ticker_slices

Dates = NDArray[np.datetime64]

LONGEST_CLOSURE = 7  # weekdays; the New York exchange closed for 4 in 2001, Shanghai's week is 5


def exchange_of(ticker: str) -> str:
    """Who shares a calendar with a ticker, by Yahoo's way of writing symbols.

    >>> [exchange_of(ticker) for ticker in ("AAPL", "BRK-B", "005930.KS", "BTC-USD", "EURUSD=X")]
    ['', '', '.KS', '-USD', '=X']

    An index (^KS11) tells nothing of its exchange and stands alone.
    """
    if ticker.startswith("^"):
        return ticker
    found = re.search(r"(\.[A-Z]+|-(USD|EUR|GBP|JPY|KRW)|=[A-Z])$", ticker)
    return found.group() if found else ""


def missing_days(prices: pd.DataFrame) -> dict[str, Dates]:
    """Days between a ticker's first and last on which it has no row and should.

    The calendar of an exchange has the days on which at least half of its tickers that are listed
    then have a row, and the weekdays of a closure longer than any real one.

    Args:
        prices: The table of `data.prices.load_prices`, sorted by ticker and date.

    Returns:
        The days, rising, by ticker.
    """
    dates = prices["Date"].to_numpy().astype("datetime64[D]")
    days_of = {ticker: dates[rows] for ticker, rows in ticker_slices(prices).items()}
    missing: dict[str, Dates] = {}
    for exchange in {exchange_of(ticker) for ticker in days_of}:
        peers = [ticker for ticker in days_of if exchange_of(ticker) == exchange]
        calendar = _calendar([days_of[ticker] for ticker in peers])
        for ticker in peers:
            own = days_of[ticker]
            inside = calendar[(calendar > own[0]) & (calendar < own[-1])]
            missing[ticker] = inside[~np.isin(inside, own, assume_unique=True)]
    return missing


def _calendar(days: list[Dates]) -> Dates:
    """The trading days of an exchange, from the days of each of its tickers."""
    union, traded = np.unique(np.concatenate(days), return_counts=True)
    first, last = (np.sort([own[i] for own in days]) for i in (0, -1))
    listed = np.searchsorted(first, union, "right") - np.searchsorted(last, union, "left")
    known = union[2 * traded >= listed]
    if not len(known):
        return union
    closed = np.busday_count(known[:-1], known[1:]) - 1
    holes = [
        np.arange(known[i] + 1, known[i + 1]) for i in np.flatnonzero(closed > LONGEST_CLOSURE)
    ]
    filled = [hole[np.is_busday(hole)] for hole in holes]
    return np.sort(np.concatenate([known, *filled]))
