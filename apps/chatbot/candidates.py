"""The networks that `compare` trains, and the Transformer of the same size."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from core.nn.seq2seq import Seq2SeqConfig
from core.nn.transformer import make_seq2seq

NETWORKS: dict[str, dict[str, Any]] = {
    "rnn_unclipped": {"cell": "rnn", "attention": "none"},
    "rnn": {"cell": "rnn"},
    "lstm": {"cell": "lstm", "attention": "none"},
    "lstm_attention": {"cell": "lstm"},
    "gru_attention": {"cell": "gru"},
    "transformer": {"architecture": "transformer"},
}
SIZED_LIKE = "lstm_attention"
FEEDFORWARD = 4  # its units over the width, as in Vaswani et al. 2017, section 3.3


def candidate_model(name: str, vocab_size: int, model: Seq2SeqConfig) -> Seq2SeqConfig:
    """The choices of a network of `NETWORKS`.

    Args:
        name: Which.
        vocab_size: Tokens, PAD among them.
        model: Everything that does not tell the candidates apart.
    """
    chosen = replace(model, **{"architecture": "recurrent", **NETWORKS[name]})
    if chosen.architecture == "recurrent":
        return chosen
    alike = candidate_model(SIZED_LIKE, vocab_size, model)
    return transformer_of_size(num_parameters(vocab_size, alike), vocab_size, chosen)


def num_parameters(vocab_size: int, config: Seq2SeqConfig) -> int:
    """Trained numbers of an encoder-decoder, which is not really made for that."""
    with torch.device("meta"):
        return sum(p.numel() for p in make_seq2seq(vocab_size, config).parameters())


def transformer_of_size(size: int, vocab_size: int, config: Seq2SeqConfig) -> Seq2SeqConfig:
    """The Transformer of so many parameters, or of a few less.

    The widest whose feed-forward parts are four times as wide; then those take what is left.

    Args:
        size: Parameters wanted, at least those of a Transformer as wide as it has heads.
        vocab_size: Tokens, PAD among them.
        config: A Transformer's; layers, heads and dropout stay.
    """

    def sized(heads_width: int, more: int = 0) -> Seq2SeqConfig:
        width = config.num_heads * heads_width
        return replace(config, embedding_size=width, hidden_size=FEEDFORWARD * width + more)

    def left(candidate: Seq2SeqConfig) -> int:
        return size - num_parameters(vocab_size, candidate)

    widest = _largest(lambda heads_width: left(sized(heads_width)) >= 0)
    unit = left(sized(widest)) - left(sized(widest, 1))
    return sized(widest, max(left(sized(widest)) // unit, 0))


def _largest(is_possible: Callable[[int], bool]) -> int:
    """The largest number from 1 on for which something is possible that ends somewhere."""
    high = 2
    while is_possible(high):
        high *= 2
    low = 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_possible(middle) else (low, middle)
    return low
