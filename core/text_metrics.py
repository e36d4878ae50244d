"""BLEU and chrF from counts per text, and what sacrebleu lacks: variety and repetition."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int
from sacrebleu.metrics import BLEU, CHRF

OVERLAPS = {"bleu": BLEU(force=True), "chrf": CHRF()}  # sacrebleu's defaults
Counts = dict[str, Int[np.ndarray, "N K"]]


class Overlap:
    """BLEU and chrF of several systems' texts against the same references.

    Both scores of a corpus depend on sums of counts per text, which sacrebleu takes once: the score
    of a part or of a resample needs no text any more.

    Args:
        references: One a text.
    """

    def __init__(self, references: Sequence[str]) -> None:
        self.references = references

    def counts(self, texts: Sequence[str], advance: Callable[[int], None] | None = None) -> Counts:
        """The counts of each text, by the score's name.

        Args:
            texts: As many as there are references.
            advance: Called with the number of texts done since the last call.
        """
        rows: dict[str, list[list[int]]] = {name: [] for name in OVERLAPS}
        for text, reference in zip(texts, self.references, strict=True):
            for name, metric in OVERLAPS.items():
                rows[name] += metric._extract_corpus_statistics([text], [[reference]])
            if advance is not None:
                advance(1)
        return {name: np.array(found, int) for name, found in rows.items()}


def overlap_score(name: str, sums: Float[np.ndarray, "R K"]) -> Float[np.ndarray, " R"]:
    """The score of each corpus.

    Args:
        name: `bleu` or `chrf`.
        sums: A corpus a row: the sums of its texts' counts.
    """
    rows = np.rint(sums).astype(int).tolist()
    return np.array([OVERLAPS[name]._compute_score_from_stats(row).score for row in rows])


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Share of different n-grams among all n-grams of all texts, 0 to 1.

    Li et al. 2016 (arXiv:1510.03055), section 5.2; words are split at white space.
    """
    grams = [gram for text in texts for gram in _ngrams(text.split(), n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def repetition_rate(texts: Sequence[str], n: int = 4) -> float:
    """Share of the texts in which an n-gram comes twice, 0 to 1."""
    repeating = 0
    for text in texts:
        grams = _ngrams(text.split(), n)
        repeating += len(set(grams)) < len(grams)
    return repeating / len(texts) if texts else 0.0


def _ngrams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]
