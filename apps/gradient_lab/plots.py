"""The lab's pictures: gradient by lag, success against length, score while training, remedies."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core import plots
from core.comparison import interval
from core.plots import COLORS, LINES, NamedCurve, style
from data.synthetic import TASKS

Row = dict[str, Any]


def lag_curves(curves: Sequence[Row], title: str) -> go.Figure:
    """Gradient norm by lag over that at lag 1, logarithmic; dashed for the cell state."""
    named = [
        NamedCurve(
            f"{curve['cell']}, {curve['start']}", curve["state"], curve["lag"], curve["norm"]
        )
        for curve in curves
    ]
    return plots.lag_curves(named, title)


def success_by_length(rows: Sequence[Row]) -> go.Figure:
    """Mean score and its 95 % interval over the seeds against T, beside the baseline."""
    task = TASKS[rows[0]["task"]]
    lengths = sorted({row["length"] for row in rows})
    figure = go.Figure()
    for name, own in by_name(rows).items():
        points = {
            length: [row["score"] for row in own if row["length"] == length] for length in lengths
        }
        kept = {length: [s for s in values if s is not None] for length, values in points.items()}
        shown = [length for length in lengths if kept[length]]
        means = [interval(kept[length]) for length in shown]
        figure.add_scatter(
            x=shown,
            y=[mean for mean, _ in means],
            error_y={"type": "data", "array": [half for _, half in means], "thickness": 1},
            name=name,
            mode="lines+markers",
        )
    figure.add_scatter(
        x=lengths,
        y=[task.baseline(length) for length in lengths],
        name="without reading",
        line={"dash": "dot", "color": "#666666"},
    )
    if task.name != "temporal_order":
        figure.update_yaxes(type="log", exponentformat="power")
    figure.update_xaxes(tickvals=lengths)
    return style(figure, f"{task.name}: score against length", "T (steps)", task.metric)


def scores_while_training(rows: Sequence[Row], length: int) -> go.Figure:
    """Score on fresh rows over the optimiser steps, every seed a line, beside the baseline."""
    rows = [row for row in rows if row["length"] == length]
    task = TASKS[rows[0]["task"]]
    figure = go.Figure()
    for color, (name, own) in zip(cycle(COLORS), by_name(rows).items(), strict=False):
        for number, row in enumerate(own):
            figure.add_scatter(
                x=[step for step, _ in row["curve"]],
                y=[score for _, score in row["curve"]],
                name=name,
                legendgroup=name,
                showlegend=number == 0,
                line={"color": color, "width": 1.5},
            )
    longest = max(row["steps"] for row in rows)
    figure.add_scatter(
        x=[0, longest],
        y=[task.baseline(length)] * 2,
        name="without reading",
        line={"dash": "dot", "color": "#666666"},
    )
    if task.name != "temporal_order":
        figure.update_yaxes(type="log", exponentformat="power")
    title = f"{task.name}, T={length}: score while training"
    return style(figure, title, "optimiser step", task.metric)


def seed_lines(
    series: Mapping[str, Sequence[tuple[Sequence[float], Sequence[float]]]],
    title: str,
    x: str,
    y: str,
) -> go.Figure:
    """Every seed a line, all seeds of a name in one colour.

    Args:
        series: Abscissas and ordinates, one pair per seed, by name.
        title: The figure's.
        x: Name and unit of the abscissas.
        y: Name and unit of the ordinates.
    """
    figure = go.Figure()
    for line, (name, seeds) in zip(LINES, series.items(), strict=False):
        for number, (across, up) in enumerate(seeds):
            figure.add_scatter(
                x=list(across),
                y=list(up),
                name=name,
                mode="lines",
                legendgroup=name,
                showlegend=number == 0,
                line={**line, "width": 1.5},
            )
    return style(figure, title, x, y)


def seed_dots(values: Mapping[str, Sequence[float]], title: str, x: str, y: str) -> go.Figure:
    """The mean of each name as a bar, every seed as a dot.

    Args:
        values: One per seed, by name; the first stands at the top.
        title: The figure's.
        x: What the values are, with unit.
        y: What the names are.
    """
    means = [float(np.mean(seeds)) for seeds in values.values()]
    figure = go.Figure(go.Bar(x=means, y=list(values), orientation="h", name="mean"))
    figure.add_scatter(
        x=[value for seeds in values.values() for value in seeds],
        y=[name for name, seeds in values.items() for _ in seeds],
        mode="markers",
        name="each seed",
        marker={"color": "#000000", "size": 6},
    )
    figure.update_yaxes(autorange="reversed")
    return style(figure, title, x, y)


def remedy_bars(rows: Sequence[Row]) -> go.Figure:
    """The score of each remedy, a dot per seed, the vanilla RNN as a line."""
    task = TASKS[rows[0]["task"]]
    means = {
        name: float(np.mean([_score(row) for row in rows if row["remedy"] == name]))
        for name in dict.fromkeys(row["remedy"] for row in rows)
    }
    order = sorted(means, key=lambda name: means[name], reverse=task.name != "temporal_order")
    figure = go.Figure(
        go.Bar(x=[means[name] for name in order], y=order, orientation="h", name="mean")
    )
    figure.add_scatter(
        x=[_score(row) for row in rows],
        y=[row["remedy"] for row in rows],
        mode="markers",
        name="each seed",
        marker={"color": "#000000", "size": 5},
    )
    figure.add_vline(x=means["nothing"], line_dash="dot")
    title = f"{task.name}, T={rows[0]['length']}: each remedy alone"
    style(figure, title, task.metric, "remedy")
    figure.update_layout(height=max(420, 24 * len(order) + 150))
    return figure


def by_name(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of one name, which is the variant's, or cell and start."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.get("variant") or f"{row['cell']}, {row['start']}", []).append(row)
    return grouped


def _score(row: Row) -> float:
    return float(row["baseline"] if row["score"] is None else row["score"])
