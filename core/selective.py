"""What is gained by answering only where one is sure: risk by coverage."""

from typing import Any

import numpy as np
from jaxtyping import Float

COVERAGES = tuple(step / 10 for step in range(1, 11))


def risk_coverage(
    confidence: Float[np.ndarray, " N"], risk: Float[np.ndarray, " N"]
) -> dict[str, Any]:
    """Mean risk of the surest answers, by the share that is kept (El-Yaniv & Wiener 2010).

    Answers of equal confidence count as their mean, so that their order changes nothing.

    Args:
        confidence: Of each answer, at least one.
        risk: Of each answer; lower is better.

    Returns:
        `coverage` (0.1 to 1.0), `risk` at each, and `aurc`: the mean risk over all coverages 1/N,
        2/N, ..., 1 (the area under the curve, Geifman et al. 2019, arXiv:1805.08206). Confidence
        that knows nothing has an `aurc` near the risk at coverage 1.
    """
    levels, level = np.unique(-confidence, return_inverse=True)  # the surest first
    mean = np.bincount(level, risk, len(levels)) / np.bincount(level, minlength=len(levels))
    kept = np.sort(level)
    curve = np.cumsum(mean[kept]) / np.arange(1, len(kept) + 1)  # (N,)
    ends = [max(round(coverage * len(kept)), 1) for coverage in COVERAGES]
    return {
        "coverage": list(COVERAGES),
        "risk": [float(curve[end - 1]) for end in ends],
        "aurc": float(curve.mean()),
    }
