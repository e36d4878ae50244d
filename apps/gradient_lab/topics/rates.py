"""The learning rate: a range test, and the schedules that move it."""

import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from apps.gradient_lab.datamodule import TaskData
from apps.gradient_lab.recipes import recipe
from apps.gradient_lab.topics.shown import Shown
from apps.gradient_lab.train import CHECK_STEPS, make_module
from core.nn.initialization import CellName
from core.optim import OptimConfig, Schedule, make_schedule
from core.plots import COLORS, range_test_curve, style
from core.range_test import RangeTest, range_test
from core.training import TrainerConfig
from data.synthetic import TASKS

CELLS: tuple[CellName, ...] = ("rnn", "lstm")
SCHEDULES: tuple[Schedule, ...] = ("constant", "warmup_cosine", "one_cycle", "step")


def learning_rate(
    *, length: int = 10, steps: int = 200, total: int = 1000, seeds: int = 3
) -> Shown:
    """Loss over a rising rate for two cells, and the rate of each schedule over a training.

    Args:
        length: T of temporal order, at least 10.
        steps: Of a range test, at least 20.
        total: Of the training that the schedules are drawn for.
        seeds: Every one is a curve.
    """
    figure = make_subplots(1, 2, horizontal_spacing=0.12)
    tests = {cell: [_test(cell, length, steps, seed) for seed in range(seeds)] for cell in CELLS}
    for color, (cell, results) in zip(COLORS, tests.items(), strict=False):
        for number, result in enumerate(results):
            for trace in range_test_curve(result).data:
                is_curve = trace.mode != "markers"
                name = cell if is_curve else "suggested"
                trace.update(name=name, showlegend=is_curve and number == 0)
                trace.update({"line.color": color} if is_curve else {"marker.color": color})
                figure.add_trace(trace, 1, 1)
    _draw_schedules(figure, total)
    style(figure, "Range test, and schedules", "learning rate", "training loss, smoothed")
    figure.update_xaxes(type="log", exponentformat="power", row=1, col=1)
    figure.update_xaxes(title="optimiser step", row=1, col=2)
    figure.update_yaxes(title="share of the peak rate", row=1, col=2)
    found = {cell: [result.suggestion for result in results] for cell, results in tests.items()}
    told = "; ".join(
        f"{cell} {' / '.join('none' if rate is None else f'{rate:.2g}' for rate in rates)}"
        for cell, rates in found.items()
    )
    line = f"Rate at which the loss falls fastest, each seed: {told}."
    return Shown(figure, [line], {"suggested": found})


def _draw_schedules(figure: go.Figure, total: int) -> None:
    """The rate of each schedule, on the right."""
    for color, schedule in zip(COLORS[2:], SCHEDULES, strict=False):
        figure.add_scatter(
            x=list(range(0, total, 10)),
            y=_rates(schedule, total)[::10],
            name=schedule,
            line={"color": color},
            row=1,
            col=2,
        )


def _test(cell: CellName, length: int, steps: int, seed: int) -> RangeTest:
    torch.manual_seed(seed)
    job = recipe("temporal_order", length, cell, seed=seed)
    data = TaskData(TASKS[job.task], length, seed).training(job.batch_size, CHECK_STEPS)
    config = TrainerConfig(clip_norm=job.clipping.norm)
    return range_test(make_module(job), data, config, min_rate=1e-5, num_steps=steps)


def _rates(schedule: Schedule, total: int) -> list[float]:
    """The rate at every step of a training, for a peak of 1."""
    config = OptimConfig(optimizer="sgd", learning_rate=1.0, schedule=schedule)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], config.learning_rate)
    scheduler = make_schedule(optimizer, config, total)
    rates = []
    for _ in range(total):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return rates
