"""Scores of quantile forecasts, for tensors."""

import torch
from jaxtyping import Float
from torch import Tensor


def pinball(
    quantiles: Float[Tensor, "*B Q"], target: Float[Tensor, "*B"], levels: Float[Tensor, " Q"]
) -> Float[Tensor, "*B Q"]:
    """Pinball loss of each quantile (Koenker & Bassett 1978).

    Args:
        quantiles: Forecast quantiles.
        target: What happened; NaN gives NaN.
        levels: Probability of each quantile, in (0, 1).
    """
    error = target.unsqueeze(-1) - quantiles
    return torch.maximum(levels * error, (levels - 1) * error)


def pinball_loss(
    quantiles: Float[Tensor, "*B Q"], target: Float[Tensor, "*B"], levels: Float[Tensor, " Q"]
) -> Float[Tensor, ""]:
    """Mean pinball loss over everything."""
    return pinball(quantiles, target, levels).mean()


def crps_from_quantiles(
    quantiles: Float[Tensor, "*B Q"], target: Float[Tensor, "*B"], levels: Float[Tensor, " Q"]
) -> Float[Tensor, "*B"]:
    """Continuous ranked probability score, approximated by twice the mean pinball loss.

    Exact in the limit of many evenly spaced levels (Gneiting & Ranjan 2011, eq. 11); in the
    target's unit, lower is better.
    """
    return 2 * pinball(quantiles, target, levels).mean(-1)


def is_covered(
    quantiles: Float[Tensor, "*B Q"],
    target: Float[Tensor, "*B"],
    levels: Float[Tensor, " Q"],
    share: float,
) -> Float[Tensor, "*B"]:
    """Whether the central interval of a probability holds the outcome: 1, 0, NaN where unknown.

    Args:
        quantiles: Forecast quantiles, rising.
        target: What happened.
        levels: Probability of each quantile, rising.
        share: Probability of the interval, such as 0.8 for the 0.1 and 0.9 quantiles.

    Raises:
        ValueError: The interval reaches past the outermost levels.
    """
    low = quantile_at(quantiles, levels, (1 - share) / 2)
    high = quantile_at(quantiles, levels, (1 + share) / 2)
    inside = ((target >= low) & (target <= high)).to(quantiles.dtype)
    return torch.where(target.isnan(), torch.full_like(inside, torch.nan), inside)


def interval_width(
    quantiles: Float[Tensor, "*B Q"], levels: Float[Tensor, " Q"], share: float
) -> Float[Tensor, "*B"]:
    """Width of the central interval of a probability, in the target's unit.

    Args:
        quantiles: Forecast quantiles, rising.
        levels: Probability of each quantile, rising.
        share: Probability of the interval, such as 0.8.

    Raises:
        ValueError: The interval reaches past the outermost levels.
    """
    low, high = ((1 - share) / 2, (1 + share) / 2)
    return quantile_at(quantiles, levels, high) - quantile_at(quantiles, levels, low)


def quantile_at(
    quantiles: Float[Tensor, "*B Q"], levels: Float[Tensor, " Q"], level: float
) -> Float[Tensor, "*B"]:
    """The quantile of a level, linear between its two neighbours.

    Raises:
        ValueError: The level lies outside the given ones.
    """
    tolerance = 1e-6
    if not float(levels[0]) - tolerance <= level <= float(levels[-1]) + tolerance:
        raise ValueError(
            f"level {level:g} lies outside {float(levels[0]):g} to {float(levels[-1]):g}; "
            "ask for a level between them"
        )
    right = int(torch.searchsorted(levels, torch.tensor(level - tolerance, dtype=levels.dtype)))
    right = min(max(right, 1), len(levels) - 1)
    left = right - 1
    weight = (level - levels[left]) / (levels[right] - levels[left])
    return torch.lerp(quantiles[..., left], quantiles[..., right], weight.clamp(0, 1))


def mase(error: Float[Tensor, "*B"], naive_error: float | Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Mean absolute error over the training part's naive one (Hyndman & Koehler 2006).

    Args:
        error: Outcome less forecast; NaN is left out.
        naive_error: Mean absolute error of "no change" over the training part, positive.
    """
    return error.abs().nanmean() / naive_error
