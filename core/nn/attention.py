"""Attention as pure functions of queries, keys and values: no state is kept between calls."""

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

AttentionKind = Literal["additive", "general", "none"]


def masked_softmax(
    scores: Float[Tensor, "*B S"], valid_mask: Bool[Tensor, "*B S"]
) -> Float[Tensor, "*B S"]:
    """Softmax over the last axis in float32, with exactly zero weight where the mask is False."""
    scores = scores.float().masked_fill(~valid_mask, torch.finfo(torch.float32).min)
    return scores.softmax(dim=-1).masked_fill(~valid_mask, 0.0)


class GeneralAttention(nn.Module):
    """Luong et al. 2015 (arXiv:1508.04025), eq. 8 `general`: score = q W k.

    Differs from the paper by the factor 1/sqrt(query_size), which keeps the softmax out of
    saturation at the start (Vaswani et al. 2017).
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(memory_size, query_size, bias=False)
        self.scale = 1.0 / math.sqrt(query_size)

    def project(self, memory: Float[Tensor, "B S M"]) -> Float[Tensor, "B S A"]:
        """Keys of a memory; compute them once per source."""
        return self.key(memory)

    def forward(
        self,
        query: Float[Tensor, "B T Q"],
        keys: Float[Tensor, "B S A"],
        values: Float[Tensor, "B S M"],
        valid_mask: Bool[Tensor, "B S"],
    ) -> tuple[Float[Tensor, "B T M"], Float[Tensor, "B T S"]]:
        """Read the memory.

        Args:
            query: Decoder states.
            keys: What `project` gave.
            values: The memory itself.
            valid_mask: True where a memory position is real.

        Returns:
            Contexts, and weights that sum to 1 over the real positions.
        """
        scores = torch.bmm(query, keys.transpose(1, 2)) * self.scale  # (B, T, S)
        return _read(scores, values, valid_mask)


class AdditiveAttention(nn.Module):
    """Bahdanau et al. 2015 (arXiv:1409.0473), appendix A.1.2: score = v tanh(W q + U k)."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, query_size, bias=False)
        self.key = nn.Linear(memory_size, query_size, bias=False)
        self.energy = nn.Linear(query_size, 1, bias=False)

    def project(self, memory: Float[Tensor, "B S M"]) -> Float[Tensor, "B S A"]:
        """Keys of a memory; compute them once per source."""
        return self.key(memory)

    def forward(
        self,
        query: Float[Tensor, "B T Q"],
        keys: Float[Tensor, "B S A"],
        values: Float[Tensor, "B S M"],
        valid_mask: Bool[Tensor, "B S"],
    ) -> tuple[Float[Tensor, "B T M"], Float[Tensor, "B T S"]]:
        """Read the memory; arguments and results as in `GeneralAttention.forward`."""
        joint = self.query(query).unsqueeze(2) + keys.unsqueeze(1)  # (B, T, S, A)
        scores = self.energy(torch.tanh(joint)).squeeze(-1)  # (B, T, S)
        return _read(scores, values, valid_mask)


def _read(scores: Tensor, values: Tensor, valid_mask: Tensor) -> tuple[Tensor, Tensor]:
    weights = masked_softmax(scores, valid_mask.unsqueeze(1).expand_as(scores))  # (B, T, S)
    # Padding may hold anything, even a NaN, and 0 * NaN is NaN: clear it before the product.
    values = values.masked_fill(~valid_mask.unsqueeze(-1), 0.0)
    return torch.bmm(weights.to(values.dtype), values), weights


def make_attention(
    kind: AttentionKind, query_size: int, memory_size: int
) -> GeneralAttention | AdditiveAttention | None:
    """Build the attention of that name; `none` gives None."""
    match kind:
        case "general":
            return GeneralAttention(query_size, memory_size)
        case "additive":
            return AdditiveAttention(query_size, memory_size)
        case "none":
            return None
    raise ValueError(f"attention={kind!r} is unknown; choose additive, general or none")
