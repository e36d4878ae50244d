"""From signals to the probability of being right, and how well such probabilities hold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

NUM_BINS = 10  # of the calibration error


@dataclass(frozen=True)
class Calibrator:
    """Logistic regression on standardised signals (Platt 1999, with more than one signal).

    Attributes:
        names: Of the signals, K of them.
        mean: Of each signal where it was fitted.
        scale: Standard deviation likewise, positive.
        weights: Log-odds per standard deviation.
        bias: Log-odds where every signal is at its mean.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float

    @classmethod
    def fit(
        cls,
        names: Sequence[str],
        signals: Float[np.ndarray, "N K"],
        is_right: Bool[np.ndarray, " N"],
        sample_weight: Float[np.ndarray, " N"] | None = None,
    ) -> "Calibrator":
        """Fit to examples; where all are right, or none is, the answer is one smoothed share.

        Args:
            names: Of the signals.
            signals: Finite.
            is_right: What came of each.
            sample_weight: How much each counts; None: all alike.
        """
        from sklearn.linear_model import LogisticRegression

        mean, scale = signals.mean(axis=0), signals.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        if is_right.all() or not is_right.any():
            share = (is_right.sum() + 1) / (len(is_right) + 2)  # Laplace's rule of succession
            weights, bias = np.zeros(len(names)), float(np.log(share / (1 - share)))
        else:
            model = LogisticRegression().fit((signals - mean) / scale, is_right, sample_weight)
            weights, bias = model.coef_[0], float(model.intercept_[0])
        return cls(
            names=tuple(names),
            mean=tuple(map(float, mean)),
            scale=tuple(map(float, scale)),
            weights=tuple(map(float, weights)),
            bias=bias,
        )

    def probability(self, signals: Float[np.ndarray, "*N K"]) -> Float[np.ndarray, "*N"]:
        """The chance of being right, 0 to 1."""
        standard = (signals - np.array(self.mean)) / np.array(self.scale)
        return np.asarray(1 / (1 + np.exp(-(standard @ np.array(self.weights) + self.bias))))

    @property
    def is_whole(self) -> bool:
        """Whether every signal has a mean, a positive scale and a weight."""
        sizes = {len(self.names), len(self.mean), len(self.scale), len(self.weights)}
        return len(sizes) == 1 and all(scale > 0 for scale in self.scale)


def calibration_error(
    probability: Float[np.ndarray, " N"], is_right: Bool[np.ndarray, " N"]
) -> float:
    """Expected calibration error: mean gap between what was said and what came.

    Naeini et al. 2015, over NUM_BINS bins of equal width, each weighed by its share of the
    examples.

    Args:
        probability: Said, 0 to 1.
        is_right: What came.
    """
    bins = np.minimum((probability * NUM_BINS).astype(int), NUM_BINS - 1)
    gaps = [
        abs(probability[bins == number].sum() - is_right[bins == number].sum())
        for number in range(NUM_BINS)
    ]
    return float(sum(gaps) / len(probability))
