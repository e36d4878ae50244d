"""Encoder-decoder with attention: encode once, then decode step by step or all at once."""

import math
from dataclasses import dataclass, fields
from typing import NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from core.batch import PAD_ID, Seq2SeqBatch
from core.nn.architecture import ArchitectureConfig
from core.nn.attention import ATTENTION_KINDS, AttentionKind, make_attention
from core.nn.masking import real_positions
from core.nn.multi_head import check_heads
from core.nn.recurrent import MAX_SIZE, RecurrentConfig, RecurrentStack, StackState


@dataclass(frozen=True, kw_only=True)
class Seq2SeqConfig(ArchitectureConfig):
    """What a person chooses about an encoder-decoder.

    Attributes:
        hidden_size: Units per layer and direction; of a Transformer, of its feed-forward parts.
        embedding_size: Width of the word vectors, which the output layer shares (Press & Wolf
            2017, arXiv:1608.05859), 1 to MAX_SIZE; a Transformer is as wide throughout.
        attention: `general` (fast), `dot`, `additive`, `concat`, `local_monotonic`,
            `local_predictive`, see `core.nn.attention`; or `none`: then the decoder knows the
            source by its starting state alone, as in Sutskever et al. 2014 (arXiv:1409.3215).
            A Transformer has its own.
        attention_window: Of the local kinds: source tokens read to either side of the centre, at
            least 1.
        input_feeding: Whether the decoder also reads, at each step, what it attended to at the last
            one (Luong et al. 2015, arXiv:1508.04025, section 3.3). It then has to train step by
            step, which takes several times as long.
        bidirectional: Whether the encoder reads both ways; the decoder never does.
    """

    embedding_size: int = 128
    attention: AttentionKind = "general"
    attention_window: int = 10
    input_feeding: bool = False
    bidirectional: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.embedding_size <= MAX_SIZE:
            raise ValueError(
                f"embedding_size={self.embedding_size} must lie between 1 and {MAX_SIZE}"
            )
        if self.attention not in ATTENTION_KINDS:
            raise ValueError(
                f"attention={self.attention!r} is unknown; choose one of "
                f"{', '.join(ATTENTION_KINDS)}"
            )
        if self.attention_window < 1:
            raise ValueError(f"attention_window={self.attention_window} must be at least 1")
        if self.input_feeding and (self.attention == "none" or self.architecture != "recurrent"):
            raise ValueError(
                "input_feeding=True feeds back what a recurrent decoder attended to; it needs "
                "architecture=recurrent and an attention other than none"
            )
        if self.architecture == "transformer":
            check_heads("embedding_size", self.embedding_size, self.num_heads)
        elif self.attention == "dot" and self.bidirectional:
            raise ValueError(
                "attention='dot' needs an encoder as wide as the decoder, and bidirectional=True "
                "makes it twice as wide; set bidirectional to false or choose general"
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


class EncoderDecoder(nn.Module):
    """What both architectures share: the tied embedding, a single step, teacher forcing.

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
        self.output_bias = nn.Parameter(torch.zeros(vocab_size))

    def embed(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T E"]:
        """Word vectors as the layers read them: times sqrt(E), Vaswani et al. 2017, section 3.4.

        The output layer shares the embedding and wants it small, to begin with even scores; layers
        that read it so small learn several times slower.
        """
        return cast(Tensor, self.embedding(tokens) * math.sqrt(self.config.embedding_size))

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
        raise NotImplementedError

    def decode(
        self, tokens: Int[Tensor, "B T"], state: StackState, memory: Memory
    ) -> tuple[Float[Tensor, "B T E"], StackState, Float[Tensor, "B T S"] | None]:
        """Read T known target tokens and give the features that predict each next one.

        Args:
            tokens: Token ids.
            state: The decoder's state before them.
            memory: What `encode` gave.

        Returns:
            Features, the state after the tokens, and the attention weights (None without
            attention).
        """
        raise NotImplementedError

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


class Seq2Seq(EncoderDecoder):
    """Bidirectional recurrent encoder, recurrent decoder, attention after the decoder's layers.

    Without input feeding the decoder's recurrence does not read the attended context, so that
    training runs all target steps in one fused call. Its state is the stack's, with input feeding
    followed by the last features, (B, E); with `local_monotonic` attention a last entry counts the
    tokens that each row has read, (B,).

    Args:
        vocab_size: Tokens, PAD among them.
        config: The choices.
    """

    def __init__(self, vocab_size: int, config: Seq2SeqConfig) -> None:
        super().__init__(vocab_size, config)
        self.encoder = RecurrentStack(config.embedding_size, config)
        memory_size = self.encoder.output_size
        read_at_once = config.embedding_size * (2 if config.input_feeding else 1)
        self.decoder = RecurrentStack(read_at_once, decoder_config(config))
        self.bridge = nn.Linear(memory_size, self.decoder.start_size)
        self.attention = make_attention(
            config.attention, config.hidden_size, memory_size, config.attention_window
        )
        self.counts_tokens = config.attention == "local_monotonic"
        read_size = config.hidden_size + (memory_size if self.attention is not None else 0)
        self.combine = nn.Linear(read_size, config.embedding_size)

    def encode(
        self, source: Int[Tensor, "B S"], lengths: Int[Tensor, " B"]
    ) -> tuple[Memory, StackState]:
        """Read the sources; arguments and results as in `EncoderDecoder.encode`."""
        embedded = self.dropout(self.embed(source))  # (B, S, E)
        values = self.encoder(embedded, lengths)  # (B, S, M)
        valid_mask = real_positions(lengths, source.size(1))  # (B, S)
        keys = values
        if self.attention is not None:
            keys = self.attention.project(values, valid_mask)
        summary = self.bridge(self.encoder.last_state(values, lengths))
        state = self.decoder.start_state(torch.tanh(summary))
        if self.config.input_feeding:
            state = (*state, (summary.new_zeros(len(summary), self.config.embedding_size),))
        if self.counts_tokens:
            state = (*state, (torch.zeros_like(lengths),))
        return Memory(values, keys, valid_mask), state

    def decode(
        self, tokens: Int[Tensor, "B T"], state: StackState, memory: Memory
    ) -> tuple[Float[Tensor, "B T E"], StackState, Float[Tensor, "B T S"] | None]:
        """Read known target tokens; arguments and results as in `EncoderDecoder.decode`."""
        positions = None
        if self.counts_tokens:
            state, (count,) = state[:-1], state[-1]
            steps = torch.arange(tokens.size(1), device=tokens.device)
            positions = count.unsqueeze(1) + steps  # (B, T)
        embedded = self.dropout(self.embed(tokens))  # (B, T, E)
        weights: Tensor | None
        if self.config.input_feeding:
            features, state, weights = self._decode_fed(embedded, state, memory, positions)
        else:
            states, state = self.decoder.advance(embedded, state)
            features, weights = self.attend(states, memory, positions)
        if positions is not None:
            state = (*state, (positions[:, -1] + 1,))
        return features, state, weights

    def _decode_fed(
        self, embedded: Tensor, state: StackState, memory: Memory, positions: Tensor | None
    ) -> tuple[Tensor, StackState, Tensor]:
        """One step after the other, each reading the features of the one before."""
        stack, (fed,) = state[:-1], state[-1]
        features: list[Tensor] = []
        weights: list[Tensor] = []
        for step in range(embedded.size(1)):
            here = slice(step, step + 1)
            x = torch.cat([embedded[:, here], fed.unsqueeze(1)], dim=-1)  # (B, 1, 2E)
            states, stack = self.decoder.advance(x, stack)
            place = None if positions is None else positions[:, here]
            found, seen = self.attend(states, memory, place)
            assert seen is not None, "the configuration asks for attention"
            fed = found.squeeze(1)
            features.append(found)
            weights.append(seen)
        return torch.cat(features, dim=1), (*stack, (fed,)), torch.cat(weights, dim=1)

    def attend(
        self, states: Tensor, memory: Memory, positions: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Features (B, T, E) of decoder states, and the attention weights, if any."""
        if self.attention is None:
            return self.dropout(torch.tanh(self.combine(states))), None
        context, weights = self.attention(
            states, memory.keys, memory.values, memory.valid_mask, positions
        )
        features = torch.tanh(self.combine(torch.cat([states, context], dim=-1)))  # (B, T, E)
        return self.dropout(features), weights


def decoder_config(config: RecurrentConfig) -> RecurrentConfig:
    """The same choices of a recurrent stack, reading in one direction."""
    chosen = {field.name: getattr(config, field.name) for field in fields(RecurrentConfig)}
    return RecurrentConfig(**{**chosen, "bidirectional": False})
