"""Search over anything with `encode` and `decode_step`: greedy and beam."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.batch import BOS_ID, EOS_ID, PAD_ID
from core.nn.recurrent import StackState
from core.nn.seq2seq import Memory

MAX_BEAM = 256  # past that a reply takes minutes and is no better
Constraint = Callable[[int, Sequence[int]], Collection[int] | NDArray[np.int64]]


class StepDecoder(Protocol):
    """What the search needs of a model."""

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Memory, StackState]:
        """Read the sources."""

    def decode_step(
        self, tokens: Tensor, state: StackState, memory: Memory
    ) -> tuple[Tensor, StackState, Tensor | None]:
        """Score the next tokens."""


@dataclass(frozen=True, kw_only=True)
class DecodingConfig:
    """How a reply is searched.

    Attributes:
        beam_size: Hypotheses kept per source, at most MAX_BEAM; 1 is greedy search.
        max_length: Most tokens of a reply, at least 1.
        length_penalty: Exponent of Wu et al. 2016 (arXiv:1609.08144), eq. 14; 0 favours short
            replies, 1 nearly compares mean log-probabilities.
        no_repeat_ngram: No n-gram of this many tokens comes twice in a reply; 0 switches it off.
        temperature: 0 searches; from 0.01 to 2 the reply is drawn, the wilder the higher.
        top_p: Share of the probability that is drawn from, the likeliest tokens first, above 0, at
            most 1; only where the temperature is above 0.
    """

    beam_size: int = 1
    max_length: int = 120
    length_penalty: float = 1.0
    no_repeat_ngram: int = 4
    temperature: float = 0.0
    top_p: float = 0.9

    def __post_init__(self) -> None:
        if not 1 <= self.beam_size <= MAX_BEAM:
            raise ValueError(f"beam_size={self.beam_size} must lie between 1 and {MAX_BEAM}")
        if self.max_length < 1:
            raise ValueError(f"max_length={self.max_length} must be at least 1")
        if self.no_repeat_ngram < 0:
            raise ValueError(f"no_repeat_ngram={self.no_repeat_ngram} must be 0 or more")
        if self.temperature != 0 and not 0.01 <= self.temperature <= 2:
            raise ValueError(f"temperature={self.temperature} must be 0, or lie in [0.01, 2]")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p} must be above 0 and at most 1")


@dataclass(frozen=True)
class Hypothesis:
    """A reply, or the beginning of one.

    Attributes:
        source: Row of the source it answers.
        tokens: Token ids without BOS and EOS.
        log_probability: Sum over the tokens, and over EOS once finished; natural logarithm.
        attention: Source weights (S,) of each token; empty without attention. In equality they do
            not count.
    """

    source: int
    tokens: tuple[int, ...] = ()
    log_probability: float = 0.0
    attention: tuple[NDArray[np.float32], ...] = field(default=(), repr=False, compare=False)

    def score(self, length_penalty: float) -> float:
        """The log-probability over the length penalty; the search's order."""
        penalty: float = ((5 + len(self.tokens) + 1) / 6) ** length_penalty
        return self.log_probability / penalty


def repeating_tokens(tokens: Sequence[int], size: int) -> set[int]:
    """Tokens that would complete an n-gram of this size for the second time."""
    if size == 0 or len(tokens) < size:
        return set()
    if size > 1 and tokens[-1] not in tokens[:-1]:
        return set()  # most of the time
    prefix = tuple(tokens[len(tokens) - size + 1 :])
    starts = range(len(tokens) - size + 1)
    return {
        tokens[start + size - 1]
        for start in starts
        if tuple(tokens[start : start + size - 1]) == prefix
    }


@torch.inference_mode()
def beam_search(
    model: StepDecoder,
    source: Tensor,
    lengths: Tensor,
    config: DecodingConfig,
    constraint: Constraint | None = None,
) -> list[list[Hypothesis]]:
    """Find the best replies to a batch of sources; a beam of one is greedy search.

    Args:
        model: Anything with `encode` and `decode_step`, in evaluation mode.
        source: Token ids, (B, S).
        lengths: Real tokens per row, (B,).
        config: How to search.
        constraint: Given a source row and the tokens so far, the tokens that may not follow: ids in
            any collection, or, which is faster, in an array (N,).

    Returns:
        Per source up to `beam_size` hypotheses, best first; at least one. One that `max_length`
        cut off ends without EOS.
    """
    memory, state = model.encode(source, lengths)
    if config.beam_size == 1:
        return [[reply] for reply in _greedy(model, memory, state, config, constraint)]
    return _beam(model, memory, state, config, constraint)


