"""Encoder-decoder with attention: encode once, then decode step by step or all at once."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from core.batch import PAD_ID, Seq2SeqBatch
from core.nn.attention import AttentionKind, make_attention
from core.nn.recurrent import RecurrentConfig, RecurrentStack, StackState


@dataclass(frozen=True, kw_only=True)
class Seq2SeqConfig(RecurrentConfig):
    """What a person chooses about an encoder-decoder.

    Attributes:
        embedding_size: Width of the word vectors, which the output layer shares (Press & Wolf
            2017, arXiv:1608.05859), at least 1.
        attention: `general` (fast), `additive`, or `none`: then the decoder knows the source by
            its starting state alone, as in Sutskever et al. 2014 (arXiv:1409.3215).
        bidirectional: Whether the encoder reads both ways; the decoder never does.
    """

    embedding_size: int = 128
    attention: AttentionKind = "general"
    bidirectional: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.embedding_size < 1:
            raise ValueError(f"embedding_size={self.embedding_size} must be at least 1")
        if self.attention not in ("additive", "general", "none"):
            raise ValueError(
                f"attention={self.attention!r} is unknown; choose additive, general or none"
            )


class Memory(NamedTuple):
    """What the encoder leaves to the decoder.

    Attributes:
        values: Encoder states, (B, S, M).
        keys: Attention keys, (B, S, A); without attention the values themselves.
        valid_mask: True where a position is a real token, (B, S).
    """

    values: Tensor
    keys: Tensor
    valid_mask: Tensor

    def select(self, rows: Tensor) -> "Memory":
        """The memory of these rows, in this order; a row may come several times."""
        return Memory(*(part.index_select(0, rows) for part in self))


class Seq2Seq(nn.Module):
    """Bidirectional recurrent encoder, recurrent decoder, attention after the decoder's layers.

    The decoder's recurrence does not read the attended context (Luong et al. 2015 without input
    feeding), so that training runs all target steps in one fused call.

    Args:
        vocab_size: Tokens, PAD among them.
        config: The choices.
    """

    def __init__(self, vocab_size: int, config: Seq2SeqConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocab_size, config.embedding_size, padding_idx=PAD_ID)
        nn.init.normal_(self.embedding.weight, std=config.embedding_size**-0.5)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = RecurrentStack(config.embedding_size, config)
        memory_size = self.encoder.output_size
        decoder = RecurrentConfig(
            cell=config.cell,
            hidden_size=config.hidden_size,
            num_layers=config.num_layers,
            residual=config.residual,
            dropout=config.dropout,
            start=config.start,
        )
        self.decoder = RecurrentStack(config.embedding_size, decoder)
        parts = 2 if config.cell == "lstm" else 1
        self.bridge = nn.Linear(memory_size, config.num_layers * parts * config.hidden_size)
        self.attention = make_attention(config.attention, config.hidden_size, memory_size)
        read_size = config.hidden_size + (memory_size if self.attention is not None else 0)
        self.combine = nn.Linear(read_size, config.embedding_size)
        self.output_bias = nn.Parameter(torch.zeros(vocab_size))

    def encode(
        self, source: Int[Tensor, "B S"], lengths: Int[Tensor, " B"]
    ) -> tuple[Memory, StackState]:
        """Read the sources.

        Args:
            source: Token ids, right-padded.
            lengths: Real tokens per row, at least 1.

        Returns:
            The memory to attend to, and the decoder's starting state.

        Raises:
            ValueError: A length of zero.
        """
        embedded = self.dropout(self.embedding(source))  # (B, S, E)
        values = self.encoder(embedded, lengths)  # (B, S, M)
        steps = torch.arange(source.size(1), device=source.device)
        valid_mask = steps.unsqueeze(0) < lengths.unsqueeze(1)  # (B, S)
        keys = values if self.attention is None else self.attention.project(values)
        summary = torch.tanh(self.bridge(self.encoder.last_state(values, lengths)))
        parts = summary.chunk(summary.size(-1) // self.config.hidden_size, dim=-1)
        per_layer = len(parts) // self.config.num_layers
        state = tuple(
            parts[layer * per_layer : (layer + 1) * per_layer]
            for layer in range(self.config.num_layers)
        )
        return Memory(values, keys, valid_mask), state

    def decode(
        self, tokens: Int[Tensor, "B T"], state: StackState, memory: Memory
    ) -> tuple[Float[Tensor, "B T E"], StackState, Float[Tensor, "B T S"] | None]:
        """Read T known target tokens and give the features that predict each next one."""
        states, state = self.decoder.advance(self.dropout(self.embedding(tokens)), state)
        if self.attention is None:
            return self.dropout(torch.tanh(self.combine(states))), state, None
        context, weights = self.attention(states, memory.keys, memory.values, memory.valid_mask)
        features = torch.tanh(self.combine(torch.cat([states, context], dim=-1)))  # (B, T, E)
        return self.dropout(features), state, weights

    def logits(self, features: Float[Tensor, "*B E"]) -> Float[Tensor, "*B V"]:
        """Scores of every token, by the transposed embedding."""
        return nn.functional.linear(features, self.embedding.weight, self.output_bias)

    def decode_step(
        self, tokens: Int[Tensor, " B"], state: StackState, memory: Memory
    ) -> tuple[Float[Tensor, "B V"], StackState, Float[Tensor, "B S"] | None]:
        """One decoding step.

        Args:
            tokens: The tokens chosen last, BOS at first.
            state: The decoder's state.
            memory: What `encode` gave.

        Returns:
            Scores of the next token, the new state, and the attention weights (None without
            attention).
        """
        features, state, weights = self.decode(tokens.unsqueeze(1), state, memory)
        weights = None if weights is None else weights.squeeze(1)
        return self.logits(features.squeeze(1)), state, weights

    def forward(self, batch: Seq2SeqBatch) -> tuple[Float[Tensor, "N V"], Int[Tensor, " N"]]:
        """Teacher forcing, over the real target tokens alone.

        Returns:
            Scores of every real next token of the batch, row after row, and those tokens.
        """
        memory, state = self.encode(batch.source, batch.source_lengths)
        features, _, _ = self.decode(batch.target[:, :-1], state, memory)
        following = batch.target[:, 1:]
        valid_mask = following != PAD_ID  # (B, T-1)
        return self.logits(features[valid_mask]), following[valid_mask]
