"""Plots that every app's report and front end share; axes have units, colours suit everybody."""

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

# Okabe & Ito 2008: told apart with any kind of colour vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")


def style(figure: go.Figure, title: str, x: str, y: str) -> go.Figure:
    """Give a figure its title, axis names and the common look."""
    figure.update_layout(
        title=title,
        xaxis_title=x,
        yaxis_title=y,
        template="plotly_white",
        colorway=list(COLORS),
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0.0},
        margin={"l": 60, "r": 20, "t": 80, "b": 50},
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
