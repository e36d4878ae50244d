"""The scale of a forecast: trailing volatility, corrected by what the training part teaches."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.windows import FeatureScaler, PriceHistory, Rows, scale_of

FLOOR = 1e-8  # of a variance: a hundredth of a per cent a day
RIDGE = 0.3  # of a standardised feature's variance: weights are shrunk by about a quarter


@dataclass(frozen=True)
class ScaleRegression:
    """How far the variance of the days ahead lies from the trailing one, given today's features.

    A regression in logarithms of the mean daily range variance over each horizon, as in HAR (Corsi
    2009), but of its deviation from `scale_of`, with every feature of the day, pooled over the
    tickers, and shrunk towards no deviation (ridge). Realised variance says far more about the
    width than returns do: at long horizons, where returns overlap, a network cannot learn this.

    Attributes:
        weights: Of the scaled features, on the logarithm of the variance, (P, F).
    """

    weights: tuple[tuple[float, ...], ...]

    @classmethod
    def fit(
        cls, history: PriceHistory, rows: Rows, horizons: tuple[int, ...], scaler: FeatureScaler
    ) -> "ScaleRegression":
        """Fit on training examples, whose outcomes exist.

        Args:
            history: The prices.
            rows: Training examples.
            horizons: Trading days ahead.
            scaler: Of the features.
        """
        moments = np.zeros((len(scaler.mean) + 1, len(scaler.mean) + 1 + len(horizons)))
        for piece in history.pieces(rows):
            features = scaler.apply(history.features[piece]).astype(float)  # (B, F)
            ahead = variance_ahead(history, piece, horizons)  # (B, P)
            trailing = scale_of(history, piece, horizons).astype(float) ** 2 / np.asarray(horizons)
            target = np.log(np.maximum(ahead, FLOOR)) - np.log(trailing)  # (B, P)
            inputs = np.column_stack([np.ones(len(piece)), features])  # (B, 1 + F)
            moments += inputs.T @ np.column_stack([inputs, target]) / len(rows)
        size = len(scaler.mean) + 1
        centred = moments[1:, 1:] - np.outer(moments[1:, 0], moments[0, 1:])  # covariances
        square = centred[:, : size - 1] + RIDGE * np.eye(size - 1)  # (F, F)
        weights = np.linalg.solve(square, centred[:, size - 1 :])  # (F, P)
        return cls(tuple(tuple(row) for row in weights.T.tolist()))

    def scale(
        self, history: PriceHistory, rows: Rows, horizons: tuple[int, ...], scaler: FeatureScaler
    ) -> NDArray[np.float32]:
        """Expected size of the return over each horizon, known at each row, positive, (B, P).

        Its level is right only up to a factor per horizon, which the fan of quantiles holds.
        """
        inputs = scaler.apply(history.features[rows])  # (B, F)
        log_variance = inputs @ np.asarray(self.weights, np.float32).T  # (B, P)
        return (scale_of(history, rows, horizons) * np.exp(log_variance / 2)).astype(np.float32)


def variance_ahead(
    history: PriceHistory, rows: Rows, horizons: tuple[int, ...]
) -> NDArray[np.float64]:
    """Mean daily range variance of the days after each row over each horizon, (B, P).

    Args:
        history: The prices.
        rows: Rows with at least as many of their own ticker's days after them.
        horizons: Trading days ahead.
    """
    days = np.asarray(horizons)
    first = rows.min() + 1
    around = history.daily_range[first : rows.max() + 1 + days[-1]]
    total = np.concatenate([[0.0], np.cumsum(around, dtype=float)])
    after = rows[:, None] + 1 - first
    return (total[after + days] - total[after]) / days
