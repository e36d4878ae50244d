"""The four classical forecasts that need no fit beyond means and quantiles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.signal import lfilter
from scipy.stats import norm

from apps.stock_forecast.ticker_days import Floats, Horizons, TickerDays, cumulative
from core.nn.forecaster import LEVELS
from data.windows import Rows

EWMA_DECAY = 0.94  # RiskMetrics (1996)
DRIFT_WINDOW = 60  # trading days of the volatility beside the drift
LEAST_VARIANCE = 1e-10  # a flat price still has a range


@dataclass(frozen=True)
class Moments:
    """What all training tickers have in common, for those without training days of their own.

    Attributes:
        drift: Mean daily return.
        deviation: Root mean square daily return.
        quantiles: Of all training returns at each horizon, (P, Q).
        horizons: Trading days ahead.
    """

    drift: float
    deviation: float
    quantiles: Floats
    horizons: Horizons

    @classmethod
    def fit(cls, usable: Sequence[TickerDays], horizons: Horizons) -> "Moments":
        """Pool the returns of the training tickers."""
        known = [ticker.known for ticker in usable]
        pooled = np.concatenate(known)
        deviation = float(np.sqrt(np.mean(pooled**2)))
        return cls(float(pooled.mean()), deviation, _empirical(known, horizons), horizons)

    def drift_of(self, ticker: TickerDays) -> float:
        """The ticker's own mean daily return in training, else the common one."""
        return float(ticker.known.mean()) if ticker.is_known else self.drift

    def random_walk(self, ticker: TickerDays, rows: Rows) -> Floats:
        """Normal, no drift, with the volatility of the training part, (B, P, Q)."""
        own = float(np.sqrt(np.mean(ticker.known**2))) if ticker.is_known else self.deviation
        return self._normal(0.0, np.full(len(rows), own))

    def drifting(self, ticker: TickerDays, rows: Rows) -> Floats:
        """Normal around the training drift, with the volatility of 60 days, (B, P, Q)."""
        returns = pd.Series(np.concatenate([[np.nan], ticker.returns[1:]]))  # the first has no past
        recent = returns.rolling(DRIFT_WINDOW, min_periods=2).std(ddof=0).to_numpy()
        deviation = np.where(np.isfinite(recent), recent, self.deviation)
        least = np.sqrt(LEAST_VARIANCE)
        return self._normal(self.drift_of(ticker), np.maximum(deviation[rows], least))

    def ewma(self, ticker: TickerDays, rows: Rows) -> Floats:
        """Normal, no drift, with RiskMetrics' exponentially weighted variance, (B, P, Q)."""
        square = ticker.returns**2
        # Weights that sum to 1 from the first day on, so that a young ticker starts unbiased.
        total = lfilter([1.0], [1.0, -EWMA_DECAY], square)
        weight = lfilter([1.0], [1.0, -EWMA_DECAY], np.ones_like(square))
        return self._normal(0.0, np.sqrt(np.maximum(total / weight, LEAST_VARIANCE))[rows])

    def historical(self, ticker: TickerDays, rows: Rows) -> Floats:
        """Quantiles of the ticker's own returns over each horizon in training, (B, P, Q)."""
        own = _empirical([ticker.known], self.horizons) if ticker.is_known else self.quantiles
        return np.broadcast_to(own, (len(rows), *own.shape))

    def _normal(self, drift: float, deviation: Floats) -> Floats:
        """Normal quantiles from the mean and deviation of a day's return; deviation is (B,)."""
        days = np.asarray(self.horizons, float)  # (P,)
        width = deviation[:, None, None] * np.sqrt(days)[:, None] * norm.ppf(LEVELS)
        return drift * days[:, None] + width


def _empirical(series: Sequence[Floats], horizons: Horizons) -> Floats:
    """Quantiles of overlapping returns over each horizon, (P, Q)."""
    rows = []
    for horizon in horizons:
        moves = np.concatenate([cumulative(returns, horizon) for returns in series])
        rows.append(np.quantile(moves, LEVELS) if len(moves) else np.zeros(len(LEVELS)))
    return np.stack(rows)
