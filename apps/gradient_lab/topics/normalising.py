"""Normalisation between layers."""

from typing import Any

from apps.gradient_lab import plots
from apps.gradient_lab.ablate import vanilla
from apps.gradient_lab.jobs import run_job
from apps.gradient_lab.recipes import with_model
from apps.gradient_lab.topics.shown import Shown, shares_right
from core.nn.normalization import NormKind

KINDS: dict[str, NormKind] = {"nothing": "none", "layer norm": "layer", "batch norm": "batch"}


def batch_norm(*, length: int = 20, num_layers: int = 3, steps: int = 400, seeds: int = 3) -> Shown:
    """The score of a deep tanh RNN while training, with each normalisation between its layers.

    Args:
        length: T of temporal order, at least 10.
        num_layers: Of the RNN, at least 2.
        steps: Of the optimiser, a multiple of 100.
        seeds: Every one is a line.
    """
    rows: list[dict[str, Any]] = []
    for name, kind in KINDS.items():
        for seed in range(seeds):
            job = vanilla("temporal_order", length, seed, steps)
            job = with_model(job, norm=kind, num_layers=num_layers, hidden_size=32)
            rows.append({**run_job(job), "variant": name})
    figure = plots.scores_while_training(rows, length)
    title = f"{num_layers} layers of tanh RNN, temporal order, T={length}: normalisation"
    figure.update_layout(title=title)
    return Shown(figure, [shares_right(rows, steps)], {"rows": rows})
