"""The words of each day's texts as numbers, gathered for a batch of windows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.batch import NewsBatch
from data.words import Texts, bucket_of, words_of

MAX_WORDS = 48  # of a day; the last ones, which are the newest
ENCODED_DAYS = 5  # what is older than a trading week is in the price, and costs as much to read


@dataclass(frozen=True)
class DayTexts:
    """All days' texts; row 0 stands for none.

    Attributes:
        tokens: Words' buckets, right-padded with 0, (R, MAX_WORDS).
        lengths: Real words, at least 1, (R,).
        number: Which row each day has, (N,); 0 for a day without words.
    """

    tokens: NDArray[np.int16]
    lengths: NDArray[np.int64]
    number: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Texts) -> "DayTexts":
        """Number the words.

        Args:
            texts: Each day's texts, (N,).
        """
        words = [[bucket_of(word) for word in words_of(text)][-MAX_WORDS:] for text in texts]
        has_words = np.array([bool(day) for day in words])
        said = [[], *(day for day in words if day)]
        tokens = np.zeros((len(said), MAX_WORDS), np.int16)
        for row, day in enumerate(said):
            tokens[row, : len(day)] = day
        lengths = np.array([max(len(day), 1) for day in said])
        return cls(tokens, lengths, np.where(has_words, np.cumsum(has_words), 0))

    def batch(self, rows: NDArray[np.integer[Any]], context_length: int) -> NewsBatch:
        """The texts of the windows that end at the given days.

        Args:
            rows: The windows' last days, (B,).
            context_length: Days per window.
        """
        lag = np.arange(context_length)[::-1]  # (L,), oldest first
        number = np.where(lag < ENCODED_DAYS, self.number[rows[:, None] - lag], 0)  # (B, L)
        used, day = np.unique(np.append(number, 0), return_inverse=True)  # 0 comes first
        longest = self.lengths[used].max()
        return NewsBatch(
            torch.from_numpy(self.tokens[used, :longest].astype(np.int64)),
            torch.from_numpy(self.lengths[used]),
            torch.from_numpy(day[:-1].reshape(number.shape)),
        )
