"""Plots that every app's report and front end share; axes have units, colours suit everybody."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.comparison import interval

if TYPE_CHECKING:
    from core.range_test import RangeTest  # which loads torch and Lightning

# Okabe & Ito 2008: told apart with any kind of colour vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
SMALLEST = 1e-20  # what lies below is drawn there: a logarithm has no zero
# Beyond eight lines the colours come again, dotted.
LINES = [{"color": color, "dash": dash} for dash in ("solid", "dot") for color in COLORS]
DASHES = {"hidden": "solid", "cell": "dash"}


class NamedCurve(NamedTuple):
    """A gradient by lag to draw.

    Attributes:
        name: Whose it is; one name has one colour.
        state: `hidden`, or `cell`, which is dashed.
        lag: Steps back, from 0 on.
        norm: Of the gradient, one per lag.
    """

    name: str
    state: str
    lag: Sequence[int]
    norm: Sequence[float]


def style(figure: go.Figure, title: str, x: str, y: str) -> go.Figure:
    """Give a figure its title, axis names and the common look."""
    figure.update_layout(
        title=title,
        xaxis_title=x,
        yaxis_title=y,
        template="plotly_white",
        colorway=list(COLORS),
        # Below the axis at any width: as many rows as the names need, and the plot above them.
        legend={"orientation": "h", "yref": "container", "y": 0.0, "yanchor": "bottom", "x": 0.0},
        margin={"l": 60, "r": 20, "t": 60, "b": 20},
        xaxis_automargin=True,
        height=420,
    )
    return figure


def read_training_log(run_dir: Path) -> pd.DataFrame:
    """What a training wrote to `logs/metrics.csv`: step, train_loss, val_loss, grad_norm."""
    log = pd.read_csv(run_dir / "logs" / "metrics.csv")
    # A training of fewer than ten steps logs no train_loss.
    columns = ["step", "train_loss", "val_loss", "grad_norm"]
    return log.reindex(columns=log.columns.union(columns, sort=False))


def loss_curves(logs: Mapping[str, pd.DataFrame], unit: str) -> go.Figure:
    """Training loss (thin) and validation loss (marked) of several trainings over the steps.

    Args:
        logs: `read_training_log` by name.
        unit: What the loss is measured in.
    """
    figure = go.Figure()
    for color, (name, log) in zip(cycle(COLORS), logs.items(), strict=False):
        train, val = log.dropna(subset="train_loss"), log.dropna(subset="val_loss")
        figure.add_scatter(
            x=train["step"],
            y=train["train_loss"],
            name=f"{name}, training",
            line={"color": color, "width": 1},
            opacity=0.5,
        )
        figure.add_scatter(
            x=val["step"],
            y=val["val_loss"],
            name=f"{name}, validation",
            mode="lines+markers",
            line={"color": color, "width": 3},
        )
    return style(figure, "Loss while training", "optimiser step", f"loss ({unit})")


def gradient_norms(logs: Mapping[str, pd.DataFrame]) -> go.Figure:
    """Norm of the gradient before clipping, logarithmic, of several trainings over the steps.

    Args:
        logs: `read_training_log` by name.
    """
    figure = go.Figure()
    for color, (name, log) in zip(cycle(COLORS), logs.items(), strict=False):
        known = log.dropna(subset="grad_norm")
        figure.add_scatter(
            x=known["step"], y=known["grad_norm"], name=name, line={"color": color, "width": 2}
        )
    figure.update_yaxes(type="log")
    return style(figure, "Gradient norm before clipping", "optimiser step", "L2 norm")


def lag_curves(curves: Sequence[NamedCurve], title: str) -> go.Figure:
    """Gradient norm by lag over that at lag 1, logarithmic; dashed for the cell state."""
    figure = go.Figure()
    names = dict.fromkeys(curve.name for curve in curves)
    colors = dict(zip(names, cycle(COLORS), strict=False))
    for curve in curves:
        norm = np.asarray(curve.norm)
        figure.add_scatter(
            x=curve.lag[1:],
            y=np.maximum(norm[1:] / max(norm[1], 1e-300), SMALLEST),
            name=curve.name + (", cell state" if curve.state == "cell" else ""),
            line={"color": colors[curve.name], "width": 2, "dash": DASHES[curve.state]},
        )
    figure.update_yaxes(type="log", exponentformat="power")
    return style(figure, title, "lag (steps back)", "gradient norm over that at lag 1")


def quality_by_length(
    values: Mapping[str, Mapping[str, Sequence[float]]], length: str, measure: str, title: str
) -> go.Figure:
    """Mean of a score and its 95 % interval over the seeds, by the length of the input.

    Args:
        values: One per seed, by candidate and then by length, the shortest first; a candidate
            without values at a length has no point there.
        length: What the lengths are, with unit.
        measure: The score.
        title: The figure's.
    """
    figure = go.Figure()
    for line, (name, by_length) in zip(LINES, values.items(), strict=False):
        means = {key: interval(seeds) for key, seeds in by_length.items() if seeds}
        figure.add_scatter(
            x=list(means),
            y=[mean for mean, _ in means.values()],
            error_y={"type": "data", "array": [half for _, half in means.values()], "thickness": 1},
            name=name,
            mode="lines+markers",
            line={**line, "width": 2},
        )
    order = list(dict.fromkeys(key for by_length in values.values() for key in by_length))
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=order)
    return style(figure, title, length, measure)


def risk_coverage_curves(curves: Mapping[str, Sequence[Mapping[str, Any]]], risk: str) -> go.Figure:
    """Risk of the surest answers by the share that is kept; a mean over the seeds.

    Args:
        curves: What `core.selective.risk_coverage` gave, one per seed, by candidate.
        risk: What it is, with unit.
    """
    figure = go.Figure()
    for color, (name, seeds) in zip(cycle(COLORS), curves.items(), strict=False):
        figure.add_scatter(
            x=[100 * coverage for coverage in seeds[0]["coverage"]],
            y=np.mean([one["risk"] for one in seeds], axis=0).tolist(),
            name=name,
            mode="lines+markers",
            line={"color": color, "width": 2},
        )
    figure.update_yaxes(rangemode="tozero")
    return style(figure, "Risk by coverage", "share of the replies kept, surest first (%)", risk)


def range_test_curve(result: "RangeTest") -> go.Figure:
    """Training loss over the learning rate, logarithmic, and the rate that is suggested.

    Args:
        result: What `core.range_test.range_test` saw; where it suggests nothing, none is marked.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=result.rates, y=result.losses, name="loss", line={"color": COLORS[0], "width": 2}
    )
    if result.suggestion is not None:
        figure.add_scatter(
            x=[result.suggestion],
            y=[result.losses[result.rates.index(result.suggestion)]],
            name=f"suggested: {result.suggestion:.2g}",
            mode="markers",
            marker={"color": COLORS[1], "size": 12},
        )
    figure.update_xaxes(type="log")
    title = "Learning-rate range test"
    return style(figure, title, "learning rate of the step", "training loss, smoothed")