def _greedy(
    model: StepDecoder,
    memory: Memory,
    state: StackState,
    config: DecodingConfig,
    constraint: Constraint | None,
) -> list[Hypothesis]:
    """What `_beam` gives for a beam of one, but for equal scores, with half the bookkeeping."""
    rows = list(range(len(memory.values)))  # the sources whose replies go on
    tokens: list[list[int]] = [[] for _ in rows]
    attention: list[list[NDArray[np.float32]]] = [[] for _ in rows]
    log_probability = [0.0 for _ in rows]
    before = torch.full((len(rows),), BOS_ID, device=memory.values.device)
    for _ in range(config.max_length):
        logits, state, weights = model.decode_step(before, state, memory)
        scores = logits.float().log_softmax(dim=-1).cpu().numpy()  # (rows, V)
        forbid(scores, [(row, tokens[row]) for row in rows], config, constraint)
        best = scores.argmax(axis=1)
        seen = as_rows(weights)
        going = []
        for place, (row, token) in enumerate(zip(rows, best.tolist(), strict=True)):
            score = scores.item(place, token)
            if score == -math.inf:
                continue
            log_probability[row] += score
            if token == EOS_ID:
                continue
            tokens[row].append(token)
            attention[row] += seen[place : place + 1]
            going.append(place)
        if not going:
            break
        if len(going) < len(rows):
            rows = [rows[place] for place in going]
            best = best[going]
            keep = torch.tensor(going, device=before.device)
            state, memory = _select(state, keep), memory.select(keep)
        before = torch.from_numpy(best).to(before.device)
    return [
        Hypothesis(row, tuple(tokens[row]), log_probability[row], tuple(attention[row]))
        for row in range(len(tokens))
    ]


def _beam(
    model: StepDecoder,
    memory: Memory,
    state: StackState,
    config: DecodingConfig,
    constraint: Constraint | None,
) -> list[list[Hypothesis]]:
    """Beam search of any width, after the sources were read."""
    live = [Hypothesis(row) for row in range(len(memory.values))]
    done: list[list[Hypothesis]] = [[] for _ in live]
    device = memory.values.device
    tokens = torch.full((len(live),), BOS_ID, device=device)
    for _ in range(config.max_length):
        logits, state, weights = model.decode_step(tokens, state, memory)
        log_probs = logits.float().log_softmax(dim=-1).cpu()  # (live, V)
        forbid(log_probs.numpy(), [(h.source, h.tokens) for h in live], config, constraint)
        grown, parents = _grow(live, log_probs, weights, done, config)
        rows_before, rows = [h.source for h in live], [h.source for h in grown]
        live = grown
        if not live:
            break
        if parents != list(range(len(rows_before))):
            keep = torch.tensor(parents, device=device)
            state = _select(state, keep)
            if rows != rows_before:  # hypotheses of one source have equal memories
                memory = memory.select(keep)
        tokens = torch.tensor([h.tokens[-1] for h in live], device=device)
    for hypothesis in live:
        done[hypothesis.source].append(hypothesis)
    return [
        sorted(found, key=lambda h: h.score(config.length_penalty), reverse=True)[
            : config.beam_size
        ]
        for found in done
    ]


def as_rows(weights: Tensor | None) -> list[NDArray[np.float32]]:
    """The rows of attention weights (B, S); none without attention."""
    return [] if weights is None else list(weights.float().cpu().numpy())


def _select(state: StackState, rows: Tensor) -> StackState:
    """The state of these rows, in this order."""
    return tuple(tuple(part.index_select(0, rows) for part in layer) for layer in state)


def forbid(
    scores: NDArray[np.float32],
    replies: Sequence[tuple[int, Sequence[int]]],
    config: DecodingConfig,
    constraint: Constraint | None,
) -> None:
    """Give the tokens that may not follow a probability of zero, in place.

    In numpy, where setting a few numbers takes a third of torch's time.

    Args:
        scores: Log-probabilities, (replies, V).
        replies: Source row and tokens so far of each.
        config: How to search.
        constraint: As in `beam_search`.
    """
    scores[:, PAD_ID] = -np.inf
    scores[:, BOS_ID] = -np.inf
    for row, (source, tokens) in zip(scores, replies, strict=True):
        repeating = repeating_tokens(tokens, config.no_repeat_ngram)
        if repeating:
            row[list(repeating)] = -np.inf
        if constraint is not None:
            ids = constraint(source, tokens)
            row[ids if isinstance(ids, np.ndarray) else list(ids)] = -np.inf


def _grow(
    live: Sequence[Hypothesis],
    log_probs: Tensor,
    weights: Tensor | None,
    done: list[list[Hypothesis]],
    config: DecodingConfig,
) -> tuple[list[Hypothesis], list[int]]:
    """Extend every live hypothesis; move the ended ones to `done`.

    Returns:
        The hypotheses that live on, and the row that each grew from.
    """
    attention = as_rows(weights)
    # A parent has at most a beam of children, and may spend one more candidate on EOS.
    best, ids = log_probs.topk(min(config.beam_size + 1, log_probs.size(-1)), dim=-1)
    values, tokens = best.tolist(), ids.tolist()
    grown: list[Hypothesis] = []
    parents: list[int] = []
    for source, members in groupby(range(len(live)), key=lambda row: live[row].source):
        candidates = [
            (live[row].log_probability + value, row, token)
            for row in members
            for value, token in zip(values[row], tokens[row], strict=True)
            if value > -torch.inf
        ]
        candidates.sort(reverse=True)
        survivors: list[tuple[Hypothesis, int]] = []
        for rank, (log_probability, row, token) in enumerate(candidates):
            parent = live[row]
            if token == EOS_ID:
                if rank < config.beam_size:
                    ended = Hypothesis(source, parent.tokens, log_probability, parent.attention)
                    done[source].append(ended)
                continue
            seen = (*parent.attention, *attention[row : row + 1])
            child = Hypothesis(source, (*parent.tokens, token), log_probability, seen)
            survivors.append((child, row))
            if len(survivors) == config.beam_size:
                break
        if len(done[source]) < config.beam_size:
            grown += [child for child, _ in survivors]
            parents += [row for _, row in survivors]
    return grown, parents
