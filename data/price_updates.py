"""New days and new tickers joined to prices that are kept."""

import logging

import pandas as pd

from data.price_checks import PRICE_COLUMNS
from data.price_jumps import find_split_jumps

logger = logging.getLogger(__name__)


def append_prices(kept: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Add what is new to kept prices, which stay as they are.

    A later download of the same days has other adjusted prices, because every dividend and split
    moves all that came before. So a ticker's new days are rescaled to agree with the kept ones on
    the last day that both have.

    Args:
        kept: The table of `data.prices.load_prices`.
        new: The same, of other days or tickers; days of a kept ticker before its last are ignored.

    Where no day is shared, nothing tells of a split between the two; a jump there that looks like
    one is told of in a warning.

    Returns:
        All rows, sorted by ticker and date.
    """
    last = kept.groupby("Ticker")["Date"].max()
    parts = [kept]
    for ticker, days in new.groupby("Ticker"):
        if ticker not in last.index:
            parts.append(days)
            continue
        later = days[days["Date"] > last[ticker]].copy()
        own = kept[kept["Ticker"] == ticker].set_index("Date")
        shared = own.index.intersection(pd.DatetimeIndex(days["Date"]))
        if len(shared) and len(later):
            day = shared.max()
            again = days.set_index("Date").loc[day]
            for column in PRICE_COLUMNS:
                basis = "Adj Close" if column == "Adj Close" else "Close"
                later[column] = later[column] * (own.loc[day, basis] / again[basis])
            later["Volume"] /= own.loc[day, "Close"] / again["Close"]  # split, shares double
        elif len(later):
            _tell_split_seam(pd.concat([own.reset_index(), later]), later["Date"].iloc[0])
        parts.append(later)
    return pd.concat(parts).sort_values(["Ticker", "Date"], ignore_index=True)


def _tell_split_seam(joined: pd.DataFrame, first: pd.Timestamp) -> None:
    """Warn where one ticker's first new day looks split against its last kept one."""
    for jump in find_split_jumps(joined):
        if jump.date == str(first.date()):
            logger.warning(
                "%s: the new rows look split against the kept ones; give rows that overlap them",
                jump,
            )
