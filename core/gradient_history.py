"""The gradient norms of a training's steps, and what they say in words."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.clipping import Clipping, suggest_clip_value

FIRST_NORMS = 200  # steps that a threshold is suggested from
MOST_NORMS = 4096  # kept for the quantiles; beyond, every second one is let go


@dataclass
class GradientHistory:
    """Counts, and a bounded sample of the norms before clipping.

    Attributes:
        steps: Optimiser steps seen.
        clipped: Those whose gradient was clipped.
        nonfinite: Those whose gradient was not finite and was dropped.
        first: Norms of the first FIRST_NORMS finite gradients.
        norms: Norms of every `stride`-th finite gradient.
        stride: A power of 2, so that at most MOST_NORMS are kept.
    """

    steps: int = 0
    clipped: int = 0
    nonfinite: int = 0
    first: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    stride: int = 1

    @property
    def clipped_share(self) -> float:
        """Clipped steps over all steps, 0 where there was none."""
        return self.clipped / self.steps if self.steps else 0.0

    def add(self, norm: float, is_clipped: bool) -> None:
        """Count one step.

        Args:
            norm: Of its gradient before clipping.
            is_clipped: Whether clipping changed the gradient.
        """
        number = self.steps - self.nonfinite  # of the finite norms
        self.steps += 1
        if not math.isfinite(norm):
            self.nonfinite += 1
            return
        self.clipped += is_clipped
        if number < FIRST_NORMS:
            self.first.append(norm)
        if number % self.stride == 0:
            self.norms.append(norm)
            if len(self.norms) == MOST_NORMS:
                del self.norms[1::2]
                self.stride *= 2

    def suggested_clip_norm(self) -> float | None:
        """`suggest_clip_value` of the first steps; None where they are too few or all zero."""
        try:
            return suggest_clip_value(self.first)
        except ValueError:
            return None

    def summary(self) -> dict[str, Any]:
        """What was seen, in plain containers."""
        median, high = np.quantile(self.norms, [0.5, 0.9]) if self.norms else (None, None)
        return {
            "steps": self.steps,
            "nonfinite_steps": self.nonfinite,
            "clipped_share": self.clipped_share,
            "norm_median": None if median is None else float(median),
            "norm_quantile_90": None if high is None else float(high),
            "suggested_clip_norm": self.suggested_clip_norm(),
        }

    def words(self, clipping: Clipping) -> list[str]:
        """At most two lines for people; none without a step.

        Args:
            clipping: The training's thresholds.
        """
        lines = []
        if self.norms:
            seen = self.summary()
            line = (
                f"gradient norm: median {seen['norm_median']:.3g}, 90 % quantile "
                f"{seen['norm_quantile_90']:.3g}; {self._clipped_words(clipping)}"
            )
            if seen["suggested_clip_norm"] is not None:
                line += (
                    f"; the first {len(self.first)} steps suggest --trainer.clip_norm "
                    f"{seen['suggested_clip_norm']:.2g}"
                )
            lines.append(line)
        if self.nonfinite:
            lines.append(
                f"{self.nonfinite} of {self.steps} steps had a gradient that is not finite and "
                "were left out; lower --optim.learning_rate"
            )
        return lines

    def _clipped_words(self, clipping: Clipping) -> str:
        used = options(clipping)
        if not used:
            return "clipping was off"
        return f"{100 * self.clipped_share:.0f} % of {self.steps} steps clipped by {used}"


def options(clipping: Clipping) -> str:
    """The thresholds that are on, as on the command line; empty where clipping is off."""
    kinds = {"norm": clipping.norm, "value": clipping.value, "adaptive": clipping.adaptive}
    return ", ".join(f"--trainer.clip_{kind} {limit:g}" for kind, limit in kinds.items() if limit)
