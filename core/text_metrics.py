"""Text metrics that sacrebleu lacks: variety and repetition."""

from collections.abc import Sequence


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
