"""Gradient norms: step by step while training, and layer by layer in a deep stack."""

from dataclasses import replace

import numpy as np
import torch

from apps.gradient_lab import plots
from apps.gradient_lab.ablate import vanilla
from apps.gradient_lab.jobs import Row, run_job
from apps.gradient_lab.recipes import with_model
from apps.gradient_lab.report import rnn_variant
from apps.gradient_lab.topics.shown import Shown, shares_right, steps_taken
from apps.gradient_lab.train import Job, make_module, train
from core.clipping import Clipping
from core.comparison import geometric_mean
from core.diagnostics import gradient_norms
from data.synthetic import TASKS

CELLS: dict[str, dict[str, str]] = {
    "LSTM": {"cell": "lstm", "start": "chrono"},
    "tanh RNN": {},
    "ReLU RNN, identity": {"cell": "irnn", "start": "identity"},
}
CLIPS = {
    "no clipping": Clipping(),
    "norm at most 1": Clipping(norm=1.0),
    "entries at most 0.1": Clipping(value=0.1),
    "adaptive, 0.1": Clipping(adaptive=0.1),
}


def exploding_gradients(*, length: int = 20, steps: int = 300, seeds: int = 3) -> Shown:
    """The norm of the gradient at every step of plain gradient descent, for three networks.

    Args:
        length: T of temporal order, at least 10.
        steps: Of the optimiser, a multiple of 100.
        seeds: Every one is a line.
    """
    series, peaks = {}, {}
    for name, cell in CELLS.items():
        jobs = [with_model(_plain(length, seed, steps), **cell) for seed in range(seeds)]
        norms = [[n for n in train(job).norms if np.isfinite(n)] for job in jobs]
        series[name] = [(range(1, len(seed) + 1), seed) for seed in norms]
        peaks[name] = [max(seed) / float(np.median(seed)) for seed in norms]
    title = f"Temporal order, T={length}: gradient norm, plain gradient descent"
    figure = plots.seed_lines(series, title, "optimiser step", "norm of the gradient")
    figure.update_yaxes(type="log", exponentformat="power")
    told = "; ".join(
        f"{name} {', '.join(f'{peak:,.0f}' for peak in seeds)}" for name, seeds in peaks.items()
    )
    return Shown(figure, [f"Largest norm over the median, each seed: {told}."], {"peaks": peaks})


def _plain(length: int, seed: int, steps: int) -> Job:
    """A tanh RNN under plain gradient descent, without clipping."""
    return replace(rnn_variant(length, seed, "sgd", 0.0), max_steps=steps)


def clipping(*, length: int = 20, steps: int = 600, seeds: int = 3) -> Shown:
    """The score of a tanh RNN under plain gradient descent with each kind of clipping.

    Sizes as for `exploding_gradients`.
    """
    rows: list[Row] = []
    for name, limits in CLIPS.items():
        for seed in range(seeds):
            job = replace(_plain(length, seed, steps), clipping=limits)
            rows.append({**run_job(job), "variant": name})
    figure = plots.scores_while_training(rows, length)
    figure.update_layout(
        title=f"Tanh RNN, plain gradient descent, temporal order, T={length}: clipping"
    )
    lines = [
        shares_right(rows, steps),
        f"Steps until it was solved, or all: {steps_taken(rows)}.",
    ]
    return Shown(figure, lines, {"rows": rows})


def residual_connections(*, num_layers: int = 12, length: int = 20, seeds: int = 3) -> Shown:
    """The norm of the gradient of each layer of a deep stack, with and without residuals.

    Args:
        num_layers: Of the tanh RNN.
        length: T of temporal order, at least 10.
        seeds: Every one is a line.
    """
    layers = range(1, num_layers + 1)
    series, shares = {}, {}
    for name, is_residual in (("without", False), ("with residual connections", True)):
        norms = [_by_layer(num_layers, length, seed, is_residual) for seed in range(seeds)]
        series[name] = [(layers, seed) for seed in norms]
        shares[name] = geometric_mean([[seed[0] / seed[-1]] for seed in norms])[0]
    title = f"{num_layers} layers of tanh RNN before training: gradient by layer"
    figure = plots.seed_lines(series, title, "layer, from the input", "norm of the gradient")
    figure.update_yaxes(type="log", exponentformat="power")
    told = ", ".join(f"{name} {share:.2g}" for name, share in shares.items())
    lines = [f"Gradient norm of the first layer over that of the last: {told}."]
    return Shown(figure, lines, {"norms": {n: [list(y) for _, y in s] for n, s in series.items()}})


def _by_layer(num_layers: int, length: int, seed: int, is_residual: bool) -> list[float]:
    torch.manual_seed(seed)
    job = vanilla("temporal_order", length, seed, 100)
    module = make_module(with_model(job, num_layers=num_layers, residual=is_residual))
    batch = TASKS[job.task].draw(64, length, torch.Generator().manual_seed(seed))
    torch.nn.functional.cross_entropy(module.model(batch.inputs), batch.target).backward()
    own = gradient_norms(module.model.encoder)
    return [own[f"layers.{number}.0"] for number in range(num_layers)]
