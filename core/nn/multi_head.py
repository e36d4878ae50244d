"""Multi-head attention, written out, with keys and values that a decoder keeps between steps."""

import math
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from core.nn.masking import clear_padding, masked_softmax

KeyValue = tuple[Tensor, Tensor]  # keys and values of a memory, each (B, N, S, A): N heads


def check_heads(name: str, width: int, num_heads: int) -> None:
    """Refuse a width that the heads cannot share.

    Args:
        name: What the width is called where it was chosen, for the message.
        width: Numbers per position.
        num_heads: Heads, at least 1.

    Raises:
        ValueError: The width is no multiple, or one of them is below 1.
    """
    if num_heads < 1 or width < 1 or width % num_heads:
        raise ValueError(
            f"{name}={width} must be a multiple of num_heads={num_heads}, and both at least 1; "
            "change one of them"
        )


def make_linear(input_size: int, output_size: int) -> nn.Linear:
    """A linear layer that starts with Glorot's weights and no bias (Glorot & Bengio 2010)."""
    layer = nn.Linear(input_size, output_size)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class MultiHeadAttention(nn.Module):
    """Vaswani et al. 2017 (arXiv:1706.03762), section 3.2.2: N scaled dot products side by side.

    Computes what `nn.MultiheadAttention` does. For self-attention the memory is the query's own
    sequence; a decoder that reads step by step hands the keys and values of the steps before to
    `project` and so computes only the new ones. Dropout is the caller's.

    Args:
        width: Numbers per position, a multiple of `num_heads`.
        num_heads: Heads, at least 1.

    Raises:
        ValueError: The width is no multiple of the heads.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        check_heads("width", width, num_heads)
        self.num_heads = num_heads
        self.query = make_linear(width, width)
        self.key = make_linear(width, width)
        self.value = make_linear(width, width)
        self.output = make_linear(width, width)

    def project(
        self,
        memory: Float[Tensor, "B S E"],
        valid_mask: Bool[Tensor, "B S"] | None = None,
        cache: KeyValue | None = None,
    ) -> KeyValue:
        """Keys and values of a memory.

        Args:
            memory: What is read; its padding may hold anything.
            valid_mask: True where a position is real; None where all are.
            cache: Keys and values of the positions before, which come first in the result.
        """
        if valid_mask is not None:
            memory = clear_padding(memory, valid_mask)
        keys, values = self._split(self.key(memory)), self._split(self.value(memory))
        if cache is None:
            return keys, values
        return torch.cat([cache[0], keys], dim=2), torch.cat([cache[1], values], dim=2)

    def forward(
        self,
        query: Float[Tensor, "B T E"],
        keys: Float[Tensor, "B N S A"],
        values: Float[Tensor, "B N S A"],
        valid_mask: Bool[Tensor, "B S"] | None = None,
        is_causal: bool = False,
    ) -> tuple[Float[Tensor, "B T E"], Float[Tensor, "B T S"]]:
        """Read a memory.

        Args:
            query: The reading positions.
            keys: Of `project`.
            values: Of `project`.
            valid_mask: True where a memory position is real; None where all are.
            is_causal: The queries are the memory's last T positions, and each reads itself and
                what comes before it.

        Returns:
            Contexts, and weights that sum to 1 over what may be read, the mean over the heads.
        """
        queries = self._split(self.query(query))  # (B, N, T, A)
        scores = queries @ keys.transpose(2, 3) / math.sqrt(queries.size(-1))  # (B, N, T, S)
        steps = torch.arange(keys.size(2), device=keys.device)
        visible = torch.ones_like(steps, dtype=torch.bool)  # (S,)
        if is_causal:
            visible = steps <= steps[-query.size(1) :].unsqueeze(1)  # (T, S)
        if valid_mask is not None:
            visible = visible & valid_mask[:, None, None, :]  # (B, 1, T or 1, S)
        weights = masked_softmax(scores, visible.expand_as(scores))
        context = (weights.to(values.dtype) @ values).transpose(1, 2).flatten(2)  # (B, T, E)
        return self.output(context), weights.mean(dim=1)

    def _split(self, x: Tensor) -> Tensor:
        return cast(Tensor, x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2))  # (B, N, T, A)
