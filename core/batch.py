"""What the data side hands to the models: plain tuples of tensors."""

from typing import NamedTuple

from torch import Tensor

PAD_ID = 0
BOS_ID = 1
EOS_ID = 2


class Seq2SeqBatch(NamedTuple):
    """Token sequences, right-padded with `PAD_ID`.

    Attributes:
        source: Token ids of the context, (B, S) int64.
        source_lengths: Number of real tokens per source row, at least 1, (B,) int64.
        target: Token ids from BOS to EOS, (B, T) int64, T at least 2.
    """

    source: Tensor
    source_lengths: Tensor
    target: Tensor


class NewsBatch(NamedTuple):
    """The texts that a batch of windows reads, each once.

    Attributes:
        tokens: Words, right-padded with 0, (U, T) int64; row 0 stands for no text.
        lengths: Real words per row, at least 1, (U,) int64.
        day: Which row each day of each window has, (B, L) int64.
    """

    tokens: Tensor
    lengths: Tensor
    day: Tensor


class ForecastBatch(NamedTuple):
    """Windows of daily features and what came after them.

    Attributes:
        inputs: Features of the last L trading days, oldest first, (B, L, F) float32.
        scale: Trailing volatility times the square root of the horizon, in log-return units,
            positive, (B, P) float32.
        target: Cumulative log return at each horizon, less what is added to a forecast for the
            ticker's own drift, (B, P) float32.
        news: The texts, where the model reads some.
    """

    inputs: Tensor
    scale: Tensor
    target: Tensor
    news: NewsBatch | None = None

    @property
    def seen(self) -> tuple[Tensor] | tuple[Tensor, NewsBatch]:
        """What a forecaster is called with: all but what it must not know."""
        return (self.inputs,) if self.news is None else (self.inputs, self.news)


class SequenceBatch(NamedTuple):
    """Sequences of one length and what is asked about them.

    Attributes:
        inputs: Features per step, (B, T, F) float32.
        target: What the last step must give: a number, (B, 1) float32, or a class, (B,) int64; or
            a class at every step, (B, T) int64.
    """

    inputs: Tensor
    target: Tensor
