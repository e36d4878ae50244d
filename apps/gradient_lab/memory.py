"""Success against length: which cell remembers how far."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.gradient_lab.jobs import Row, run_jobs
from apps.gradient_lab.recipes import cell_starts, recipe
from core.cli import verb
from core.comparison import align, choose, interval, numbers
from core.nn.initialization import CELLS
from data.synthetic import TASKS, TaskName

KEYS = ("task", "length", "cell", "start", "seed", "score", "baseline", "solved", "steps")


def table(rows: Sequence[Row]) -> str:
    """Score by length, mean and 95 % interval over the seeds, and how many seeds solved it."""
    if not rows:
        return "nothing was run"
    lengths = sorted({row["length"] for row in rows})
    task = TASKS[rows[0]["task"]]
    header = ["cell", "start", *(f"T={length}" for length in lengths), "seconds a run"]
    baseline = ["baseline", "-", *(f"{task.baseline(length):.4f}" for length in lengths), "-"]
    lines = [header, baseline]
    for name in dict.fromkeys((row["cell"], row["start"]) for row in rows):
        own = [row for row in rows if (row["cell"], row["start"]) == name]
        cells = [_cell([row for row in own if row["length"] == length]) for length in lengths]
        lines.append([*name, *cells, f"{np.mean([row['seconds'] for row in own]):.0f}"])
    about = f"{task.metric}; in brackets: seeds that solved it\n\n"
    return about + align(lines, num_names=2)


@verb(table)
def memory(
    task: TaskName = "adding",
    lengths: str = "50,100,200",
    cells: str = "rnn,lstm,gru,mingru",
    *,
    starts: str | None = None,
    seeds: int = 3,
    max_steps: int | None = None,
    store: Path | None = None,
) -> list[dict[str, Any]]:
    """Train cells on a task of growing length, and score them on fresh data.

    Args:
        task: `adding`, `copy` or `temporal_order`.
        lengths: T of the task, comma-separated, in steps.
        cells: Comma-separated, or `all`: rnn, irnn, lstm, gru, mingru, minlstm, lru, slstm.
        starts: Comma-separated: default, orthogonal, forget, chrono, identity; left out: the one
            that suits each cell. What a cell cannot set is left out.
        seeds: How many, at least 1.
        max_steps: Optimiser steps a run may take, a multiple of 100; left out: the task's own.
            A run stops once it has solved the task.
        store: A JSONL file that keeps finished runs, so that a stopped command goes on.
    """
    if seeds < 1:
        raise ValueError(f"seeds={seeds} must be at least 1")
    jobs = [
        recipe(task, length, cell, start, seed=seed, max_steps=max_steps)
        for length in sorted(numbers(lengths, "lengths"), reverse=True)
        for cell, start in cell_starts(choose(CELLS, cells, "cells"), starts)
        for seed in range(seeds)
    ]
    rows = run_jobs(jobs, f"{task}: cells by lengths by seeds", store)
    return [{key: row[key] for key in (*KEYS, "seconds")} for row in rows]


def _cell(rows: Sequence[Row]) -> str:
    if not rows:
        return "-"
    scores = [row["score"] for row in rows if row["score"] is not None]
    solved = f"({sum(row['solved'] for row in rows)}/{len(rows)})"
    if not scores:
        return f"diverged {solved}"
    mean, half = interval(scores)
    spread = f" ±{half:.4f}" if len(scores) > 1 else ""
    return f"{mean:.4f}{spread} {solved}"
