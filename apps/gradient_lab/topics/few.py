"""Learning by heart: regularisers and early stopping where there are few rows."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from apps.gradient_lab import plots
from apps.gradient_lab.ablate import Remedy, model, optim
from apps.gradient_lab.recipes import recipe
from apps.gradient_lab.topics.fitting import Curve, fit_few
from apps.gradient_lab.topics.shown import Shown, each, means
from core.plots import COLORS

LENGTH = 10
EVERY = 10  # steps between two looks
PATIENCE = 5  # looks without a lower validation loss after which a training stops
REMEDIES = {
    "nothing": Remedy("none", lambda job: job),
    "dropout 0.3": model("of the first layer's outputs", dropout=0.3),
    "weight drop 0.3": model("of the recurrent matrices", weight_drop=0.3),
    "zoneout 0.1": model("of the states", zoneout=0.1),
    "L2 0.001": optim("on the matrices", l2=1e-3),
    "weight decay 0.3": optim("of the matrices", weight_decay=0.3),
}


def regularisation(*, rows: int = 128, steps: int = 400, seeds: int = 3) -> Shown:
    """Loss on few training rows and on others, with each regulariser alone.

    Args:
        rows: To learn from, at least 32.
        steps: Of the optimiser, a multiple of 100.
        seeds: Of weights, rows and order.
    """
    gaps = {}
    train, val = {}, {}
    for name, remedy in REMEDIES.items():
        curves = [_few(remedy, rows, steps, seed, 100) for seed in range(seeds)]
        train[name] = [curve.train[-1] for curve in curves]
        val[name] = [curve.val[-1] for curve in curves]
        gaps[name] = [v - t for v, t in zip(val[name], train[name], strict=True)]
    title = f"Temporal order, {rows} rows, a fifth of the labels random: regularisers"
    figure = plots.seed_dots(
        val, title, "cross-entropy (nats) on rows not trained on", "regulariser"
    )
    figure.add_scatter(
        x=[float(np.mean(seen)) for seen in train.values()],
        y=list(train),
        mode="markers",
        name="mean on the rows trained on",
        marker={"symbol": "line-ns-open", "size": 16, "color": COLORS[1], "line": {"width": 3}},
    )
    lines = [
        f"Cross-entropy (nats) on rows not trained on, after {steps} steps: {each(val)}.",
        f"Its distance to that on the rows trained on: {each(gaps)}.",
    ]
    return Shown(figure, lines, {"train": train, "val": val})


def early_stopping(*, rows: int = 128, steps: int = 400, seeds: int = 3) -> Shown:
    """Both losses of a training that learns by heart, and where patience would end it.

    Each is trained to the end, so that the figure shows what a stop spares; the stop is marked
    afterwards, where Lightning's EarlyStopping, which `train` uses, ends it.

    Args:
        rows: To learn from, at least 32.
        steps: Of the optimiser, a multiple of 100.
        seeds: Of weights, rows and order.
    """
    curves = [_few(REMEDIES["nothing"], rows, steps, seed, EVERY) for seed in range(seeds)]
    figure = plots.seed_lines(
        {
            "rows trained on": [(curve.steps, curve.train) for curve in curves],
            "other rows": [(curve.steps, curve.val) for curve in curves],
        },
        f"Temporal order, {rows} rows, a fifth of the labels random: early stopping",
        "optimiser step",
        "cross-entropy (nats)",
    )
    stops = [stop_of(curve.val, PATIENCE) for curve in curves]
    best = [
        int(np.argmin(curve.val[: stop + 1])) for curve, stop in zip(curves, stops, strict=True)
    ]
    _mark(figure, curves, "kept weights", best, "circle")
    _mark(figure, curves, "stop", stops, "x")
    kept = [curve.val[place] for curve, place in zip(curves, best, strict=True)]
    ends = [curve.val[-1] for curve in curves]
    lines = [
        f"Patience of {PATIENCE} looks stops at step "
        f"{', '.join(str(c.steps[s]) for c, s in zip(curves, stops, strict=True))}.",
        f"Validation loss: {means({'of the weights kept': kept, 'at the end': ends})}.",
    ]
    return Shown(figure, lines, {"kept": kept, "end": ends, "stops": stops})


def _mark(
    figure: go.Figure, curves: Sequence[Curve], name: str, looks: Sequence[int], symbol: str
) -> None:
    """A mark on each validation curve."""
    figure.add_scatter(
        x=[curve.steps[look] for curve, look in zip(curves, looks, strict=True)],
        y=[curve.val[look] for curve, look in zip(curves, looks, strict=True)],
        name=name,
        mode="markers",
        marker={"symbol": symbol, "size": 11, "color": "#000000"},
    )


def stop_of(losses: list[float], patience: int) -> int:
    """The look after which EarlyStopping ends: so many in a row were no better than the best."""
    best = 0
    for look, loss in enumerate(losses):
        if loss < losses[best]:
            best = look
        elif look - best >= patience:
            return look
    return len(losses) - 1


def _few(remedy: Remedy, rows: int, steps: int, seed: int, every: int) -> Curve:
    job = recipe("temporal_order", LENGTH, "lstm", "forget", seed=seed, max_steps=steps)
    return fit_few(
        remedy.apply(model("two small layers", num_layers=2, hidden_size=32).apply(job)),
        rows,
        every,
    )
