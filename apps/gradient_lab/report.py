"""Every experiment of the lab in one HTML file, with the numbers behind it."""

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from apps.gradient_lab import plots
from apps.gradient_lab.ablate import ablate
from apps.gradient_lab.ablate import table as remedy_table
from apps.gradient_lab.gradients import gradients
from apps.gradient_lab.gradients import table as gradient_table
from apps.gradient_lab.jobs import Row, run_jobs
from apps.gradient_lab.memory import table as memory_table
from apps.gradient_lab.recipes import recipe
from apps.gradient_lab.train import Job
from apps.gradient_lab.tuning import rate_and_threshold, tuning_section
from core.cli import verb
from core.clipping import Clipping
from core.files import write_text
from core.nn.initialization import CELLS, CellName
from core.optim import OptimConfig, OptimizerName
from core.plain import plain
from core.reporting import Section, write_report
from data.synthetic import TaskName

logger = logging.getLogger(__name__)
LENGTHS: dict[TaskName, tuple[int, ...]] = {
    "adding": (200, 400),
    "copy": (20, 50, 100),
    "temporal_order": (20, 50, 100),
}
ADDING_400: tuple[CellName, ...] = ("rnn", "lstm", "mingru")  # the others: 200 alone
ABLATED, ABLATION_LENGTH, ABLATION_STEPS = "all", 50, 400
SGD_RATE = 0.1  # not searched
GRADIENT_TEXT = """\
How much does the state at the end depend on a state so many steps before? Each curve is the norm
of d output[last] / d state[last - lag] over that at lag 1, on inputs of the adding problem, a
geometric mean over the seeds. Solid lines: the hidden state. Dashed: the cell state of the LSTM and
of the sLSTM.

At torch's default start the gated cells forget as fast as the vanilla RNN: a gate that is half open
halves the gradient at every step. Orthogonal matrices with a forget bias of 1 help, the chrono
start helps more. Training can lengthen the memory, or shorten it."""
MEMORY_TEXT = """\
Every seed has its own weights and draws; every step sees fresh sequences. A run stops once it has
solved the task on 1,000 rows with a fifth to spare, and is then scored on 2,000 fresh ones. In
brackets: how many seeds solved it."""
GRID_TEXT = """\
The tanh RNN with plain gradient descent and with Adam, with and without clipping the gradient's
norm at 1, as Pascanu et al. (2013) ask."""
ABLATION_TEXT = """\
The base is a vanilla RNN of two layers without any remedy; each row switches on one. A dot per
seed. What helps against vanishing gradients stands at the top; regularisers cannot help here,
because every row is fresh and nothing can be learnt by heart."""


def show(result: dict[str, Any]) -> str:
    """Every table, and where the report is."""
    return f"{result['tables']}\n\n{result['report']}: {result['minutes']:.1f} minutes"


@verb(show)
def report(
    out: Path = Path("runs/gradient_lab/report.html"), *, seeds: int = 3, share: float = 1.0
) -> dict[str, Any]:
    """Run every experiment and write one self-contained HTML file, and its numbers beside it.

    Finished runs are kept beside the report: a stopped command goes on where it was.

    Args:
        out: The HTML file; `.json` and `.jsonl` files of the same name stand beside it.
        seeds: Of every run, at least 1.
        share: Of the steps that a run may take, above 0, at most 1; below 1 for a quick look.
    """
    if seeds < 1 or not 0 < share <= 1:
        raise ValueError(f"seeds={seeds} must be at least 1 and share={share} in (0, 1]")
    started = time.perf_counter()
    store = out.with_suffix(".jsonl")
    sections = [gradient_section(seeds, store, share)]
    for task in LENGTHS:
        sections.append(memory_section(task, seeds, store, share))
    sections.append(grid_section(seeds, store, share))
    sections.append(tuning_section(rate_and_threshold(seeds, store, share)))
    sections.append(ablation_section(seeds, store, share))
    write_report(out, "Why recurrent networks stop learning, and what helps", sections)
    numbers = {section.title: section.numbers for section in sections}
    write_text(out.with_suffix(".json"), _json(numbers))
    tables = "\n\n".join(f"{s.title}\n\n{s.table}" for s in sections if s.table)
    return {
        "report": str(out),
        "minutes": round((time.perf_counter() - started) / 60, 1),
        "tables": tables,
    }


