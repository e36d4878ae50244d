"""Rolling conformal calibration: a day's width follows how wide the last forecasts had to be.

Split conformal prediction (Vovk et al. 2005; for quantile forecasts Romano et al. 2019,
arXiv:1905.03222) takes the quantile of past misses as the width that would have covered them. Here
a miss is measured in units of the forecast's own half width, so that one factor fits days of every
volatility, and only the outcomes that were known on a day speak for it. It differs in that the
factor is shrunk towards 1: returns over h days overlap, so that the window holds h times fewer
independent ones than days.
"""

from typing import cast

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

WINDOW = 250  # days whose forecasts speak, about a year
PRIOR = 20  # independent outcomes that the factor 1 is worth
SHARE = 0.8  # the central interval that is made to hold what it says
Days = NDArray[np.int64]


def misses(
    quantiles: Float[np.ndarray, "N P Q"],
    target: Float[np.ndarray, "N P"],
    levels: tuple[float, ...],
) -> Float[np.ndarray, "N P"]:
    """How far each outcome lies from the median, in half widths of the central interval.

    Args:
        quantiles: Forecasts, strictly rising around the median.
        target: Outcomes, NaN where unknown.
        levels: Of the quantiles; 0.5 and both ends of SHARE are among them.

    Returns:
        At most 1 where the interval holds the outcome; NaN where it is unknown.
    """
    tail = (1 - SHARE) / 2
    low, middle, high = (
        quantiles[..., int(np.argmin(np.abs(np.asarray(levels) - level)))]
        for level in (tail, 0.5, 1 - tail)
    )
    below, above = (middle - target) / (middle - low), (target - middle) / (high - middle)
    return cast(np.ndarray, np.maximum(below, above))


def width_factors(
    missed: Float[np.ndarray, "N P"],
    made: Int[np.ndarray, " N"],
    known: Int[np.ndarray, "N P"],
    asked: Int[np.ndarray, " D"],
    horizons: tuple[int, ...],
) -> Float[np.ndarray, "D P"]:
    """The factor on the width of forecasts that are made on each of the asked days.

    Args:
        missed: `misses` of earlier forecasts.
        made: Number of the trading day on which each was made, rising or not.
        known: Number of the day at whose close each outcome was known.
        asked: Days to forecast on.
        horizons: Trading days ahead, (P,).

    Returns:
        The SHARE-quantile of the misses of the last WINDOW days that were known, shrunk in
        logarithms; 1 where nothing was.
    """
    factors = np.ones((len(asked), len(horizons)))
    order = np.argsort(made, kind="stable")
    made, missed, known = made[order], missed[order], known[order]
    starts, stops = (np.searchsorted(made, bound) for bound in (asked - WINDOW, asked))
    for number, (day, start, stop) in enumerate(zip(asked, starts, stops, strict=True)):
        for p, horizon in enumerate(horizons):
            column = missed[start:stop, p]
            is_known = np.isfinite(column) & (known[start:stop, p] <= day)
            if not is_known.any():
                continue
            days = made[start:stop][is_known]
            independent = (days[-1] - days[0] + 1) / horizon
            factor = max(float(np.quantile(column[is_known], SHARE)), 1e-3)
            factors[number, p] = factor ** (independent / (independent + PRIOR))
    return factors


def widen(
    quantiles: Float[np.ndarray, "N P Q"],
    factors: Float[np.ndarray, "N P"],
    levels: tuple[float, ...],
) -> Float[np.ndarray, "N P Q"]:
    """Quantiles at `factors` times their distance from the median, which stays."""
    middle = quantiles[..., [levels.index(0.5)]]
    return cast(np.ndarray, middle + (quantiles - middle) * factors[..., None])
