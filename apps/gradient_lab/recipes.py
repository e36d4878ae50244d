"""How each cell is trained on each task: the settings that stay the same in every experiment."""

from collections.abc import Sequence
from dataclasses import replace

from apps.gradient_lab.train import CHECK_STEPS, Job, default_start
from core.comparison import choose
from core.nn.initialization import STARTS, CellName, Start, effective_start
from core.nn.recurrent import RecurrentConfig
from core.optim import OptimConfig
from data.synthetic import TaskName

ELEMENTWISE: tuple[CellName, ...] = ("mingru", "minlstm", "lru")  # see the sequence through layers
RATES: dict[CellName, float] = {"rnn": 1e-3, "irnn": 3e-4, "lru": 3e-3}  # the others: 5e-3
COPY_RATES: dict[CellName, float] = {"rnn": 1e-3, "irnn": 3e-4}  # the others: 1e-2


def recipe(
    task: TaskName,
    length: int,
    cell: CellName,
    start: Start | None = None,
    *,
    seed: int = 0,
    max_steps: int | None = None,
) -> Job:
    """The job of one cell on one task.

    Cells whose gates read the input alone need two layers: the second one's gates then read what
    the first has remembered (Feng et al. 2024, section 3).

    Args:
        task: What is learnt.
        length: Its T.
        cell: Who learns it.
        start: Starting weights; None for the cell's own best.
        seed: Of weights and draws.
        max_steps: None for the task's own.
    """
    model = RecurrentConfig(
        cell=cell,
        hidden_size=64,
        num_layers=2 if cell in ELEMENTWISE else 1,
        start=default_start(cell) if start is None else start,
        longest_lag=max(3, length),
    )
    is_copy = task == "copy"  # which is learnt slowly, and best while the rate falls
    return Job(
        task=task,
        length=length,
        model=model,
        optim=OptimConfig(
            learning_rate=COPY_RATES.get(cell, 1e-2) if is_copy else RATES.get(cell, 5e-3),
            weight_decay=0.0,
            schedule="warmup_cosine" if is_copy else "constant",
        ),
        max_steps=step_budget(task, length) if max_steps is None else max_steps,
        seed=seed,
    )


def step_budget(task: TaskName, length: int) -> int:
    """Optimiser steps that a run may take: what keeps the whole report under 40 minutes."""
    match task:
        case "adding":
            return 1000
        case "copy":
            return 2000 if length <= 20 else max(1, 200 // length) * CHECK_STEPS
        case "temporal_order":
            return 600


def cell_starts(cells: Sequence[CellName], starts: str | None) -> list[tuple[CellName, Start]]:
    """Every cell with every start that it can have; without starts, with its own best."""
    if starts is None:
        return [(cell, default_start(cell)) for cell in cells]
    chosen = choose(STARTS, starts, "starts")
    pairs = [(cell, effective_start(cell, start)) for cell in cells for start in chosen]
    return list(dict.fromkeys(pairs))


def with_model(job: Job, **changes: object) -> Job:
    """The job with other choices of its recurrent stack."""
    return replace(job, model=replace(job.model, **changes))  # type: ignore[arg-type]
