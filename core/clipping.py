"""Gradient clipping: adaptive, by value, by norm; and a threshold suggested by observed norms."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

SMALLEST_WEIGHT_NORM = 1e-3  # eq. 3's epsilon: weights that start at zero could never move
FEWEST_NORMS = 10  # below that a 90 % quantile is the largest value


@dataclass(frozen=True, kw_only=True)
class Clipping:
    """The thresholds of `clip_gradients`; 0 switches a kind off.

    Attributes:
        norm: Largest norm of the whole gradient, 0 or more.
        value: Largest absolute value of an entry of the gradient, 0 or more.
        adaptive: Largest norm of a unit's gradient as a share of its weights' norm, 0 or more.
    """

    norm: float = 0.0
    value: float = 0.0
    adaptive: float = 0.0


def clip_gradients(
    parameters: Iterable[nn.Parameter], *, norm: float, value: float, adaptive: float
) -> Tensor:
    """Clip gradients in place: adaptively, then by value, then by norm; 0 leaves a kind out.

    Adaptive clipping (Brock et al. 2021, arXiv:2102.06171, eq. 3) shortens the gradient of each
    unit to `adaptive` times the norm of the unit's weights, or times 1e-3 where that is larger. A
    unit is a row of a matrix, and a whole vector, as in the paper's code. The paper leaves the
    last layer alone; here every layer is clipped.

    Clipping by norm (Pascanu et al. 2013, arXiv:1211.5063, algorithm 1) scales the whole gradient
    and keeps its direction; clipping by value does not keep it.

    A gradient that is not finite shows in the norm returned. What follows is as in torch: clipping
    by norm turns all entries to NaN beside a NaN, and to zero beside an infinite one, which itself
    becomes NaN; clipping by value turns an infinite entry into the threshold.

    Args:
        parameters: Whose gradients are clipped; those without one are left out.
        norm: Largest norm of the whole gradient.
        value: Largest absolute value of an entry.
        adaptive: Largest norm of a unit's gradient as a share of its weights' norm; 0.01 to 0.16
            in the paper.

    Returns:
        The norm of the whole gradient before any clipping, a scalar tensor.
    """
    given = [parameter for parameter in parameters if parameter.grad is not None]
    if not given:
        return torch.tensor(0.0)  # torch's clipping by value breaks on an empty list
    if norm > 0 and not value > 0 and not adaptive > 0:
        return nn.utils.clip_grad_norm_(given, norm)  # which has measured the norm already
    before = nn.utils.get_total_norm([p.grad for p in given if p.grad is not None])
    if adaptive > 0:
        _clip_adaptively(given, adaptive)
    if value > 0:
        nn.utils.clip_grad_value_(given, value)
    if norm > 0:
        nn.utils.clip_grad_norm_(given, norm)
    return before


@torch.no_grad()
def _clip_adaptively(parameters: Sequence[nn.Parameter], limit: float) -> None:
    for parameter in parameters:
        assert parameter.grad is not None
        largest = limit * unit_norms(parameter).clamp_(min=SMALLEST_WEIGHT_NORM)
        # A gradient of zero gives infinity, and stays as it is.
        parameter.grad.mul_((largest / unit_norms(parameter.grad)).clamp_(max=1.0))


def unit_norms(weights: Tensor) -> Tensor:
    """Norm of each output unit's weights, or of their gradient, in a shape that broadcasts.

    Args:
        weights: A matrix, one row a unit, (N, ...); or a vector, which is one unit, (N,).

    Returns:
        (N, 1, ...), for a vector (1,).
    """
    own = tuple(range(1, weights.ndim)) if weights.ndim > 1 else None
    return cast(Tensor, torch.linalg.vector_norm(weights, dim=own, keepdim=True))


def suggest_clip_value(norms: Sequence[float]) -> float:
    """A threshold for clipping by norm, from the gradient norms of a training's first steps.

    Pascanu et al. 2013 (arXiv:1211.5063, section 3.2) look at the average norm over many updates:
    thresholds from half to ten times it still converge. An average follows the very explosions
    that are to be clipped, so this takes the 90 % quantile, which leaves nine steps of ten as
    they are, and at most ten times the median, which holds where more than a tenth explode.

    Args:
        norms: Norms before clipping, one a step, 0 or more; what is not finite is left out.

    Returns:
        The threshold, positive.

    Raises:
        ValueError: Fewer than 10 finite norms, or at least nine of ten are zero.
    """
    observed = np.asarray(norms, dtype=float)
    finite = observed[np.isfinite(observed)]
    if len(finite) < FEWEST_NORMS:
        raise ValueError(
            f"{len(finite)} of {len(observed)} gradient norms are finite, a threshold needs at "
            f"least {FEWEST_NORMS}; observe more steps or lower the learning rate"
        )
    threshold = float(min(np.quantile(finite, 0.9), 10 * np.median(finite)))
    if not threshold > 0:
        raise ValueError(
            f"the median of {len(finite)} gradient norms is {np.median(finite):g}, it must be "
            "positive; look for what keeps the gradient from the weights"
        )
    return threshold
