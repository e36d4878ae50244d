"""A small classifier of a day's texts, fitted on what the share did the day after."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from data.features import market_returns
from data.windows import PriceHistory
from data.words import Texts, bags_of_words

NUM_BLOCKS = 8
MINIMUM_DAYS = 100  # labelled days with texts, below which there is nothing to learn from
INVERSE_PENALTY = 0.3  # scikit-learn's C; bags of words have length 1


@dataclass(frozen=True)
class TextClassifier:
    """Logistic regressions on hashed words: one for each block of training dates, one for later.

    A day of the training part is scored by the regression that was fitted without its block: the
    score that the network learns from is no better informed than the one that it meets later.

    Attributes:
        starts: First date of each block, rising, (NUM_BLOCKS,).
        stop: First date that is not training.
        weights: Of each regression, that for the dates from `stop` on last,
            (NUM_BLOCKS + 1, NUM_BUCKETS).
        bias: (NUM_BLOCKS + 1,).
    """

    starts: NDArray[np.datetime64]
    stop: np.datetime64
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    @classmethod
    def fit(cls, texts: Texts, history: PriceHistory, stop: np.datetime64) -> "TextClassifier":
        """Learn whether a share beats the others on the day after its texts.

        Args:
            texts: The texts of each row, (N,).
            history: The prices, N rows.
            stop: First date that is not training; no label reaches it.

        Raises:
            ValueError: Too few days of the training part have texts.
        """
        ahead = next_day_excess(history, stop)
        rows = np.flatnonzero(texts.astype(bool) & (np.nan_to_num(ahead) != 0))
        if len(rows) < MINIMUM_DAYS:
            raise ValueError(
                f"news_sentiment=classifier: {len(rows)} days before {stop} have texts and a day "
                f"after, {MINIMUM_DAYS} are needed; give more news or take lexicon"
            )
        bags, label = bags_of_words(texts[rows]), ahead[rows] > 0
        dates = history.dates[rows]
        days = np.unique(dates)
        starts = days[np.arange(NUM_BLOCKS) * len(days) // NUM_BLOCKS]
        block = np.searchsorted(starts, dates, side="right") - 1
        # The last number is no block: the regression for later dates leaves nothing out.
        fits = [_fit(bags[block != k], label[block != k]) for k in range(NUM_BLOCKS + 1)]
        # Five decimals are enough, and keep the run folder's JSON small.
        weights, bias = (np.round(np.stack(part), 5) for part in zip(*fits, strict=True))
        return cls(starts, stop, weights, bias)

    def scores(self, texts: Texts, dates: NDArray[np.datetime64]) -> NDArray[np.float32]:
        """Twice the chance of beating the others, less one: in (-1, 1), 0 without texts, (N,).

        Args:
            texts: The texts of each row, (N,).
            dates: Of each row, (N,).
        """
        rows = np.flatnonzero(texts.astype(bool))
        block = np.searchsorted(self.starts, dates[rows], side="right") - 1
        block = np.where(dates[rows] < self.stop, np.maximum(block, 0), NUM_BLOCKS)
        logits = bags_of_words(texts[rows]) @ self.weights.T + self.bias
        scores = np.zeros(len(texts), np.float32)
        scores[rows] = np.tanh(logits[np.arange(len(rows)), block] / 2)  # 2 sigmoid(x) - 1
        return scores

    def to_json(self) -> dict[str, Any]:
        """Plain containers, for the run folder."""
        return {
            "starts": [str(date) for date in self.starts],
            "stop": str(self.stop),
            "weights": self.weights.tolist(),
            "bias": self.bias.tolist(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "TextClassifier":
        """The inverse of `to_json`."""
        return cls(
            np.array(value["starts"], "datetime64[D]"),
            np.datetime64(value["stop"]),
            np.array(value["weights"]),
            np.array(value["bias"]),
        )


def next_day_excess(history: PriceHistory, stop: np.datetime64) -> NDArray[np.float32]:
    """The next day's return less the other tickers' mean on it, (N,); NaN from `stop` on."""
    returns = np.diff(history.log_price, prepend=np.nan).astype(np.float32)
    returns[history.first[:-1]] = np.nan
    market = market_returns(returns, np.unique(history.dates, return_inverse=True)[1])
    excess = np.append((returns - market)[1:], np.float32(np.nan))  # a ticker's first day is NaN
    excess[np.append(history.dates[1:] >= stop, True)] = np.nan
    return excess


def _fit(bags: csr_matrix, label: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    """Weights and bias; zero where all labels are alike."""
    from sklearn.linear_model import LogisticRegression

    if label.all() or not label.any():
        return np.zeros(bags.shape[1]), 0.0
    fitted = LogisticRegression(C=INVERSE_PENALTY, max_iter=200).fit(bags, label)
    return fitted.coef_[0], float(fitted.intercept_[0])
