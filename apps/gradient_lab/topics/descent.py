"""Gradient descent on two weights, where the whole surface can be drawn."""

import numpy as np
import plotly.graph_objects as go
import torch
from torch import Tensor, nn

from apps.gradient_lab.topics.shown import Shown
from core.optim import OptimConfig, make_optimizer
from core.plots import COLORS, style

RATES = (0.01, 0.1, 0.6)  # of plain gradient descent
TRUE = (0.8, 0.5)
START = (0.3, 1.2)
STEPS_BACK = 10
LOWEST, HIGHEST = -5.0, 1.0  # powers of ten that the colours tell apart


class OneUnit(nn.Module):
    """h_t = w h_t-1 + u x_t, one linear unit; (w, u) is its only parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(START))

    def forward(self, x: Tensor) -> Tensor:
        """The last state of each row, (B,)."""
        return last_state(self.weights[0], self.weights[1], x)


def last_state(recurrent: Tensor, read: Tensor, x: Tensor) -> Tensor:
    """h_T from a zero state, by the recurrence itself; weights that broadcast with (B,)."""
    state = torch.zeros(x.size(0))
    for step in x.unbind(1):
        state = recurrent * state + read * step
    return state


def gradient_descent(*, steps: int = 60, grid: int = 60) -> Shown:
    """The loss of a one-unit RNN over its two weights, and the path of each rate.

    Args:
        steps: Of each path, at least 1.
        grid: Points of the surface to each side.
    """
    x = torch.randn(256, STEPS_BACK, generator=torch.Generator().manual_seed(0))
    true_recurrent, true_read = torch.tensor(TRUE)
    target = last_state(true_recurrent, true_read, x)
    figure = _surface(x, target, grid)
    ends = {}
    for rate, color in zip(RATES, COLORS, strict=False):
        path, losses = descend(rate, steps, x, target)
        ends[f"{rate:g}"] = losses[-1]
        figure.add_scatter(
            x=path[:, 0],
            y=path[:, 1],
            name=f"rate {rate:g}",
            mode="lines+markers",
            line={"color": color, "width": 2},
            marker={"size": 5},
        )
    figure.add_scatter(
        x=TRUE[:1],
        y=TRUE[1:],
        name="lowest point",
        mode="markers",
        marker={"symbol": "star", "size": 14, "color": "#E69F00"},
    )
    style(figure, "Gradient descent on two weights", "recurrent weight w", "input weight u")
    told = ", ".join(f"rate {rate} gives {loss:.2g}" for rate, loss in ends.items())
    line = f"Mean squared error after {steps} steps, or where a path passes 1e6: {told}."
    return Shown(figure, [line], {"losses": ends})


def _surface(x: Tensor, target: Tensor, grid: int) -> go.Figure:
    """Lines of equal loss over both weights."""
    recurrent, read = np.linspace(0.0, 1.2, grid), np.linspace(-0.3, 1.6, grid)
    rows = torch.tensor(np.stack(np.meshgrid(recurrent, read), -1), dtype=torch.float32)
    states = last_state(rows[..., :1], rows[..., 1:], x)  # (G, G, B)
    surface = (states - target).square().mean(-1).numpy()
    figure = go.Figure(
        go.Contour(
            x=recurrent,
            y=read,
            z=np.log10(np.maximum(surface, 1e-9)).round(2),
            zmin=LOWEST,
            zmax=HIGHEST,
            colorscale="Greys_r",
            contours={"start": LOWEST, "end": HIGHEST, "size": 0.5},
            line={"width": 0.5},
            colorbar={"title": "log10 of the loss"},
        )
    )
    figure.update_xaxes(range=[recurrent[0], recurrent[-1]])
    return figure.update_yaxes(range=[read[0], read[-1]])


def descend(rate: float, steps: int, x: Tensor, target: Tensor) -> tuple[np.ndarray, list[float]]:
    """Every point of a path, (steps + 1, 2), and the loss at each; it ends where it leaves."""
    model = OneUnit()
    config = OptimConfig(optimizer="sgd", learning_rate=rate, weight_decay=0.0, schedule="constant")
    optimizer = make_optimizer(model, config, steps)["optimizer"]
    path, losses = [], []
    for _ in range(steps + 1):
        loss = (model(x) - target).square().mean()
        path.append(model.weights.detach().clone().numpy())
        losses.append(loss.item())
        if losses[-1] > 1e6:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return np.stack(path), losses
