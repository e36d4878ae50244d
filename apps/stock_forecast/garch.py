"""GARCH(1,1) with Student-t innovations (Bollerslev 1987), the classical model of volatility."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter
from scipy.stats import t

from apps.stock_forecast.ticker_days import Floats, Horizons, TickerDays
from core.nn.forecaster import LEVELS
from core.progress import progress
from data.windows import Rows


@dataclass(frozen=True)
class GarchParameters:
    """GARCH(1,1) with Student-t innovations, returns in per cent (Bollerslev 1987).

    Attributes:
        omega: Constant of the variance, per cent squared.
        alpha: Weight of yesterday's squared return.
        beta: Weight of yesterday's variance; alpha + beta is below 1.
        degrees: Degrees of freedom, above 2.
    """

    omega: float
    alpha: float
    beta: float
    degrees: float


class Garch:
    """One fit a ticker; tickers without enough training days take the medians.

    Args:
        usable: The training tickers.
        horizons: Trading days ahead.
    """

    def __init__(self, usable: Sequence[TickerDays], horizons: Horizons) -> None:
        self.days = np.asarray(horizons, float)  # (P,)
        self._cache: dict[bytes, GarchParameters] = {}
        fitted = []
        with progress("GARCH per ticker", len(usable)) as advance:
            for ticker in usable:
                fitted.append(self._fit(ticker.known))
                advance(1)
        names = ("omega", "alpha", "beta", "degrees")
        self.common = GarchParameters(
            *(float(np.median([getattr(g, name) for g in fitted])) for name in names)
        )

    def quantiles(self, ticker: TickerDays, rows: Rows) -> Floats:
        """The variance recursion run forward, then summed over the horizon, (B, P, Q).

        The tails thin out as days add up: excess kurtosis falls with 1 / horizon.
        """
        g = self._fit(ticker.known) if ticker.is_known else self.common
        persistence = g.alpha + g.beta
        level = g.omega / (1 - persistence)
        start = np.mean((100 * ticker.known) ** 2) if ticker.is_known else level
        drive = g.omega + g.alpha * (100 * ticker.returns) ** 2
        tomorrow = lfilter([1.0], [1.0, -g.beta], drive, zi=np.array([g.beta * start]))[0][rows]
        weight = (1 - persistence**self.days) / (1 - persistence)  # (P,)
        variance = self.days * level + (tomorrow[:, None] - level) * weight  # (B, P)
        degrees = np.where(self.days == 1, g.degrees, 4 + max(g.degrees - 4, 0.5) * self.days)
        unit = t.ppf(np.asarray(LEVELS), degrees[:, None]) * np.sqrt(1 - 2 / degrees)[:, None]
        return np.sqrt(variance)[..., None] / 100 * unit

    def _fit(self, returns: Floats) -> GarchParameters:
        """Fit each series once."""
        key = returns.tobytes()
        if key not in self._cache:
            self._cache[key] = fit_garch(returns)
        return self._cache[key]


def fit_garch(returns: Floats) -> GarchParameters:
    """Fit GARCH(1,1)-t without a mean by maximum likelihood.

    Args:
        returns: Daily log returns, at least a few dozen.
    """
    from arch import arch_model

    model = arch_model(100 * returns, mean="Zero", vol="GARCH", p=1, q=1, dist="t", rescale=False)
    with warnings.catch_warnings():
        # A flat likelihood is common on short series; the bounds below keep the result usable.
        warnings.simplefilter("ignore")
        fitted = model.fit(disp="off", show_warning=False).params
    alpha, beta = max(fitted["alpha[1]"], 0.0), max(fitted["beta[1]"], 0.0)
    excess = max((alpha + beta) / 0.999, 1.0)
    return GarchParameters(
        omega=max(fitted["omega"], 1e-6),
        alpha=alpha / excess,
        beta=beta / excess,
        degrees=max(fitted["nu"], 2.1),
    )
