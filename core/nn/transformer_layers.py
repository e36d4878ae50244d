"""The layers of Vaswani et al. 2017 (arXiv:1706.03762).

They differ from the paper in where they normalise: before each part instead of after it, which
trains without a long warm-up (Xiong et al. 2020, arXiv:2002.04745).
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from core.nn.multi_head import KeyValue, MultiHeadAttention, make_linear


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Sizes of Transformer layers; a person chooses them through the network's own config.

    Attributes:
        width: Numbers per position, a multiple of `num_heads`.
        feedforward_size: Hidden units of the feed-forward part, at least 1.
        num_heads: At least 1.
        num_layers: At least 1.
        dropout: Share dropped of the inputs and of what each part adds, 0 to below 1.
        is_causal: Whether an encoder's position reads itself and what came before it alone.
    """

    width: int
    feedforward_size: int
    num_heads: int
    num_layers: int
    dropout: float
    is_causal: bool


def sinusoidal_positions(start: int, count: int, width: int, like: Tensor) -> Float[Tensor, "T E"]:
    """Vaswani et al. 2017, section 3.5: sines at even features, cosines at odd ones.

    Args:
        start: The first position, from 0.
        count: How many.
        width: Features, at least 1.
        like: Gives device and type.
    """
    steps = torch.arange(start, start + count, device=like.device, dtype=torch.float32)
    even = torch.arange(0, width, 2, device=like.device, dtype=torch.float32)
    angles = steps.unsqueeze(1) * torch.exp(even * (-math.log(10000.0) / width))  # (T, E / 2)
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
    return waves[:, :width].to(like.dtype)


def make_feedforward(config: TransformerConfig) -> nn.Sequential:
    """Section 3.3: two linear layers with a ReLU between them."""
    return nn.Sequential(
        make_linear(config.width, config.feedforward_size),
        nn.ReLU(),
        make_linear(config.feedforward_size, config.width),
    )


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward part, each normalised before and added to its input."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.is_causal = config.is_causal
        self.self_norm = nn.LayerNorm(config.width)
        self.self_attention = MultiHeadAttention(config.width, config.num_heads)
        self.feedforward_norm = nn.LayerNorm(config.width)
        self.feedforward = make_feedforward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Float[Tensor, "B T E"], valid_mask: Bool[Tensor, "B T"] | None
    ) -> Float[Tensor, "B T E"]:
        """One layer over finite inputs; None where nothing is padded."""
        query = self.self_norm(x)
        keys, values = self.self_attention.project(query)
        context, _ = self.self_attention(query, keys, values, valid_mask, self.is_causal)
        x = x + self.dropout(context)
        return cast(Tensor, x + self.dropout(self.feedforward(self.feedforward_norm(x))))


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the source, a feed-forward part."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.self_norm = nn.LayerNorm(config.width)
        self.self_attention = MultiHeadAttention(config.width, config.num_heads)
        self.cross_norm = nn.LayerNorm(config.width)
        self.cross_attention = MultiHeadAttention(config.width, config.num_heads)
        self.feedforward_norm = nn.LayerNorm(config.width)
        self.feedforward = make_feedforward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "B T E"],
        cache: KeyValue,
        source: KeyValue,
        valid_mask: Bool[Tensor, "B S"],
    ) -> tuple[Float[Tensor, "B T E"], KeyValue, Float[Tensor, "B T S"]]:
        """The next T positions.

        Args:
            x: Their inputs.
            cache: Own keys and values of the positions before.
            source: Keys and values of the encoder's states.
            valid_mask: True where a source position is real.

        Returns:
            Outputs, the cache with the new positions, and the weights over the source.
        """
        query = self.self_norm(x)
        cache = self.self_attention.project(query, cache=cache)
        context, _ = self.self_attention(query, *cache, is_causal=True)
        x = x + self.dropout(context)
        context, weights = self.cross_attention(self.cross_norm(x), *source, valid_mask)
        x = x + self.dropout(context)
        return x + self.dropout(self.feedforward(self.feedforward_norm(x))), cache, weights


class EncoderLayers(nn.Module):
    """Positions, dropout, every encoder layer, and the last normalisation."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Float[Tensor, "B T E"], valid_mask: Bool[Tensor, "B T"] | None
    ) -> Float[Tensor, "B T E"]:
        """All layers over finite inputs; None where nothing is padded."""
        x = self.dropout(x + sinusoidal_positions(0, x.size(1), x.size(2), x))
        for layer in self.layers:
            x = layer(x, valid_mask)
        return cast(Tensor, self.norm(x))
