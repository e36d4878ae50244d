"""Normalisation between recurrent layers that never looks at the padding."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

NormKind = Literal["none", "layer", "batch"]


class MaskedBatchNorm(nn.Module):
    """Batch norm over all real steps of a batch, Laurent et al. 2016 (arXiv:1510.01378), eq. 9.

    The statistics of a sequence are taken over rows and time together, of real steps alone. With
    a single real step there is no variance: the running statistics are used, as in evaluation.

    Args:
        size: Features.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(size)

    def forward(
        self, x: Float[Tensor, "B T N"], valid_mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T N"]:
        """Normalise the real steps; padding comes out as zero."""
        rows = x.flatten(0, 1) if valid_mask is None else x[valid_mask]  # (N, size)
        norm = self.norm
        uses_batch = self.training and len(rows) > 1
        normalized = nn.functional.batch_norm(
            rows,
            norm.running_mean,
            norm.running_var,
            norm.weight,
            norm.bias,
            training=uses_batch,
            momentum=norm.momentum or 0.0,
            eps=norm.eps,
        )
        if valid_mask is None:
            return normalized.view_as(x)
        return torch.zeros_like(x).masked_scatter(valid_mask.unsqueeze(-1), normalized)


def make_norm(kind: NormKind, size: int) -> nn.LayerNorm | MaskedBatchNorm | None:
    """Build the normalisation of that name; `none` gives None.

    `layer` is Ba et al. 2016 (arXiv:1607.06450), over the features of one step.
    """
    match kind:
        case "layer":
            return nn.LayerNorm(size)
        case "batch":
            return MaskedBatchNorm(size)
        case "none":
            return None
