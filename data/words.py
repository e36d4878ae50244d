"""Texts as numbers: words hashed into a fixed number of buckets, so that no vocabulary is kept."""

import re
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Texts = NDArray[np.object_]  # of str

NUM_BUCKETS = 4096  # bucket 0 is padding
WORD = re.compile(r"[^\W\d_]+")  # letters alone: numbers and prices say little by themselves


def words_of(text: str) -> list[str]:
    """The words of a text, lower-cased, in order; digits and punctuation part them."""
    return WORD.findall(text.lower())


@lru_cache(maxsize=2**17)
def bucket_of(word: str) -> int:
    """The word's bucket, 1 to NUM_BUCKETS - 1; the same on every machine."""
    return 1 + crc32(word.encode()) % (NUM_BUCKETS - 1)


def bags_of_words(texts: Texts) -> csr_matrix:
    """Which buckets each text has words in, each row of length 1, (N, NUM_BUCKETS).

    Hashed words as in Weinberger et al. 2009, arXiv:0902.2206, without their signs.

    Args:
        texts: One a row; an empty one gives a row of zeros.
    """
    buckets = [sorted({bucket_of(word) for word in words_of(text)}) for text in texts]
    counts = np.array([len(row) for row in buckets], np.int64)
    columns = np.concatenate([np.zeros(0, np.int64), *map(np.asarray, buckets)]).astype(np.int64)
    values: NDArray[np.float64] = np.repeat(1 / np.sqrt(np.maximum(counts, 1)), counts)
    ends = np.concatenate([[0], np.cumsum(counts)])
    return csr_matrix((values, columns, ends), shape=(len(texts), NUM_BUCKETS))
