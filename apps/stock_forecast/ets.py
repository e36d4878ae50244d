"""Exponential smoothing of log prices with additive errors and a damped trend, ETS(A,Ad,N)."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from apps.stock_forecast.ticker_days import Floats, Horizons, TickerDays
from core.nn.forecaster import LEVELS
from core.progress import progress
from data.windows import Rows

LEAST_DEVIATION = 1e-5  # a flat price still has a range


@dataclass(frozen=True)
class EtsParameters:
    """What is fitted once, on the training part.

    Attributes:
        alpha: Weight of a surprise in the level, in (0, 1).
        beta: Weight of a surprise in the trend, below alpha.
        phi: Share of the trend that is left a day later, in (0, 1).
        deviation: Standard deviation of a day's surprise, positive.
    """

    alpha: float
    beta: float
    phi: float
    deviation: float


class Ets:
    """Parameters are fitted once a ticker; new days only move the level and the trend.

    Args:
        usable: The training tickers.
        horizons: Trading days ahead.
    """

    def __init__(self, usable: Sequence[TickerDays], horizons: Horizons) -> None:
        self.days = np.asarray(horizons)  # (P,)
        self._cache: dict[bytes, EtsParameters] = {}
        fitted = []
        with progress("ETS per ticker", len(usable)) as advance:
            for ticker in usable:
                fitted.append(self._fit(ticker.known))
                advance(1)
        names = ("alpha", "beta", "phi", "deviation")
        self.common = EtsParameters(
            *(float(np.median([getattr(e, name) for e in fitted])) for name in names)
        )

    def quantiles(self, ticker: TickerDays, rows: Rows) -> Floats:
        """Normal quantiles around the damped trend, (B, P, Q).

        Mean and variance are those of Hyndman, Koehler, Ord & Snyder (2008), Table 6.1: a surprise
        moves the price c_j = alpha + beta (phi + ... + phi^j) days j later.
        """
        e = self._fit(ticker.known) if ticker.is_known else self.common
        level, trend = smooth(ticker.log_price, e)
        damped = np.cumsum(e.phi ** np.arange(1, self.days[-1] + 1))  # (longest,)
        moved = np.concatenate([[1.0], e.alpha + e.beta * damped[:-1]])
        deviation = e.deviation * np.sqrt(np.cumsum(moved**2))[self.days - 1]  # (P,)
        start = (level - ticker.log_price)[rows]
        mean = start[:, None] + trend[rows, None] * damped[self.days - 1]  # (B, P)
        return mean[..., None] + deviation[:, None] * norm.ppf(LEVELS)

    def _fit(self, returns: Floats) -> EtsParameters:
        """Fit each series once."""
        key = returns.tobytes()
        if key not in self._cache:
            self._cache[key] = fit_ets(returns)
        return self._cache[key]


def fit_ets(returns: Floats) -> EtsParameters:
    """Fit ETS(A,Ad,N) to the log price by maximum likelihood.

    Args:
        returns: Daily log returns, at least a few dozen.
    """
    log_price = np.cumsum(np.concatenate([[0.0], returns]))
    with warnings.catch_warnings():
        # A likelihood that is flat in the trend is the rule here; the bounds keep it usable.
        warnings.simplefilter("ignore")
        fitted = _model(log_price).fit(disp=False, maxiter=200)
    named = dict(zip(fitted.model.param_names, np.asarray(fitted.params), strict=True))
    return EtsParameters(
        alpha=float(named["smoothing_level"]),
        beta=float(named["smoothing_trend"]),
        phi=float(named["damping_trend"]),
        deviation=max(float(np.sqrt(np.mean(np.asarray(fitted.resid) ** 2))), LEAST_DEVIATION),
    )


def smooth(log_price: Floats, parameters: EtsParameters) -> tuple[Floats, Floats]:
    """Level and trend after each day, both (N,); the first day is the level, without a trend.

    Args:
        log_price: Logarithm of the price, (N,).
        parameters: Of `fit_ets`.
    """
    if len(log_price) < 2:
        return log_price.copy(), np.zeros_like(log_price)
    start = [parameters.alpha, parameters.beta, parameters.phi, float(log_price[0]), 0.0]
    with np.errstate(divide="ignore", invalid="ignore"):  # a flat price has no likelihood
        found = _model(log_price).smooth(np.array(start))
    return np.asarray(found.level), np.asarray(found.slope)


def _model(log_price: Floats) -> Any:
    """The library's model of a log price."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    return ETSModel(log_price, error="add", trend="add", damped_trend=True)
