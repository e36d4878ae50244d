"""Dropout for recurrent networks: noise that does not grow with the length of the sequence."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class LockedDropout(nn.Module):
    """One mask per row for all time steps, Gal & Ghahramani 2016 (arXiv:1512.05287).

    Args:
        share: Of the activations that are dropped, 0 to below 1.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Float[Tensor, "B T N"]) -> Float[Tensor, "B T N"]:
        """Drop in training mode, and scale what stays by 1 / (1 - share)."""
        mask = torch.ones_like(x[:, :1])  # (B, 1, N)
        return x * nn.functional.dropout(mask, self.share, self.training)


def zoneout(
    before: Float[Tensor, "B H"], after: Float[Tensor, "B H"], share: float, is_training: bool
) -> Float[Tensor, "B H"]:
    """Let units keep their old value, Krueger et al. 2017 (arXiv:1606.01305), eq. 4.

    Args:
        before: The state of the step before.
        after: The state that the cell computed.
        share: Chance that a unit keeps its value, 0 to below 1.
        is_training: Whether to draw; else the expectation is taken.
    """
    if not is_training:
        return share * before + (1 - share) * after
    keeps = torch.empty_like(after).bernoulli_(share).bool()
    return torch.where(keeps, before, after)
