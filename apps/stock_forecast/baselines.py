"""The classical candidates: each gives quantiles at every horizon from what was known that day.

Parameters come from days before the end of the training part: a ticker's own where it has enough
of them, else what the run's training tickers have in common.
"""

from collections.abc import Callable

import numpy as np

from apps.stock_forecast.ets import Ets
from apps.stock_forecast.garch import Garch
from apps.stock_forecast.har import Har
from apps.stock_forecast.simple_baselines import Moments
from apps.stock_forecast.ticker_days import Floats, Horizons, TickerDays
from core.nn.forecaster import LEVELS
from data.windows import PriceHistory, Rows

BASELINES = ("random_walk", "drift", "ewma", "garch", "har", "historical", "ets")


class Baselines:
    """The classical forecasts of a price history.

    Args:
        training: The run's own history, whose tickers give the common parameters.
        stop: First date that is not training.
        horizons: Trading days ahead.
    """

    def __init__(self, training: PriceHistory, stop: np.datetime64, horizons: Horizons) -> None:
        self.stop = stop
        self.horizons = horizons
        tickers = [TickerDays.of(training, k, stop) for k in range(len(training.tickers))]
        longest = max(tickers, key=lambda ticker: len(ticker.known))
        usable = [ticker for ticker in tickers if ticker.is_known] or [longest]
        moments = Moments.fit(usable, horizons)
        self._methods: dict[str, Callable[[TickerDays, Rows], Floats]] = {
            "random_walk": moments.random_walk,
            "drift": moments.drifting,
            "ewma": moments.ewma,
            "garch": Garch(usable, horizons).quantiles,
            "har": Har.fit(usable, moments).quantiles,
            "historical": moments.historical,
            "ets": Ets(usable, horizons).quantiles,
        }

    def forecast(self, history: PriceHistory, rows: Rows) -> dict[str, Floats]:
        """Quantiles of the cumulative log return by baseline, each (B, P, Q).

        Args:
            history: The prices, of the run's tickers or of others.
            rows: Days to forecast from.
        """
        shape = (len(rows), len(self.horizons), len(LEVELS))
        forecasts = {name: np.empty(shape) for name in BASELINES}
        for k in np.unique(history.ticker[rows]):
            chosen = np.flatnonzero(history.ticker[rows] == k)
            ticker = TickerDays.of(history, k, self.stop)
            for name, method in self._methods.items():
                forecasts[name][chosen] = method(ticker, rows[chosen] - history.first[k])
        return forecasts
