"""One ticker's days as the classical baselines read them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.features import FLOOR
from data.windows import PriceHistory

Floats = NDArray[np.float64]
Horizons = tuple[int, ...]

MINIMUM_ROWS = 250  # training days below which a ticker takes the common parameters


@dataclass(frozen=True)
class TickerDays:
    """What is known of one ticker, and how much of it is training.

    Attributes:
        returns: Daily log returns, the first one 0, (N,).
        daily_range: Variance of each day from its open, high, low and close, positive, (N,).
        num_known: Days before the end of training.
    """

    returns: Floats
    daily_range: Floats
    num_known: int

    @classmethod
    def of(cls, history: PriceHistory, k: int, stop: np.datetime64) -> "TickerDays":
        """The days of a ticker.

        Args:
            history: The prices.
            k: Its number.
            stop: First date that is not training.
        """
        own = slice(history.first[k], history.first[k + 1])
        log_price = history.log_price[own]
        return cls(
            returns=np.diff(log_price, prepend=log_price[:1]),
            daily_range=np.maximum(history.daily_range[own].astype(float), FLOOR**2),
            num_known=int(np.searchsorted(history.dates[own], stop)),
        )

    @property
    def known(self) -> Floats:
        """Returns of the training days, without the first day, which has none."""
        return self.returns[1 : self.num_known]

    @property
    def is_known(self) -> bool:
        """Whether its training days are enough for parameters of its own."""
        return len(self.known) >= MINIMUM_ROWS

    @property
    def log_price(self) -> Floats:
        """Logarithm of the price over the first day's, (N,)."""
        return np.cumsum(self.returns)


def cumulative(returns: Floats, horizon: int) -> Floats:
    """Every overlapping return over a horizon, (N - horizon + 1,).

    Args:
        returns: Daily log returns, (N,).
        horizon: Days, at least 1.
    """
    price = np.cumsum(np.concatenate([[0.0], returns]))
    return price[horizon:] - price[:-horizon]
