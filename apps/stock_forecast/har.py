"""HAR (Corsi 2009, Journal of Financial Econometrics 7): volatility of a day, a week, a month."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from apps.stock_forecast.simple_baselines import Moments
from apps.stock_forecast.ticker_days import Floats, TickerDays, cumulative
from core.nn.forecaster import LEVELS
from data.windows import Rows

WEEK, MONTH = 5, 22  # trading days, as in Corsi
LEAST_DAY = 0.05  # of the month's variance: a day without a range is no news of calm


@dataclass(frozen=True)
class Har:
    """The mean variance of the days ahead, regressed directly at each horizon.

    In logarithms and pooled over the training tickers (eq. 8 for a direct forecast): on the
    validation part of StockNet this had a lower CRPS than levels, raw, weighted or by ticker.
    Variances are those of the daily range. Quantiles are the training drift plus the pooled
    quantiles of the training returns, standardised by the fitted variance.

    Attributes:
        coefficients: Of the constant, day, week and month at each horizon, (P, 4).
        residuals: Quantiles of the standardised training returns, (P, Q).
        moments: Drift of each ticker, and the horizons.
    """

    coefficients: Floats
    residuals: Floats
    moments: Moments

    @classmethod
    def fit(cls, usable: Sequence[TickerDays], moments: Moments) -> "Har":
        """Regress and standardise on days whose outcomes lie in training.

        Args:
            usable: The training tickers.
            moments: Their drift, and the horizons.
        """
        inputs = [log_variances(ticker.daily_range[: ticker.num_known]) for ticker in usable]
        coefficients, residuals = [], []
        for horizon in moments.horizons:
            x = np.concatenate([one[: max(len(one) - horizon, 0)] for one in inputs])  # (M, 4)
            y = np.concatenate([_log_ahead(ticker, horizon) for ticker in usable])  # (M,)
            found = np.linalg.lstsq(x, y, rcond=None)[0]
            moved = np.concatenate([_moves_ahead(ticker, horizon, moments) for ticker in usable])
            coefficients.append(found)
            residuals.append(np.quantile(moved / np.exp(x @ found / 2), LEVELS))
        return cls(np.stack(coefficients), np.stack(residuals), moments)

    def quantiles(self, ticker: TickerDays, rows: Rows) -> Floats:
        """Quantiles of the cumulative log return, (B, P, Q)."""
        log_variance = log_variances(ticker.daily_range)[rows] @ self.coefficients.T  # (B, P)
        days = np.asarray(self.moments.horizons, float)
        drift = self.moments.drift_of(ticker) * days
        return drift[:, None] + np.exp(log_variance / 2)[..., None] * self.residuals


def log_variances(daily_range: Floats) -> Floats:
    """Constant, and log of the variance over a day, a week and a month, (N, 4).

    Where there is no month yet, it is the mean of the days that there are.

    Args:
        daily_range: Variance of each day, positive, (N,).
    """
    series = pd.Series(daily_range)
    week, month = (series.rolling(n, min_periods=1).mean().to_numpy() for n in (WEEK, MONTH))
    day = np.maximum(daily_range, LEAST_DAY * month)
    return np.stack([np.ones_like(day), np.log(day), np.log(week), np.log(month)], axis=1)


def _log_ahead(ticker: TickerDays, horizon: int) -> Floats:
    """Log of the variance summed over the days after each training day that has so many, (M,)."""
    return np.log(cumulative(ticker.daily_range[: ticker.num_known], horizon)[1:])


def _moves_ahead(ticker: TickerDays, horizon: int, moments: Moments) -> Floats:
    """Return over the days after each of them, less the drift, (M,)."""
    ahead = cumulative(ticker.returns[: ticker.num_known], horizon)[1:]
    return ahead - moments.drift_of(ticker) * horizon
