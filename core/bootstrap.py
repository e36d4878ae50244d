"""Intervals and tests by resampling whole units, such as dialogues, from their counts alone.

Replies of one dialogue resemble each other: resampled one by one they would look like more evidence
than they are. A corpus score that depends on sums of counts per text (sufficient statistics) is
computed from the sums of the drawn units; no text is read again.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

NUM_RESAMPLES = 1000
_CHUNK = 100  # resamples drawn at once, so that many units fit into memory


def group_sums(
    counts: Float[np.ndarray, "N K"], groups: Sequence[Hashable]
) -> Float[np.ndarray, "G K"]:
    """The counts of each unit: the sums over its members.

    Args:
        counts: Of the members.
        groups: Which unit each belongs to; units stand in the order of their first members.
    """
    numbers: dict[Hashable, int] = {}
    rows = [numbers.setdefault(group, len(numbers)) for group in groups]
    sums = np.zeros((len(numbers), counts.shape[1]), counts.dtype)
    np.add.at(sums, rows, counts)
    return sums


def resample(
    units: Float[np.ndarray, "G K"],
    score: Callable[[Float[np.ndarray, "R K"]], Float[np.ndarray, " R"]],
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Float[np.ndarray, " R"]:
    """Scores of corpora of as many units, drawn with replacement (Efron 1979).

    The draws depend on the number of units and the seed alone: the scores of two systems on the
    same units are paired, and may be subtracted or averaged.

    Args:
        units: Counts of each unit, at least one, whole numbers below 2^53 in sum.
        score: Of one corpus per row, given as its sums.
        num_resamples: How many corpora, at least 1.
        seed: Of the draws.
    """
    generator = np.random.default_rng(seed)
    share = np.full(len(units), 1 / len(units))
    sums = []
    for start in range(0, num_resamples, _CHUNK):
        size = min(_CHUNK, num_resamples - start)
        times = generator.multinomial(len(units), share, size=size)  # (R, G)
        sums.append(times.astype(float) @ units)  # exact: the counts are whole numbers
    return score(np.concatenate(sums))


def interval(scores: Float[np.ndarray, " R"]) -> list[float]:
    """The 95 % percentile interval of resampled scores: its lower and its upper end.

    Args:
        scores: What `resample` gave.
    """
    ends = np.quantile(scores, [0.025, 0.975])
    return [float(end) for end in ends]


def paired_difference(observed: float, resampled: Float[np.ndarray, " R"]) -> dict[str, Any]:
    """How far two systems lie apart, and how likely so much is where they do not.

    The p value is two-sided: the share of the resampled differences that, moved to a mean of zero,
    lie as far from it as the observed one (paired bootstrap, Koehn 2004; shifted as in Riezler &
    Maxwell 2005). At 1,000 resamples it is at least 0.001.

    Args:
        observed: Score of one system less that of the other, on all units.
        resampled: The same differences on paired resamples.

    Returns:
        `difference`, `interval` (95 %, lower and upper end) and `p_value`.
    """
    centred = np.abs(resampled - resampled.mean())
    # What equals the observed difference but for rounding counts as being as far.
    as_far = int(np.sum(centred >= abs(observed) - 1e-12))
    return {
        "difference": observed,
        "interval": interval(resampled),
        "p_value": (as_far + 1) / (len(resampled) + 1),
    }
