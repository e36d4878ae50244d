"""Encoder-decoders that reverse words: one fixed vector, attention, and its kinds."""

from collections.abc import Sequence
from dataclasses import replace

import plotly.graph_objects as go
import torch
from torch import Tensor

from apps.gradient_lab import plots
from apps.gradient_lab.topics.reversing import (
    FIRST,
    LETTERS,
    draw_words,
    network,
    share_right,
    train_reversing,
    weights_of,
)
from apps.gradient_lab.topics.shown import Shown, each
from core.nn.attention import AttentionKind
from core.plots import quality_by_length, style

KINDS: tuple[AttentionKind, ...] = (
    "none", "dot", "general", "additive", "concat", "local_predictive", "local_monotonic",
)  # fmt: skip
LENGTHS = (2, 4, 6, 8, 10, 12)
NAMES: dict[str, AttentionKind] = {"one fixed vector": "none", "with attention": "general"}


def attention(*, length: int = 10, steps: int = 300) -> Shown:
    """The attention weights of one fresh word, of a network trained to reverse words.

    Args:
        length: Letters, 2 to 26.
        steps: Of the optimiser.
    """
    config = replace(network("general"), bidirectional=True)
    module = train_reversing(config, [length], steps, seed=0)
    word = draw_words(1, length, torch.Generator().manual_seed(0))
    weights = weights_of(module, word)
    figure = _heat_map(word.source[0].tolist(), weights)
    right = share_right(module, length)
    mirrored = float(weights.flip(1).diagonal().mean())
    lines = [
        f"After {steps} steps {right:.1%} of the letters of fresh words of {length} are right; a "
        f"guess gives {1 / LETTERS:.1%}.",
        f"Of each letter written {mirrored:.0%} of the weight lies on the letter that it repeats; "
        f"even weights would give {1 / length:.0%}.",
    ]
    values = {"right": right, "mirrored": mirrored, "weights": weights.tolist()}
    return Shown(figure, lines, values)


def _heat_map(tokens: Sequence[int], weights: Tensor) -> go.Figure:
    """Letters written by letters read."""
    letters = [chr(ord("a") + token - FIRST) for token in tokens]
    figure = go.Figure(
        go.Heatmap(
            x=[f"{number}: {letter}" for number, letter in enumerate(letters, 1)],
            y=[f"{number}: {letter}" for number, letter in enumerate(reversed(letters), 1)],
            z=weights.numpy().round(3),
            zmin=0.0,
            zmax=1.0,
            colorscale="Blues",
            colorbar={"title": "weight"},
        )
    )
    title = "Attention while a word is reversed"
    style(figure, title, "letter read (position: letter)", "letter written (position: letter)")
    return figure.update_yaxes(autorange="reversed")


def encoder_decoder(lengths: Sequence[int] = LENGTHS, *, steps: int = 400, seeds: int = 3) -> Shown:
    """Share of right letters by the length of the word, with one fixed vector and attention.

    Args:
        lengths: Trained on and tested, the shortest first.
        steps: Of the optimiser.
        seeds: Intervals are over so many.
    """
    right: dict[str, dict[str, list[float]]] = {}
    for name, kind in NAMES.items():
        modules = [train_reversing(network(kind), lengths, steps, seed) for seed in range(seeds)]
        right[name] = {
            str(length): [share_right(module, length) for module in modules] for length in lengths
        }
    title = f"Reversing words after {steps} steps: one fixed vector, and attention"
    figure = quality_by_length(right, "letters of the word", "share of letters right", title)
    figure.add_hline(y=1 / LETTERS, line_dash="dot", annotation_text="a guess")
    figure.update_yaxes(range=[0, 1.05])
    shortest, longest = str(lengths[0]), str(lengths[-1])
    lines = [
        f"Letters right in words of {length}: {each({n: v[length] for n, v in right.items()})}."
        for length in (shortest, longest)
    ]
    return Shown(figure, lines, {"right": right})


def attention_kinds(*, length: int = 8, steps: int = 120, seeds: int = 3) -> Shown:
    """Share of right letters of each kind of attention after the same short training.

    Args:
        length: Letters of the words.
        steps: Of the optimiser.
        seeds: Every one is a dot.
    """
    right: dict[str, list[float]] = {}
    for kind in KINDS:
        modules = [train_reversing(network(kind), [length], steps, seed) for seed in range(seeds)]
        right[kind] = [share_right(module, length) for module in modules]
    title = f"Reversing words of {length} letters: each attention after {steps} steps"
    figure = plots.seed_dots(right, title, "share of letters right", "attention")
    figure.add_vline(x=1 / LETTERS, line_dash="dot", line_color="#E69F00")
    return Shown(
        figure,
        [f"Share of letters right (a guess, the dotted line: {1 / LETTERS:.2f}): {each(right)}."],
        {"right": right},
    )
