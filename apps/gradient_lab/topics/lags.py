"""Gradient by lag: what vanishes, and which cells and starts keep it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from apps.gradient_lab import plots
from apps.gradient_lab.gradients import mean_curves, measure_before
from apps.gradient_lab.recipes import recipe, with_model
from apps.gradient_lab.topics.shown import Shown, milliseconds
from apps.gradient_lab.train import default_start
from core.comparison import geometric_mean
from core.diagnostics import gradient_by_lag
from core.nn.initialization import CellName, Start
from core.nn.recurrent import RecurrentConfig, RecurrentStack
from core.plots import NamedCurve
from core.plots import lag_curves as draw_lags

RADII = (0.7, 0.9, 1.0, 1.1)  # an orthogonal matrix times each
RECENT: tuple[CellName, ...] = ("mingru", "minlstm", "lru", "slstm", "lstm")
Pair = tuple[CellName, Start]


def vanishing_gradients(*, length: int = 60, hidden_size: int = 64, seeds: int = 3) -> Shown:
    """The gradient of a tanh RNN by lag, for recurrent matrices of several spectral radii.

    Args:
        length: T, at least 2.
        hidden_size: Units.
        seeds: Curves are geometric means over so many.
    """
    curves, shares = [], {}
    for radius in RADII:
        norms = [_norms_of(radius, length, hidden_size, seed) for seed in range(seeds)]
        norm = geometric_mean(norms)
        curves.append(NamedCurve(f"radius {radius:g}", "hidden", list(range(length)), norm))
        shares[f"{radius:g}"] = norm[-1] / norm[1]
    title = "A tanh RNN: gradient by lag and spectral radius"
    told = ", ".join(f"{radius} gives {share:.0e}" for radius, share in shares.items())
    lines = [f"Gradient at lag {length - 1} over that at lag 1, by spectral radius: {told}."]
    return Shown(draw_lags(curves, title), lines, {"lag": length - 1, "share": shares})


def _norms_of(radius: float, length: int, hidden_size: int, seed: int) -> list[float]:
    torch.manual_seed(seed)
    config = RecurrentConfig(cell="rnn", hidden_size=hidden_size, start="orthogonal")
    stack = RecurrentStack(2, config)
    cell = stack.cells()[0][0]
    assert isinstance(cell, nn.RNN)
    with torch.no_grad():
        cell.get_parameter("weight_hh_l0").mul_(radius)
    # Small inputs: near zero tanh is nearly linear, and the radius decides. Above 1 the state grows
    # until it reaches tanh's bend, so that less comes back than the radius alone would give.
    return gradient_by_lag(stack, 0.01 * torch.randn(32, length, 2))[0].norm


def lstm(*, length: int = 100, hidden_size: int = 64, seeds: int = 3) -> Shown:
    """The LSTM's gradient by lag for three starts, beside the tanh RNN's.

    Args:
        length: T, at least 10.
        hidden_size: Units.
        seeds: Curves are geometric means over so many.
    """
    pairs: list[Pair] = [("rnn", "default"), ("lstm", "default"), ("lstm", "forget")]
    return _by_start([*pairs, ("lstm", "chrono")], "cell", length, hidden_size, seeds)


def gru(*, length: int = 100, hidden_size: int = 64, seeds: int = 3) -> Shown:
    """The GRU's gradient by lag for three starts, beside the tanh RNN's; sizes as for `lstm`."""
    pairs: list[Pair] = [("rnn", "default"), ("gru", "default"), ("gru", "forget")]
    return _by_start([*pairs, ("gru", "chrono")], "hidden", length, hidden_size, seeds)


def recent_cells(*, length: int = 100, hidden_size: int = 64, seeds: int = 3) -> Shown:
    """The recent cells' gradient by lag at their own starts, and the time of a training step.

    Sizes as for `lstm`.
    """
    pairs = [(cell, default_start(cell)) for cell in RECENT]
    curves = _measure(pairs, length, hidden_size, seeds)
    figure = plots.lag_curves(curves, "Recent cells before training, each at its own start")
    times = {cell: _time(cell, length, hidden_size) for cell in RECENT}
    told = ", ".join(f"{cell} {value:.0f} ms" for cell, value in times.items())
    lines = [
        _shares_line(curves, length),
        f"Forward and backward pass of one layer, 32 rows of {length} steps, on one core: {told}.",
    ]
    return Shown(figure, lines, {"curves": curves, "milliseconds": times})


def _by_start(
    pairs: Sequence[Pair], state: str, length: int, hidden_size: int, seeds: int
) -> Shown:
    """Curves of one state of the gated cell, and the hidden one of the RNN."""
    kept = [
        curve
        for curve in _measure(pairs, length, hidden_size, seeds)
        if curve["cell"] == "rnn" or curve["state"] == state
    ]
    title = f"{pairs[-1][0].upper()} and tanh RNN before training: gradient by lag"
    figure = plots.lag_curves(kept, title)
    return Shown(figure, [_shares_line(kept, length)], {"curves": kept})


def _measure(
    pairs: Sequence[Pair], length: int, hidden_size: int, seeds: int
) -> list[dict[str, Any]]:
    curves = []
    for cell, start in pairs:
        for seed in range(seeds):
            job = recipe("adding", length, cell, start, seed=seed)
            curves += measure_before(with_model(job, hidden_size=hidden_size))["curves"]
    return mean_curves(curves)


def _shares_line(curves: Sequence[dict[str, Any]], length: int) -> str:
    told = ", ".join(
        f"{curve['cell']} ({curve['start']}"
        f"{', cell state' if curve['state'] == 'cell' else ''}) "
        f"{curve['norm'][-1] / curve['norm'][1] if curve['norm'][1] else 0.0:.0e}"
        for curve in curves
    )
    return f"Gradient at lag {length - 1} over that at lag 1: {told}."


def _time(cell: CellName, length: int, hidden_size: int) -> float:
    """Milliseconds of a forward and backward pass."""
    stack = RecurrentStack(hidden_size, RecurrentConfig(cell=cell, hidden_size=hidden_size))
    x = torch.randn(32, length, hidden_size)
    return milliseconds(lambda: stack(x).square().mean().backward())