def gradient_section(seeds: int, store: Path, share: float) -> Section:
    """Curves by lag per start, and per cell before and after training."""
    steps = scaled(200, share)
    by_start = gradients("lstm,gru", "default,forget,chrono", steps=0, seeds=seeds, store=store)
    by_cell = gradients("all", None, steps=steps, seeds=seeds, store=store)
    default = gradients("rnn,lstm,gru", "default", steps=steps, seeds=seeds, store=store)
    before = [curve for curve in default + by_cell if not curve["trained"]]
    after = [curve for curve in default + by_cell if curve["trained"]]
    starts = "The start decides how far an LSTM and a GRU remember"
    named = {
        (c["cell"], c["start"], c["state"], c["trained"]): c for c in by_start + default + by_cell
    }
    curves = list(named.values())
    return Section(
        "Gradient by lag",
        GRADIENT_TEXT,
        gradient_table(curves),
        [
            plots.lag_curves(by_start, starts),
            plots.lag_curves(before, "Every cell before training"),
            plots.lag_curves(after, f"Every cell after {steps} steps on the adding problem, T=100"),
        ],
        curves,
    )


def memory_section(task: TaskName, seeds: int, store: Path, share: float) -> Section:
    """One task: score against length, and while training."""
    jobs = [
        recipe(task, length, cell, seed=seed)
        for length in sorted(LENGTHS[task], reverse=True)
        for cell in (ADDING_400 if (task, length) == ("adding", 400) else CELLS)
        for seed in range(seeds)
    ]
    rows = run_jobs([shortened(job, share) for job in jobs], task, store)
    figures = [plots.success_by_length(rows)]
    figures += [plots.scores_while_training(rows, length) for length in LENGTHS[task]]
    return Section(f"Memory: {task}", MEMORY_TEXT, memory_table(rows), figures, rows)


def grid_section(seeds: int, store: Path, share: float) -> Section:
    """The tanh RNN on temporal order: optimiser by clipping."""
    variants: dict[str, tuple[OptimizerName, float]] = {
        "rnn, sgd": ("sgd", 0.0),
        "rnn, sgd, clipped": ("sgd", 1.0),
        "rnn, adam": ("adamw", 0.0),
        "rnn, adam, clipped": ("adamw", 1.0),
    }
    named = [
        (name, shortened(rnn_variant(length, seed, optimizer, limit), share))
        for length in sorted(LENGTHS["temporal_order"], reverse=True)
        for name, (optimizer, limit) in variants.items()
        for seed in range(seeds)
    ]
    done = run_jobs([job for _, job in named], "optimiser by clipping", store)
    rows: list[Row] = [
        {**row, "variant": name, "cell": name} for (name, _), row in zip(named, done, strict=True)
    ]
    figures = [plots.success_by_length(rows)]
    figures += [plots.scores_while_training(rows, length) for length in LENGTHS["temporal_order"]]
    return Section(
        "The vanilla RNN: clipping and optimiser", GRID_TEXT, memory_table(rows), figures, rows
    )


def rnn_variant(length: int, seed: int, optimizer: OptimizerName, limit: float) -> Job:
    """The tanh RNN with an optimiser and a clipping threshold; 0 does not clip."""
    job = recipe("temporal_order", length, "rnn", seed=seed)
    optim = replace(job.optim, optimizer=optimizer)
    if optimizer == "sgd":
        optim = OptimConfig(
            optimizer="sgd", learning_rate=SGD_RATE, weight_decay=0.0, schedule="constant"
        )
    return replace(job, optim=optim, clipping=Clipping(norm=limit))


def ablation_section(seeds: int, store: Path, share: float) -> Section:
    """Each remedy alone."""
    steps = scaled(ABLATION_STEPS, share)
    rows = ablate(
        length=ABLATION_LENGTH, remedies=ABLATED, seeds=seeds, max_steps=steps, store=store
    )
    figures = [plots.remedy_bars(rows)]
    return Section("Each remedy alone", ABLATION_TEXT, remedy_table(rows), figures, rows)


def shortened(job: Job, share: float) -> Job:
    """The job with a share of its steps."""
    return replace(job, max_steps=scaled(job.max_steps, share))


def scaled(steps: int, share: float) -> int:
    """A share of the steps, in whole hundreds, at least one."""
    return max(100, round(steps * share / 100) * 100)


def _json(numbers: dict[str, Any]) -> str:
    import json

    return json.dumps(plain(numbers), allow_nan=False, indent=1) + "\n"
