"""Which part a dialogue belongs to: by conversation, and no opening question on both sides."""

import logging
import re
import zlib
from array import array
from itertools import pairwise

import numpy as np

from data.dialogues import PARTS, Dialogue, hash64

logger = logging.getLogger(__name__)
MIN_WORDS = 8  # of an opening; shorter ones ("where is my order") come again in any corpus
# Near-duplicates: Jaccard similarity of the sets of words of at least 4 / 5.
_SHARE = (4, 5)
_UNSPACED = "\u3041-\u30ff\u3400-\u9fff"  # Han and Kana, written without spaces


def word_pattern(left_out: str = "") -> str:
    """A regular expression for a word; each character of Han and Kana counts as one.

    Args:
        left_out: What is in no word either, written as in a set of characters.
    """
    return rf"[{_UNSPACED}]|(?:[^\W{left_out}{_UNSPACED}]|[\u0900-\u0963])+"


_WORD = re.compile(word_pattern(r"\d_"))


def opening_words(masked: str) -> list[str]:
    """The words of a masked opening question: lower case, no digits, no punctuation."""
    return _WORD.findall(masked.lower())


def split_hash(dialogue: Dialogue, seed: int) -> int:
    """64 bits that draw a dialogue's part: the same for all that open with the same question.

    An opening of fewer than `MIN_WORDS` words does not count, the dialogue's id does.
    """
    words = opening_words(dialogue.opening)
    key = " ".join(words) if len(words) >= MIN_WORDS else f"id {dialogue.dialogue_id}"
    return hash64(f"{seed} {key}")


def draw_parts(
    hashes: np.ndarray, named: np.ndarray, test_share: float, validation_share: float
) -> np.ndarray:
    """The part of each dialogue, as an index into `PARTS`.

    Where every dialogue names its part, that counts. Else the hashes are ranked, and the parts cut
    off at the shares (at the nearest place where the hash changes), at least one dialogue each. A
    hash of more dialogues than the test part would have goes to the training part.

    Args:
        hashes: `split_hash` of each, (N,) uint64.
        named: What the data say, -1 for nothing, (N,) int8.
        test_share: 0 to 1, exclusive.
        validation_share: Likewise.

    Returns:
        (N,) int8.

    Raises:
        ValueError: Too few dialogues, or too few different openings, to give each part one.
    """
    count = len(hashes)
    if count and (named >= 0).all():
        parts = named.copy()
    else:
        if (named >= 0).any():
            logger.warning("not every dialogue names its split: it is drawn by the seed instead")
        parts = np.zeros(count, dtype=np.int8)
        num_test = max(1, round(count * test_share))
        num_held_out = num_test + max(1, round(count * validation_share))
        _, group, sizes = np.unique(hashes, return_inverse=True, return_counts=True)
        order = np.lexsort((group, sizes[group] > num_test))
        cuts = np.flatnonzero(np.diff(group[order])) + 1
        if len(cuts) < 2:
            what = f"{count} dialogues with {len(sizes)} different openings"
            raise ValueError(_too_few(what, "validation" if len(cuts) else "training"))
        test = _nearest(cuts[:-1], num_test)
        validation = _nearest(cuts[cuts > test], num_held_out)
        parts[order[:test]] = PARTS.index("test")
        parts[order[test:validation]] = PARTS.index("validation")
    for code, name in enumerate(PARTS):
        if not (parts == code).any():
            raise ValueError(_too_few(f"{count} dialogues", name))
    return parts


def _too_few(what: str, part: str) -> str:
    return (
        f"{what} leave the {part} part empty; add data: each of train, validation and test needs "
        "one with an opening of its own"
    )


def _nearest(cuts: np.ndarray, wanted: int) -> int:
    return int(cuts[np.abs(cuts - wanted).argmin()])


class HeldOutOpenings:
    """Finds the dialogues whose opening question is nearly that of a held-out one.

    Near means a Jaccard similarity of the sets of words of at least 4/5, which one word in nine may
    change. Exact: two such sets share a word among the few rarest of each (prefix filtering,
    Chaudhuri et al. 2006), so that few sets are compared. Four bytes a held-out word and eight an
    index entry stay in memory; an opening that comes again adds nothing.
    """

    def __init__(self) -> None:
        self._words = array("I")
        self._starts = array("Q", [0])
        self._parts = array("b")
        self._seen: set[int] = set()

    def add(self, masked: str, part: int) -> None:
        """Hold out an opening of `MIN_WORDS` words or more; a shorter one is passed over."""
        words = opening_words(masked)
        if len(words) < MIN_WORDS:
            return
        found = np.sort(_codes(words))
        key = hash64(f"{part} {found.tolist()}")
        if key not in self._seen:
            self._seen.add(key)
            self._words.extend(found.tolist())
            self._starts.append(len(self._words))
            self._parts.append(part)

    def index(self) -> None:
        """Make the index, when all are added."""
        self._seen.clear()
        words, starts = np.asarray(self._words), np.asarray(self._starts)
        self._vocabulary, self._counts = np.unique(words, return_counts=True)
        entries = [self._rarest(words[a:b]) for a, b in pairwise(starts.tolist())]
        sizes = np.array([len(entry) for entry in entries], dtype=np.int64)
        rows = np.repeat(np.arange(len(entries), dtype=np.uint32), sizes)
        found = np.concatenate([*entries, np.zeros(0, dtype=words.dtype)])
        order = np.argsort(found, kind="stable")
        self._entries, self._rows = found[order], rows[order]

    def is_near(self, masked: str, part: int) -> bool:
        """Whether an opening is nearly one held out in a later part.

        Args:
            masked: The opening.
            part: The dialogue's: a training opening is compared with validation and test, one of
                the validation part with the test.
        """
        words = opening_words(masked)
        if len(words) < MIN_WORDS or not len(self._parts):
            return False
        own = _codes(words)
        rare = self._rarest(own)
        first = np.searchsorted(self._entries, rare, "left").tolist()
        last = np.searchsorted(self._entries, rare, "right").tolist()
        mine, compared = set(own.tolist()), set()
        for start, end in zip(first, last, strict=True):
            for row in self._rows[start:end].tolist():
                if row not in compared and self._parts[row] > part:
                    compared.add(row)
                    if self._is_like(mine, row):
                        return True
        return False

    def _is_like(self, mine: set[int], row: int) -> bool:
        theirs = self._words[self._starts[row] : self._starts[row + 1]]
        shared = sum(word in mine for word in theirs)
        return _SHARE[1] * shared >= _SHARE[0] * (len(mine) + len(theirs) - shared)

    def _rarest(self, words: np.ndarray) -> np.ndarray:
        """So many of the rarest words that a near-duplicate must have one of them."""
        count = len(words) - -(-_SHARE[0] * len(words) // _SHARE[1]) + 1
        place = np.searchsorted(self._vocabulary, words).clip(max=len(self._vocabulary) - 1)
        known = self._vocabulary[place] == words
        frequency = np.where(known, self._counts[place], 0)
        return words[np.lexsort((words, frequency))[:count]]


def _codes(words: list[str]) -> np.ndarray:
    """The different words as 32-bit numbers."""
    return np.array(sorted({zlib.crc32(word.encode()) for word in words}), dtype=np.uint32)
