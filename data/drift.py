"""How much of a ticker's own drift to believe: what sets it apart from the market, shrunk."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.windows import PriceHistory, Rows

FEWEST_TICKERS = 10  # with fewer, how far drifts lie apart cannot be told
FEWEST_DAYS = 250  # of a ticker that helps to tell it


@dataclass(frozen=True)
class ExcessDrift:
    """What each ticker has earned a day beyond the others, from its first day to each row.

    Attributes:
        mean: Mean daily log return less the market's, 0 on a ticker's first day, (N,).
        error: Variance of that mean's sampling error, infinite on the first two days, (N,).
    """

    mean: NDArray[np.float32]
    error: NDArray[np.float32]

    @classmethod
    def of(cls, history: PriceHistory) -> "ExcessDrift":
        """As accumulated over each ticker's days (`data.features.excess_drift`)."""
        return cls(*history.drift.T)


@dataclass(frozen=True)
class DriftPrior:
    """How far the true drifts of tickers lie apart.

    A ticker's drift over a few years is mostly luck. By how much is told by comparing how far the
    training tickers' means lie apart with how far chance alone would put them (empirical Bayes:
    James & Stein 1961; Efron & Morris 1973); the rest is believed.

    Attributes:
        variance: Of the drifts per day around the market's; 0 believes none.
    """

    variance: float

    @classmethod
    def fit(cls, history: PriceHistory, drift: ExcessDrift, stop: np.datetime64) -> "DriftPrior":
        """Estimate from what was known before a date.

        Args:
            history: The prices.
            drift: Of the same rows.
            stop: First date that is not training.
        """
        found = [
            (drift.mean[part.stop - 1], drift.error[part.stop - 1])
            for part in history.parts(stop)
            if part.stop - part.start > FEWEST_DAYS
        ]
        if len(found) < FEWEST_TICKERS:
            return cls(0.0)
        mean, error = np.asarray(found, float).T
        apart = float(np.var(mean, ddof=1)) - float(np.mean(error))
        return cls(max(apart, 0.0))

    def location(
        self, drift: ExcessDrift, rows: Rows, horizons: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """What a forecast adds to the fan for the ticker's own drift over each horizon, (B, P)."""
        if self.variance == 0:
            return np.zeros((len(rows), len(horizons)), np.float32)
        believed = drift.mean[rows] * self.variance / (self.variance + drift.error[rows])
        return np.asarray(believed[:, None] * np.asarray(horizons), np.float32)
