"""Transformers (Vaswani et al. 2017, arXiv:1706.03762) with the recurrent networks' interfaces."""

from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from core.nn.masking import clear_padding, real_positions
from core.nn.multi_head import KeyValue, make_linear
from core.nn.recurrent import StackState, gather_time
from core.nn.seq2seq import EncoderDecoder, Memory, Seq2Seq, Seq2SeqConfig
from core.nn.transformer_layers import (
    DecoderLayer,
    EncoderLayers,
    TransformerConfig,
    sinusoidal_positions,
)


class TransformerEncoder(nn.Module):
    """Encoder layers over right-padded sequences of features, used like a `RecurrentStack`.

    Args:
        input_size: Features per time step.
        config: The sizes.
    """

    def __init__(self, input_size: int, config: TransformerConfig) -> None:
        super().__init__()
        self.output_size = config.width
        self.input = make_linear(input_size, config.width)
        self.layers = EncoderLayers(config)

    def forward(
        self, x: Float[Tensor, "B T F"], lengths: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B T E"]:
        """Run every layer over the whole sequence.

        Args:
            x: Inputs; what stands past a row's length influences nothing.
            lengths: Real steps per row, at least 1; None where nothing is padded.

        Returns:
            The last layer's states. Steps past a row's length are not meaningful: read the last
            state with `last_state`.

        Raises:
            ValueError: A length of zero.
        """
        _check_lengths(x, lengths)
        if lengths is None:
            return cast(Tensor, self.layers(self.input(x), None))
        valid_mask = real_positions(lengths, x.size(1))
        return cast(Tensor, self.layers(self.input(clear_padding(x, valid_mask)), valid_mask))

    def last_state(
        self, outputs: Float[Tensor, "B T E"], lengths: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B E"]:
        """The state of the last real step, which has read all."""
        if lengths is None:
            return outputs[:, -1]
        return gather_time(outputs, (lengths - 1).unsqueeze(1)).squeeze(1)


class TransformerSeq2Seq(EncoderDecoder):
    """Transformer encoder and decoder with the tied embedding of `Seq2Seq`.

    The decoder's state holds each layer's keys and values of the tokens read so far, so that the
    cost of a step grows with their number and not with its square.

    Args:
        vocab_size: Tokens, PAD among them.
        config: The choices.
    """

    def __init__(self, vocab_size: int, config: Seq2SeqConfig) -> None:
        super().__init__(vocab_size, config)
        sizes = TransformerConfig(
            width=config.embedding_size,
            feedforward_size=config.hidden_size,
            num_heads=config.num_heads,
            num_layers=config.num_layers,
            dropout=config.dropout,
            is_causal=not config.bidirectional,
        )
        self.encoder = EncoderLayers(sizes)
        self.decoder = nn.ModuleList(DecoderLayer(sizes) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.embedding_size)

    def encode(
        self, source: Int[Tensor, "B S"], lengths: Int[Tensor, " B"]
    ) -> tuple[Memory, StackState]:
        """Read the sources; arguments and results as in `EncoderDecoder.encode`.

        The memory's keys are keys and values of every decoder layer, (B, layers, 2, N, S, A).
        """
        _check_lengths(source, lengths)
        valid_mask = real_positions(lengths, source.size(1))
        values = self.encoder(self.embed(source), valid_mask)  # (B, S, E)
        layers = [layer.cross_attention.project(values) for layer in self._layers()]
        keys = torch.stack([torch.stack(layer, dim=1) for layer in layers], dim=1)
        empty = keys[:, 0, 0, :, :0]  # (B, N, 0, A)
        return Memory(values, keys, valid_mask), tuple((empty, empty) for _ in layers)

    def decode(
        self, tokens: Int[Tensor, "B T"], state: StackState, memory: Memory
    ) -> tuple[Float[Tensor, "B T E"], StackState, Float[Tensor, "B T S"] | None]:
        """Read known target tokens; arguments and results as in `EncoderDecoder.decode`.

        The weights are the last layer's over the source, the mean over its heads.
        """
        before = state[0][0].size(2)
        x = self.embed(tokens)
        x = self.dropout(x + sinusoidal_positions(before, x.size(1), x.size(2), x))  # (B, T, E)
        after: list[KeyValue] = []
        weights = None
        for number, layer in enumerate(self._layers()):
            keys, values = memory.keys[:, number].unbind(dim=1)
            own_keys, own_values = state[number]
            x, cache, weights = layer(x, (own_keys, own_values), (keys, values), memory.valid_mask)
            after.append(cache)
        return self.norm(x), tuple(after), weights

    def _layers(self) -> list[DecoderLayer]:
        return cast(list[DecoderLayer], list(self.decoder))


def _check_lengths(x: Tensor, lengths: Tensor | None) -> None:
    if x.size(1) < 1 or (lengths is not None and bool((lengths < 1).any())):
        raise ValueError("a sequence of length 0 cannot be encoded; drop it before batching")


def make_seq2seq(vocab_size: int, config: Seq2SeqConfig) -> EncoderDecoder:
    """Build the encoder-decoder of the chosen architecture.

    Args:
        vocab_size: Tokens, PAD among them.
        config: The choices.
    """
    match config.architecture:
        case "recurrent":
            return Seq2Seq(vocab_size, config)
        case "transformer":
            return TransformerSeq2Seq(vocab_size, config)
