"""The classical candidates: each gives quantiles at every horizon from what was known that day.

Parameters come from days before the end of the training part: a ticker's own where it has enough
of them, else what the run's training tickers have in common.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.stats import norm, t

from core.nn.forecaster import LEVELS
from core.progress import progress
from data.windows import PriceHistory, Rows

Floats = NDArray[np.float64]
Horizons = tuple[int, ...]

EWMA_DECAY = 0.94  # RiskMetrics (1996)
MINIMUM_ROWS = 250  # training days below which a ticker takes the common parameters


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


@dataclass(frozen=True)
class CommonParameters:
    """What tickers without a training history of their own are given.

    Attributes:
        deviation: Root mean square daily return of the training part.
        garch: Median parameters.
        quantiles: Of all training returns at each horizon, (P, Q).
    """

    deviation: float
    garch: GarchParameters
    quantiles: Floats


class Baselines:
    """The four classical forecasts of a price history.

    Args:
        training: The run's own history, whose tickers give the common parameters.
        stop: First date that is not training.
        horizons: Trading days ahead.
    """

    def __init__(self, training: PriceHistory, stop: np.datetime64, horizons: Horizons) -> None:
        self.stop = stop
        self.horizons = horizons
        self.days = np.asarray(horizons, float)  # (P,)
        self._garch_cache: dict[bytes, GarchParameters] = {}
        known = [self._known_returns(training, k) for k in range(len(training.tickers))]
        longest = max(known, key=len)
        usable = [r for r in known if len(r) >= MINIMUM_ROWS] or [longest]
        fitted = []
        with progress("GARCH per ticker", len(usable)) as advance:
            for returns in usable:
                fitted.append(self._fit_garch(returns))
                advance(1)
        self.common = CommonParameters(
            deviation=float(np.sqrt(np.mean(np.concatenate(usable) ** 2))),
            garch=GarchParameters(
                *(
                    float(np.median([getattr(g, name) for g in fitted]))
                    for name in ("omega", "alpha", "beta", "degrees")
                )
            ),
            quantiles=self._empirical(usable),
        )

    def forecast(self, history: PriceHistory, rows: Rows) -> dict[str, Floats]:
        """Quantiles of the cumulative log return by baseline, each (B, P, Q).

        Args:
            history: The prices, of the run's tickers or of others.
            rows: Days to forecast from.
        """
        one_ticker: dict[str, Callable[[Floats, Floats], Floats]] = {
            "random_walk": self._random_walk,
            "ewma": self._ewma,
            "garch": self._garch,
            "historical": self._historical,
        }
        shape = (len(rows), len(self.horizons), len(LEVELS))
        forecasts = {name: np.empty(shape) for name in one_ticker}
        for k in np.unique(history.ticker[rows]):
            chosen = np.flatnonzero(history.ticker[rows] == k)
            known = self._known_returns(history, k)
            returns = _returns(history, k)
            days = rows[chosen] - history.first[k]
            for name, method in one_ticker.items():
                forecasts[name][chosen] = method(known, returns)[days]
        return forecasts

    def _known_returns(self, history: PriceHistory, k: int) -> Floats:
        """Returns of one ticker before the end of training, without the first day."""
        dates = history.dates[history.first[k] : history.first[k + 1]]
        return _returns(history, k)[1 : np.searchsorted(dates, self.stop)]

    def _random_walk(self, known: Floats, returns: Floats) -> Floats:
        """Normal, no drift, with the volatility of the training part."""
        enough = len(known) >= MINIMUM_ROWS
        deviation = np.sqrt(np.mean(known**2)) if enough else self.common.deviation
        return np.broadcast_to(
            deviation * np.sqrt(self.days)[:, None] * norm.ppf(LEVELS),
            (len(returns), len(self.days), len(LEVELS)),
        )

    def _ewma(self, known: Floats, returns: Floats) -> Floats:
        """Normal, no drift, with the exponentially weighted variance of RiskMetrics."""
        square = returns**2
        # Weights that sum to 1 from the first day on, so that a young ticker starts unbiased.
        total = lfilter([1.0], [1.0, -EWMA_DECAY], square)
        weight = lfilter([1.0], [1.0, -EWMA_DECAY], np.ones_like(square))
        deviation = np.sqrt(np.maximum(total / weight, 1e-10))
        return (deviation[:, None] * np.sqrt(self.days))[..., None] * norm.ppf(LEVELS)

    def _garch(self, known: Floats, returns: Floats) -> Floats:
        """GARCH(1,1)-t: the variance recursion run forward, then summed over the horizon.

        The tails thin out as days add up: excess kurtosis falls with 1 / horizon.
        """
        own = len(known) >= MINIMUM_ROWS
        g = self._fit_garch(known) if own else self.common.garch
        persistence = g.alpha + g.beta
        level = g.omega / (1 - persistence)
        start = np.mean((100 * known) ** 2) if own else level
        drive = g.omega + g.alpha * (100 * returns) ** 2
        tomorrow = lfilter([1.0], [1.0, -g.beta], drive, zi=np.array([g.beta * start]))[0]  # (N,)
        weight = (1 - persistence**self.days) / (1 - persistence)  # (P,)
        variance = self.days * level + (tomorrow[:, None] - level) * weight  # (N, P)
        degrees = np.where(self.days == 1, g.degrees, 4 + max(g.degrees - 4, 0.5) * self.days)
        unit = t.ppf(np.asarray(LEVELS), degrees[:, None]) * np.sqrt(1 - 2 / degrees)[:, None]
        return np.sqrt(variance)[..., None] / 100 * unit

    def _historical(self, known: Floats, returns: Floats) -> Floats:
        """Quantiles of the ticker's own returns over each horizon in the training part."""
        enough = len(known) >= MINIMUM_ROWS
        quantiles = self._empirical([known]) if enough else self.common.quantiles
        return np.broadcast_to(quantiles, (len(returns), *quantiles.shape))

    def _empirical(self, series: list[Floats]) -> Floats:
        """Quantiles of overlapping returns over each horizon, (P, Q)."""
        rows = []
        for horizon in self.horizons:
            prices = [np.cumsum(np.concatenate([[0.0], returns])) for returns in series]
            moves = np.concatenate([price[horizon:] - price[:-horizon] for price in prices])
            rows.append(np.quantile(moves, LEVELS) if len(moves) else np.zeros(len(LEVELS)))
        return np.stack(rows)

    def _fit_garch(self, returns: Floats) -> GarchParameters:
        """Fit by maximum likelihood; each series once."""
        key = returns.tobytes()
        if key not in self._garch_cache:
            self._garch_cache[key] = fit_garch(returns)
        return self._garch_cache[key]


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


def _returns(history: PriceHistory, k: int) -> Floats:
    """Daily log returns of one ticker, the first one 0, (N,)."""
    log_price = history.log_price[history.first[k] : history.first[k + 1]]
    return np.diff(log_price, prepend=log_price[:1])
