"""What a reply may not say: placeholders without a value, blanks, speaker tokens, long numbers."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from data.entities import placeholders
from data.text import SPEAKER_TOKENS, Tokenizer

MAX_PLAIN_DIGITS = 4  # a reply spells no number of more digits, but for those the user gave
BLANK = "["  # opens what agents forgot to fill in, such as "[Date]"; a reply opens none


class ForbiddenTokens:
    """Which tokens may not follow what a reply has said so far.

    Args:
        tokenizer: The vocabulary.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        names = tokenizer.known(placeholders())
        self._placeholders = frozenset(
            tokenizer.token_id(name) for name in names if not name.endswith("_x>")
        )
        self._never = {tokenizer.token_id(name) for name in names if name.endswith("_x>")}
        self._never |= {tokenizer.token_id(name) for name in SPEAKER_TOKENS.values()}
        # Of each token: digits before its first space, digits after its last, whether it has one.
        self._shape: list[tuple[int, int, bool]] = []
        special = self._placeholders | self._never
        for token in range(tokenizer.vocab_size):
            text = " " if token in special else tokenizer.decode([token])
            words = text.split(" ")
            count = [sum(c.isdigit() for c in word) for word in words]
            self._shape.append((count[0], count[-1], len(words) > 1))
            if max(count) > MAX_PLAIN_DIGITS or BLANK in text:
                self._never.add(token)
        self._array = lru_cache(maxsize=1000)(self._make_array)  # a server meets few pairs

    def known(self, source: Iterable[int]) -> frozenset[int]:
        """The placeholders of a source: all that `__call__` reads of it."""
        return self._placeholders.intersection(source)

    def __call__(self, known: frozenset[int], tokens: Sequence[int]) -> NDArray[np.int64]:
        """The tokens that may not follow.

        Args:
            known: What `known` gave.
            tokens: The reply so far.
        """
        run = 0
        for token in reversed(tokens):
            lead, tail, has_space = self._shape[token]
            run += tail if has_space else lead
            if has_space:
                break
        return self._array(known, min(run, MAX_PLAIN_DIGITS))

    def _make_array(self, known: frozenset[int], run: int) -> NDArray[np.int64]:
        """The tokens that may not follow a run of so many digits."""
        forbidden = self._never | (self._placeholders - known)
        if run:
            room = MAX_PLAIN_DIGITS - run
            forbidden |= {token for token, shape in enumerate(self._shape) if shape[0] > room}
        return np.array(sorted(forbidden))
