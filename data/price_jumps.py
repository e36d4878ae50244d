"""Jumps that look like a share split which the adjusted close does not take out."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.price_slices import ticker_slices

Floats = NDArray[np.float64]

FORWARD = [Fraction(n) for n in (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 50, 100)]
PARTS = [Fraction(3, 2), Fraction(4, 3), Fraction(5, 2)]
RATIOS = [*PARTS, *FORWARD, *(1 / ratio for ratio in (*PARTS, *FORWARD))]
LOG_RATIOS = np.log([float(ratio) for ratio in RATIOS])
NEAR = 0.75  # a jump is near a ratio within a quarter of its logarithm
USUAL_DAYS = 60  # days before and after that tell what is usual around a jump
VOLUME_DAYS = 10  # a crash is traded heavily for some days, a split changes the level for good
LEFT_MOVES = 6.0  # what may be left of the jump, in usual daily moves
WIDEST_RANGE = 4.0  # from high to low on the day, in usual ranges
LEAST_MOVE = 0.005  # a series that hardly moves still has usual moves of half a percent
VOLUME_LEVEL = 0.75  # how far, on either side, the level's change may be off, in log ratios,
VOLUME_LEVEL_LEAST = 1.0  # but at least so much
VOLUME_PEAK = float(np.log(5))  # how far the day itself may be above: a crash trades far more


@dataclass(frozen=True)
class Jump:
    """A day whose price looks split.

    Attributes:
        ticker: Its symbol.
        date: First day after the split, ISO.
        ratio: New shares for old ones, such as `2:1`, or `1:10` for a reverse split.
    """

    ticker: str
    date: str
    ratio: str

    def __str__(self) -> str:
        return f"{self.ticker} {self.date} ({self.ratio})"


def find_split_jumps(prices: pd.DataFrame) -> list[Jump]:
    """Days on which the adjusted close jumps as a split would make it.

    A split moves the whole day: the adjusted close and the day's range, up to a usual day's move,
    by one of `RATIOS`, and the volume's level the inverse way. A crash on news shares the first
    now and then, but its day has a wide range and its volume falls back. Volume of zero is unknown
    and proves nothing either way.

    Args:
        prices: The table of `data.prices.load_prices`, sorted by ticker and date.

    Returns:
        One a day, by ticker and date.
    """
    close = np.log(prices["Adj Close"].to_numpy(float))
    return [
        jump
        for ticker, rows in ticker_slices(prices).items()
        for jump in _jumps_of(ticker, close[rows], prices.iloc[rows])
    ]


def _jumps_of(ticker: str, close: Floats, days: pd.DataFrame) -> list[Jump]:
    moves = np.diff(close)  # move i leads to day i + 1
    large = np.flatnonzero(np.abs(moves) > NEAR * np.abs(LOG_RATIOS).min())
    if not len(large):
        return []
    high_low = np.log(days["High"].to_numpy(float) / days["Low"].to_numpy(float))
    volume = days["Volume"].to_numpy(float)
    found = []
    for i in large.tolist():
        left = -moves[i] - LOG_RATIOS  # (R,): a 2:1 split halves the price
        best = int(np.abs(left).argmin())
        if abs(left[best]) > (1 - NEAR) * abs(LOG_RATIOS[best]):
            continue
        if _is_usual_day(moves, high_low, i, left[best]) and _volume_agrees(
            volume, i + 1, LOG_RATIOS[best]
        ):
            ratio, date = RATIOS[best], days["Date"].iloc[i + 1].date()
            found.append(Jump(ticker, str(date), f"{ratio.numerator}:{ratio.denominator}"))
    return found


def _is_usual_day(moves: Floats, high_low: Floats, i: int, left: float) -> bool:
    """Whether the jump's day is like the days around it but for the ratio."""
    around = np.r_[max(0, i - USUAL_DAYS) : i, i + 1 : min(len(moves), i + 1 + USUAL_DAYS)]
    if not len(around):
        return False
    usual_move = max(float(np.median(np.abs(moves[around]))), LEAST_MOVE)
    usual_range = max(float(np.median(high_low[around + 1])), LEAST_MOVE)
    return abs(left) < LEFT_MOVES * usual_move and high_low[i + 1] < WIDEST_RANGE * usual_range


def _volume_agrees(volume: Floats, day: int, log_ratio: float) -> bool:
    """Whether the volume's level moves as a split makes it: twice the shares for 2:1."""
    before, after = volume[max(0, day - VOLUME_DAYS) : day], volume[day : day + VOLUME_DAYS]
    before, after = before[before > 0], after[after > 0]
    if not len(before) or not len(after):
        return True
    usual = np.median(before) * np.exp(log_ratio)
    level, peak = np.log(np.median(after) / usual), np.log(max(volume[day], 1.0) / usual)
    tolerance = max(VOLUME_LEVEL * abs(log_ratio), VOLUME_LEVEL_LEAST)
    return bool(abs(level) < tolerance and peak < VOLUME_PEAK)
