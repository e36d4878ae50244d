"""Whether one forecast's losses are lower than another's by more than chance (Diebold & Mariano).

Losses h days ahead overlap and so depend on each other over at least h days. Their long-run
variance then needs so long a lag that normal or t critical values reject far too often; the
statistic is compared with its own distribution at that lag instead (fixed-b asymptotics, Kiefer &
Vogelsang 2005, Econometric Theory 21).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, nan, sqrt

import numpy as np
from jaxtyping import Float

LAG_PER_HORIZON = 3  # a Bartlett lag of one horizon sees two thirds of the variance of overlaps
LAG_PER_ROOT = 1.3  # Lazarus, Lewis, Stock & Watson 2018 (JBES 36), eq. 4
MINIMUM_DAYS = 20
NUM_DRAWS, NUM_STEPS = 20_000, 400  # of the Brownian motion that gives the critical values


@dataclass(frozen=True)
class DieboldMariano:
    """A test of equal mean loss.

    Attributes:
        mean_difference: First forecast's mean loss less the second's; negative favours the first.
        statistic: Mean over its standard error, corrected; NaN where not tested.
        p_value: Two-sided, in (0, 1]; NaN where not tested.
        lag: Days over which the variance counts dependence.
        days: How many days were averaged.
        reason: Why it was not tested; empty where it was.
    """

    mean_difference: float
    statistic: float
    p_value: float
    lag: int
    days: int
    reason: str = ""


def diebold_mariano(differences: Sequence[float], horizon: int) -> DieboldMariano:
    """Test whether the mean of daily loss differences is zero (Diebold & Mariano 1995, JBES 13).

    The variance is Newey & West's (1987) with Bartlett weights. The correction of Harvey, Leybourne
    & Newbold (1997, eq. 9) is for short series and long horizons. Where two losses are equal on
    every day, p is 1.

    Args:
        differences: One forecast's loss less another's on each day, averaged over what was
            forecast that day, in the order of the days.
        horizon: Days ahead, at least 1; differences closer than this overlap.

    Raises:
        ValueError: The horizon is below 1, or a difference is not finite.
    """
    losses = np.asarray(differences, float)
    if horizon < 1:
        raise ValueError(f"horizon={horizon} must be at least 1; give the days ahead")
    if not np.isfinite(losses).all():
        raise ValueError("a loss difference is not finite; leave out the days without an outcome")
    days, needed = len(losses), max(MINIMUM_DAYS, 2 * horizon)
    mean = float(losses.mean()) if days else nan
    lag = min(max(LAG_PER_HORIZON * horizon, ceil(LAG_PER_ROOT * sqrt(days))), max(days - 1, 1))
    if days < needed:
        return DieboldMariano(mean, nan, nan, lag, days, f"{days} days, needs at least {needed}")
    if not losses.any():
        return DieboldMariano(0.0, 0.0, 1.0, lag, days)
    if losses.std() <= 1e-12 * abs(mean):
        return DieboldMariano(mean, nan, nan, lag, days, "the same difference on every day")
    statistic = small_sample_correction(days, horizon) * float(
        _studentised(losses[None], lag + 1)[0]
    )
    reference = null_statistics(_steps((lag + 1) / days))
    as_large = len(reference) - int(np.searchsorted(reference, abs(statistic)))
    return DieboldMariano(mean, statistic, (as_large + 1) / (len(reference) + 1), lag, days)


def small_sample_correction(days: int, horizon: int) -> float:
    """Factor of the statistic for few days and long horizons (Harvey et al. 1997, eq. 9).

    Args:
        days: How many were averaged; fewer than two horizons count as two.
        horizon: Days ahead, at least 1.

    Returns:
        In (0, 1].
    """
    n = max(days, 2 * horizon)
    return sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)


def critical_value(share: float, level: float = 0.05) -> float:
    """Size that the statistic exceeds with the probability `level` where there is no difference.

    Args:
        share: Bandwidth over the number of days, in (0, 1].
        level: Probability of both tails.
    """
    return float(np.quantile(null_statistics(_steps(share)), 1 - level))


@lru_cache(maxsize=64)
def null_statistics(bandwidth: int) -> Float[np.ndarray, " R"]:
    """Sizes of the statistic where there is no difference, rising: its limit for long series.

    Drawn from a Brownian motion of NUM_STEPS steps with a fixed seed. At the 95 % point this is
    the polynomial of Kiefer & Vogelsang (2005, Table 1).

    Args:
        bandwidth: Lag plus one, in steps, from 1 to NUM_STEPS.
    """
    generator = np.random.default_rng(0)
    pieces = [
        _studentised(generator.standard_normal((1000, NUM_STEPS)), bandwidth)
        for _ in range(NUM_DRAWS // 1000)
    ]
    return np.sort(np.abs(np.concatenate(pieces)))


def _steps(share: float) -> int:
    """A share of the series in steps of the Brownian motion."""
    return min(max(round(NUM_STEPS * share), 1), NUM_STEPS)


def _studentised(x: Float[np.ndarray, "R T"], bandwidth: int) -> Float[np.ndarray, " R"]:
    """Mean over its Newey-West standard error.

    With Bartlett weights the long-run variance is a sum over squares of partial sums (Kiefer &
    Vogelsang 2005, eq. 5), which is cheaper than autocovariances and never negative.
    """
    count = x.shape[1]
    mean = x.mean(axis=1)
    partial = np.cumsum(x - mean[:, None], axis=1)  # (R, T), the last one 0
    apart = (partial[:, :-bandwidth] * partial[:, bandwidth:]).sum(axis=1)
    variance = 2 * ((partial**2).sum(axis=1) - apart) / (count * bandwidth)
    return mean / np.sqrt(variance / count)
