"""What is refused in a table of prices, what is left out, and what is only told."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from data.price_gaps import missing_days
from data.price_jumps import find_split_jumps
from data.price_slices import ticker_slices

logger = logging.getLogger(__name__)

PRICE_COLUMNS = ("Open", "High", "Low", "Close", "Adj Close")
NUMBER_COLUMNS = (*PRICE_COLUMNS, "Volume")
FIRST_DAY = pd.Timestamp("1800-01-01")  # no exchange has daily prices of before
HIGHEST = 1e12
ROWS_A_WEEK = 3  # fewer, in the median of the weeks that have any, are not daily prices
LEAST_WEEKS = 4  # that it takes to tell
LEAST_FLAT = 60  # rows without any move, after which a price counts as flat
MANY_MISSING = 0.1  # share of a ticker's trading days
FIRST_CLOCK = timedelta(hours=14)  # where a day begins first
FLAT = "flat"
SPACINGS = (("weekly", 5, 9), ("monthly", 26, 33), ("quarterly", 85, 98))  # days between rows

Location = Callable[[int], str]


def first_row(is_bad: pd.Series) -> int | None:
    """Index label of the first True, or None."""
    labels = is_bad.index[is_bad]
    return int(labels[0]) if len(labels) else None


def check_values(frame: pd.DataFrame, location: Location) -> None:
    """Refuse what no price can be, a high below the low, negative volumes and repeated dates.

    A price lies above 0 and up to `HIGHEST`, a date not before `FIRST_DAY`.

    Args:
        frame: The table of `data.prices.load_prices`, in any order.
        location: Words for where a row, given by its index label, stands.

    Raises:
        ValueError: The first wrong row.
    """
    wrong: list[tuple[int, str]] = []
    for column in NUMBER_COLUMNS:
        is_volume = column == "Volume"  # a day without trade is valid, a negative count is not
        bad = frame[column] < 0 if is_volume else frame[column] <= 0
        if (row := first_row(bad)) is not None:
            rule = "must not be negative" if is_volume else "must be above 0"
            wrong.append((row, f"{column} {frame[column][row]:g} {rule}; correct or remove it"))
    if (row := first_row(frame["Date"] < FIRST_DAY)) is not None:
        day = frame["Date"][row].date()
        wrong.append((row, f"date {day} lies before {FIRST_DAY.date()}; correct or remove it"))
    if (row := first_row(frame[list(PRICE_COLUMNS)].max(axis=1) > HIGHEST)) is not None:
        wrong.append((row, f"a price above {HIGHEST:g} is none; correct or remove it"))
    if (row := first_row(frame["High"] < frame["Low"])) is not None:
        high, low = frame["High"][row], frame["Low"][row]
        wrong.append((row, f"High {high:g} is below Low {low:g}; correct or remove it"))
    if (row := first_row(frame.duplicated(["Ticker", "Date"]))) is not None:
        ticker, date = frame["Ticker"][row], frame["Date"][row].date()
        wrong.append((row, f"date {date} of {ticker} stands twice; keep one of the rows"))
    if wrong:
        row, problem = min(wrong)
        raise ValueError(f"{location(row)}: {problem}")


def drop_unusable(prices: pd.DataFrame, source: str) -> pd.DataFrame:
    """Leave out what no forecast can be learned from, and tell of what looks wrong.

    Rows of the future are left out, and tickers whose rows are not daily or whose price is flat;
    jumps that look like unadjusted splits and tickers with many missing days or without volume
    stay. Each kind is one warning.

    Args:
        prices: The table of `data.prices.load_prices`.
        source: Where it comes from, for the messages.

    Returns:
        The rest, in the same order, numbered anew.

    Raises:
        ValueError: Nothing is left.
    """
    is_future = prices["Date"] > pd.Timestamp(datetime.now(UTC) + FIRST_CLOCK).tz_localize(None)
    if is_future.any():
        first = prices[is_future].iloc[0]
        told = (
            f"{int(is_future.sum())} rows of the future, first {first.Ticker} {first.Date.date()}"
        )
        if is_future.all():
            raise ValueError(f"{source}: has only {told}; correct the dates")
        logger.warning("%s: left out %s; correct the dates", source, told)
        prices = prices[~is_future]
    reasons = _reasons(prices)
    if reasons:
        named = [f"{ticker} ({reason})" for ticker, reason in reasons.items()]
        told = ", ".join(named[:10]) + (f" and {len(named) - 10} more" if len(named) > 10 else "")
        is_flat = all(reason.startswith(FLAT) for reason in reasons.values())
        hint = "give prices that move" if is_flat else "give one row a trading day"
        if len(reasons) == prices["Ticker"].nunique():
            raise ValueError(f"{source}: no usable ticker: {told}; {hint}")
        logger.warning("%s: left out %s; %s", source, told, hint)
        prices = prices[~prices["Ticker"].isin(list(reasons))]
    prices = prices.reset_index(drop=True)
    _tell_jumps(prices, source)
    _tell_gaps(prices, source)
    _tell_volume(prices, source)
    return prices


def _reasons(prices: pd.DataFrame) -> dict[str, str]:
    """Why tickers are left out, by ticker."""
    found = {}
    all_dates = prices["Date"].to_numpy().astype("datetime64[D]")
    all_close = prices["Adj Close"].to_numpy()
    for ticker, rows in ticker_slices(prices).items():
        dates, close = all_dates[rows], all_close[rows]
        if reason := _not_daily(dates):
            others = np.concatenate([all_dates[: rows.start], all_dates[rows.stop :]])
            is_inside = (others > dates[0]) & (others < dates[-1])
            if is_inside.any() and not np.isin(dates, others).any():
                reason += ", on days when no other ticker traded"
            found[ticker] = reason
        elif len(close) >= LEAST_FLAT and (close == close[0]).all():
            found[ticker] = f"{FLAT}: {close[0]:g} on all {len(close)} days"
    return found


def _not_daily(dates: np.ndarray) -> str:
    """How far apart the rows of a ticker stand, in words; empty where they are daily."""
    weeks = (dates - np.datetime64("1970-01-05")).astype(int) // 7
    rows = np.unique(weeks, return_counts=True)[1]
    if len(rows) < LEAST_WEEKS or np.median(rows) >= ROWS_A_WEEK:
        return ""
    spacing = float(np.median(np.diff(dates).astype(int)))
    for name, least, most in SPACINGS:
        if least <= spacing <= most:
            return f"{name} rows"
    return f"rows {spacing:g} days apart" if spacing > 1 else "rows on few days a week"


def _tell_jumps(prices: pd.DataFrame, source: str) -> None:
    jumps = find_split_jumps(prices)
    if jumps:
        named = ", ".join(str(jump) for jump in jumps[:5]) + (" ..." if len(jumps) > 5 else "")
        logger.warning(
            "%s: jumps that look like unadjusted splits: %s; adjust Adj Close for them",
            source,
            named,
        )


def _tell_gaps(prices: pd.DataFrame, source: str) -> None:
    missing, rows = missing_days(prices), ticker_slices(prices)
    all_days = {
        ticker: len(missing[ticker]) + rows[ticker].stop - rows[ticker].start for ticker in rows
    }
    many = {
        ticker: days
        for ticker, days in missing.items()
        if len(days) > MANY_MISSING * all_days[ticker]
    }
    if many:
        named = ", ".join(
            f"{ticker} ({len(days)} of {all_days[ticker]}, first {days[0]})"
            for ticker, days in list(many.items())[:5]
        )
        logger.warning(
            "%s: trading days are missing: %s%s; a step over them counts as one day",
            source,
            named,
            " ..." if len(many) > 5 else "",
        )


def _tell_volume(prices: pd.DataFrame, source: str) -> None:
    volume = prices["Volume"].to_numpy()
    unknown = [ticker for ticker, rows in ticker_slices(prices).items() if not volume[rows].any()]
    if unknown:
        named = ", ".join(unknown[:5]) + (" ..." if len(unknown) > 5 else "")
        logger.warning("%s: no volume at all, it counts as unknown: %s", source, named)
