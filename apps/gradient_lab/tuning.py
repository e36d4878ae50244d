"""Two numbers that theory does not give: the learning rate and the clipping threshold."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from apps.gradient_lab import plots
from apps.gradient_lab.datamodule import TaskData
from apps.gradient_lab.jobs import Row, run_jobs
from apps.gradient_lab.memory import table as memory_table
from apps.gradient_lab.recipes import recipe
from apps.gradient_lab.train import CHECK_STEPS, Job, make_module, train
from core.clipping import Clipping, suggest_clip_value
from core.nn.initialization import CellName
from core.plots import range_test_curve
from core.range_test import RangeTest, range_test
from core.reporting import Section
from core.training import TrainerConfig
from data.synthetic import TASKS

FACTORS = (0.03, 0.3, 1.0, 3.0, 30.0)
TEXT = """\
The range test trains a copy while the learning rate rises from step to step, and suggests the rate
at which the loss falls fastest. It is a start for a search, not its end.

The threshold for clipping is an experiment: the gradient norms of the first steps suggest one,
and a tanh RNN is trained with it, with less and with more."""
LENGTH = 50


def rate_and_threshold(seeds: int, store: Path, share: float) -> dict[str, Any]:
    """Run the range test for three cells, and the tanh RNN with several thresholds.

    Returns:
        `range_tests` by cell, the `suggestion` for the threshold and the `rows` of the runs.
    """
    cells: tuple[CellName, ...] = ("rnn", "lstm", "gru")
    tests = {}
    for cell in cells:
        job = recipe("temporal_order", LENGTH, cell)
        loader = TaskData(TASKS[job.task], LENGTH, job.seed).training(job.batch_size, CHECK_STEPS)
        tests[cell] = range_test(
            make_module(job), loader, TrainerConfig(clip_norm=job.clipping.norm)
        )
    base = replace(recipe("temporal_order", LENGTH, "rnn"), clipping=Clipping())
    short = replace(base, max_steps=CHECK_STEPS)
    norms = run_jobs([short], "gradient norms of the first steps", store, first_norms)[0]["norms"]
    suggestion = suggest_clip_value(norms)
    named = [("no clipping", 0.0)]
    named += [(f"{factor:g} x the suggestion", factor * suggestion) for factor in FACTORS]
    steps = max(CHECK_STEPS, round(base.max_steps * share / CHECK_STEPS) * CHECK_STEPS)
    jobs = [
        replace(base, clipping=Clipping(norm=limit), seed=seed, max_steps=steps)
        for _, limit in named
        for seed in range(seeds)
    ]
    done = run_jobs(jobs, "clipping thresholds by seeds", store)
    names = [name for name, _ in named for _ in range(seeds)]
    rows = [{**row, "variant": name, "cell": name} for name, row in zip(names, done, strict=True)]
    return {"range_tests": tests, "norms": norms, "suggestion": suggestion, "rows": rows}


def first_norms(job: Job) -> Row:
    """The gradient norm of every one of the first steps, before clipping."""
    return {"norms": train(job).norms}


def tuning_section(result: dict[str, Any]) -> Section:
    """Range tests and thresholds as a part of the report."""
    tests: dict[str, RangeTest] = result["range_tests"]
    rates = ", ".join(
        f"{cell} {test.suggestion:.1e}" if test.suggestion else f"{cell} none"
        for cell, test in tests.items()
    )
    found = (
        f"Suggested rates: {rates}. Suggested threshold: {result['suggestion']:.3g} (norms of the "
        f"first {len(result['norms'])} steps: median {np.median(result['norms']):.3g}, largest "
        f"{np.max(result['norms']):.3g})."
    )
    figures = []
    for cell, test in tests.items():
        figure = range_test_curve(test)
        figures.append(figure.update_layout(title=f"Learning-rate range test: {cell}"))
    figures.append(plots.scores_while_training(result["rows"], LENGTH))
    numbers = {
        **result,
        "range_tests": {cell: vars(test) for cell, test in tests.items()},
    }
    return Section(
        "Learning rate and clipping threshold",
        f"{TEXT}\n\n{found}",
        memory_table(result["rows"]),
        figures,
        numbers,
    )
