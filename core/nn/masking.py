"""What every masked operation needs: which positions are real, and padding that cannot leak."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def real_positions(lengths: Int[Tensor, " B"], time: int) -> Bool[Tensor, "B T"]:
    """True at each row's first `length` of `time` positions."""
    return torch.arange(time, device=lengths.device) < lengths.unsqueeze(1)


def clear_padding(
    x: Float[Tensor, "B S M"], valid_mask: Bool[Tensor, "B S"]
) -> Float[Tensor, "B S M"]:
    """Zeros where the mask is False: 0 * NaN is NaN, so a weight of zero is not enough."""
    return x.masked_fill(~valid_mask.unsqueeze(-1), 0.0)


def exact(x: Tensor) -> Tensor:
    """The numbers in float32 at least: half precision is too coarse for sums and positions."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def masked_softmax(
    scores: Float[Tensor, "*B S"], valid_mask: Bool[Tensor, "*#B S"]
) -> Float[Tensor, "*B S"]:
    """Softmax over the last axis, `exact`, with exactly zero weight where the mask is False."""
    scores = exact(scores)
    scores = scores.masked_fill(~valid_mask, torch.finfo(scores.dtype).min)
    return scores.softmax(dim=-1).masked_fill(~valid_mask, 0.0)
