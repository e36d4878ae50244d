"""A Transformer beside an LSTM with attention: what is right, and how long a step takes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from apps.gradient_lab.topics.reversing import (
    ROWS,
    VOCAB_SIZE,
    draw_words,
    network,
    share_right,
    train_reversing,
)
from apps.gradient_lab.topics.shown import Shown, each, milliseconds
from core.comparison import interval
from core.nn.seq2seq import Seq2SeqConfig
from core.nn.transformer import make_seq2seq
from core.plots import COLORS, style

LENGTHS = (4, 8, 12, 16)
TIMED = (8, 16, 32, 64, 128)
RATE = 5e-3  # of 1e-3, 2e-3, 5e-3 and 1e-2 the best for the Transformer on another seed


def configs() -> dict[str, Seq2SeqConfig]:
    """Two networks; the Transformer has a fifth fewer parameters."""
    transformer = Seq2SeqConfig(
        architecture="transformer",
        hidden_size=128,
        embedding_size=48,
        num_heads=4,
        num_layers=1,
    )
    return {
        "LSTM with attention": replace(network("general"), cell="lstm"),
        "Transformer": transformer,
    }


def transformer(
    lengths: Sequence[int] = LENGTHS,
    timed: Sequence[int] = TIMED,
    *,
    steps: int = 400,
    seeds: int = 3,
) -> Shown:
    """Share of right letters by length after the same steps, and the time of a step by length.

    Args:
        lengths: Of the words, trained on and tested.
        timed: Lengths at which a step is timed.
        steps: Of the optimiser.
        seeds: Intervals are over so many.
    """
    right: dict[str, list[list[float]]] = {}
    times, sizes = {}, {}
    for name, config in configs().items():
        modules = [train_reversing(config, lengths, steps, seed, RATE) for seed in range(seeds)]
        right[name] = [[share_right(module, length) for module in modules] for length in lengths]
        times[name] = [_time(config, length) for length in timed]
        sizes[name] = sum(p.numel() for p in modules[0].model.parameters())
    figure = _draw(right, lengths, times, timed, sizes)
    _name_axes(figure, f"Reversing words: share right after {steps} steps, and time", timed)
    longest = {name: shares[-1] for name, shares in right.items()}
    told = ", ".join(f"{name} {ms[0]:.0f} and {ms[-1]:.0f} ms" for name, ms in times.items())
    lines = [
        f"Letters right in words of {lengths[-1]} after {steps} steps: {each(longest)}.",
        f"Forward and backward pass of {ROWS} words of {timed[0]} and of {timed[-1]} letters on "
        f"one core: {told}.",
    ]
    values = {"right": right, "milliseconds": times, "parameters": sizes}
    return Shown(figure, lines, values)


def _draw(
    right: Mapping[str, Sequence[Sequence[float]]],
    lengths: Sequence[int],
    times: Mapping[str, Sequence[float]],
    timed: Sequence[int],
    sizes: Mapping[str, int],
) -> go.Figure:
    """Shares with their intervals on the left, times on the right."""
    figure = make_subplots(1, 2, horizontal_spacing=0.12)
    for color, (name, shares) in zip(COLORS, right.items(), strict=False):
        spread = [interval(values) for values in shares]
        look: dict[str, Any] = {"line": {"color": color, "width": 2}, "mode": "lines+markers"}
        figure.add_scatter(
            x=list(lengths),
            y=[mean for mean, _ in spread],
            error_y={"type": "data", "array": [half for _, half in spread], "thickness": 1},
            name=f"{name}, {sizes[name]:,} parameters",
            **look,
            row=1,
            col=1,
        )
        figure.add_scatter(x=list(timed), y=times[name], showlegend=False, **look, row=1, col=2)
    return figure


def _name_axes(figure: go.Figure, title: str, timed: Sequence[int]) -> None:
    style(figure, title, "letters of the word", "share of letters right")
    figure.update_yaxes(title="ms a training step, one core", type="log", row=1, col=2)
    figure.update_xaxes(title="letters of the word", type="log", tickvals=timed, row=1, col=2)


def _time(config: Seq2SeqConfig, length: int) -> float:
    """Milliseconds of a forward and backward pass over words of so many letters."""
    torch.manual_seed(0)
    model = make_seq2seq(VOCAB_SIZE, config)
    batch = draw_words(ROWS, length, torch.Generator().manual_seed(0))

    def work() -> None:
        logits, target = model(batch)
        torch.nn.functional.cross_entropy(logits, target).backward()

    return milliseconds(work)
