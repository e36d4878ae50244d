"""Gradient by lag: per cell and start, before and after training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from apps.gradient_lab.datamodule import TaskData
from apps.gradient_lab.jobs import Row, run_jobs
from apps.gradient_lab.recipes import cell_starts, recipe, with_model
from apps.gradient_lab.train import CHECK_STEPS, Job, make_module, train
from core.cli import verb
from core.comparison import align, choose, geometric_mean
from core.diagnostics import gradient_by_lag
from core.modules import SequenceModule
from core.nn.initialization import CELLS, effective_start
from data.synthetic import TASKS, TaskName

ROWS = 32  # sequences whose gradients are averaged
FIRST = np.array([0])  # the first batch of fresh rows
SHOWN_LAGS = (1, 10, 20, 50, 99, 199)


def table(curves: Sequence[dict[str, Any]]) -> str:
    """The norm at a few lags over that at lag 1."""
    lags = [lag for lag in SHOWN_LAGS if lag in curves[0]["lag"]]
    lines = [["cell", "start", "state", "trained", *(f"lag {lag}" for lag in lags)]]
    for curve in curves:
        norm = curve["norm"]
        shares = [f"{norm[lag] / norm[1]:.0e}" if norm[1] else "0" for lag in lags]
        trained = "yes" if curve["trained"] else "no"
        lines.append([curve["cell"], curve["start"], curve["state"], trained, *shares])
    return "gradient norm over that at lag 1\n\n" + align(lines, num_names=4)


@verb(table)
def gradients(
    cells: str = "rnn,lstm,gru",
    starts: str | None = "default,orthogonal,forget,chrono",
    *,
    task: TaskName = "adding",
    length: int = 100,
    hidden_size: int = 128,
    steps: int = 300,
    seeds: int = 3,
    store: Path | None = None,
) -> list[dict[str, Any]]:
    """Measure how much the last output depends on each earlier state, before and after training.

    Args:
        cells: Comma-separated, or `all`: rnn, irnn, lstm, gru, mingru, minlstm, lru, slstm.
        starts: Comma-separated: default, orthogonal, forget, chrono, identity. What a cell cannot
            set is left out.
        task: What the inputs are drawn from, and what is trained: `adding`, `copy` or
            `temporal_order`.
        length: T of the task, in steps, at least 10.
        hidden_size: Units, at least 1.
        steps: Of training before the second measurement, a multiple of 100; 0: no training.
        seeds: Curves are geometric means over so many, at least 1.
        store: A JSONL file that keeps finished measurements, so that a stopped command goes on.
    """
    if seeds < 1 or steps % CHECK_STEPS:
        raise ValueError(
            f"seeds={seeds} must be at least 1 and steps={steps} a multiple of {CHECK_STEPS}"
        )
    jobs = []
    for cell, start in cell_starts(choose(CELLS, cells, "cells"), starts):
        for seed in range(seeds):
            job = recipe(task, length, cell, start, seed=seed, max_steps=max(steps, CHECK_STEPS))
            jobs.append(with_model(job, hidden_size=hidden_size))
    work = measure_before_and_after if steps else measure_before
    rows = run_jobs(jobs, "gradients: cells by starts by seeds", store, work)
    return mean_curves([curve for row in rows for curve in row["curves"]])


def measure_before(job: Job) -> Row:
    """The curves of a network that has just been made."""
    torch.manual_seed(job.seed)
    module = make_module(job)
    return {"curves": measure(job, module, is_trained=False)}


def measure_before_and_after(job: Job) -> Row:
    """The curves at the start, and after training."""
    after = measure(job, train(job).module, is_trained=True)
    return {"curves": measure_before(job)["curves"] + after}


def measure(job: Job, module: SequenceModule, *, is_trained: bool) -> list[dict[str, Any]]:
    """The curves of the last layer, which the answer is read from, on fresh rows."""
    x = TaskData(TASKS[job.task], job.length, job.seed).fresh().collate(FIRST).inputs[:ROWS]
    curves = gradient_by_lag(module.model.encoder, x)
    return [
        {
            "cell": job.model.cell,
            "start": effective_start(job.model.cell, job.model.start),
            "state": curve.state,
            "trained": is_trained,
            "lag": curve.lag,
            "norm": curve.norm,
        }
        for curve in curves
        if curve.layer == job.model.num_layers - 1
    ]


def mean_curves(curves: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Geometric means over the seeds; a norm of zero makes its mean zero."""
    grouped: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for curve in curves:
        key = tuple(curve[name] for name in ("cell", "start", "state", "trained"))
        grouped.setdefault(key, []).append(curve)
    return [
        {**members[0], "norm": geometric_mean([member["norm"] for member in members])}
        for members in grouped.values()
    ]
