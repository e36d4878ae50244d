"""Intervals for means and ratios of means over days that depend on each other.

Neighbouring days' losses resemble each other, and forecasts h days ahead overlap: blocks of days at
least as long as the horizon are drawn instead of single days (Kuensch 1989), on a circle, so that
every day is drawn equally often (Politis & Romano 1992).
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from core.bootstrap import NUM_RESAMPLES, interval
from core.diebold_mariano import critical_value, small_sample_correction

BLOCK_PER_HORIZON = 3  # blocks of one horizon miss a third of the variance of overlaps
CRITICAL_NORMAL = 1.96
SHORTEST_BLOCK = 10  # two weeks: volatility lasts


def day_sums(values: ArrayLike, days: ArrayLike) -> Float[np.ndarray, "D K"]:
    """Sums of each day's values, by day.

    Args:
        values: What happened on the days, (N, K), finite.
        days: Day of each, sortable, (N,).
    """
    numbers = np.unique(np.asarray(days), return_inverse=True)[1]
    columns = np.asarray(values, float)
    sums = np.zeros((int(numbers.max(initial=-1)) + 1, columns.shape[1]))
    np.add.at(sums, numbers, columns)
    return sums


def block_length(horizon: int, num_days: int) -> int:
    """Days in a block: BLOCK_PER_HORIZON horizons, at most a third of all days.

    Args:
        horizon: Days ahead, at least 1.
        num_days: Days that there are, at least 1.
    """
    longest = max(num_days // 3, 1)
    return min(max(BLOCK_PER_HORIZON * horizon, SHORTEST_BLOCK), longest)


def resample_days(
    units: Float[np.ndarray, "D K"], length: int, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> Float[np.ndarray, "R K"]:
    """Sums over as many days, drawn in blocks with replacement.

    The draws depend on the number of days, the length and the seed alone: columns, and calls with
    the same days, are paired.

    Args:
        units: Sums of each day, in the order of the days, at least one.
        length: Days in a block, from 1 to D.
        num_resamples: How many.
        seed: Of the draws.

    Raises:
        ValueError: No block of that length can be drawn.
    """
    count = len(units)
    if not 1 <= length <= count:
        raise ValueError(f"length={length} must be from 1 to the {count} days; shorten it")
    whole, rest = divmod(count, length)
    starts = np.random.default_rng(seed).integers(0, count, (num_resamples, whole + (rest > 0)))
    sums = _block_sums(units, length)[starts[:, :whole]].sum(axis=1)  # (R, K)
    return sums + _block_sums(units, rest)[starts[:, whole]] if rest else sums


def mean_interval(
    units: Float[np.ndarray, "D K"], horizon: int, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> list[float]:
    """The 95 % interval of a mean, of a ratio of means, or of the mean of several ratios.

    Few blocks vary too little. Blocks of L days have the variance of Bartlett weights with
    bandwidth L (Kuensch 1989, theorem 3.1), so the percentile interval is stretched as
    `diebold_mariano` does: by that variance's critical value over the normal's, and by the small
    sample's correction. How often it holds the truth: `python -m benchmarks.difference_tests`.

    Args:
        units: Sums of each day: of the numerators, then of as many denominators (the number of
            rows, or another forecast's losses).
        horizon: Days ahead, at least 1; of several the longest.
        num_resamples: How many draws.
        seed: Of the draws.
    """
    length = block_length(horizon, len(units))
    sums = resample_days(units, length, num_resamples, seed)
    stretch = critical_value(length / len(units)) / CRITICAL_NORMAL
    stretch /= small_sample_correction(len(units), horizon)
    observed = float(_mean_ratio(units.sum(axis=0, keepdims=True))[0])
    drawn = _mean_ratio(sums)
    ends = interval(drawn[np.isfinite(drawn)])  # few days may draw none with a known outcome
    return [observed + stretch * (end - observed) for end in ends]


def _mean_ratio(sums: Float[np.ndarray, "R K"]) -> Float[np.ndarray, " R"]:
    """Mean of the first half of the columns over the second."""
    numerators, denominators = np.split(sums, 2, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (numerators / denominators).mean(axis=1)


def _block_sums(units: Float[np.ndarray, "D K"], length: int) -> Float[np.ndarray, "D K"]:
    """Sum of the block that starts at each day; past the last day it goes on at the first."""
    around = np.concatenate([np.zeros((1, units.shape[1])), units, units[:length]])
    total = np.cumsum(around, axis=0)
    return total[length : length + len(units)] - total[: len(units)]
