"""What a training looked like: gradient by lag, score, gradient norm, saturation, outcome."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from core.plots import LINES, NamedCurve, lag_curves, style
from core.ui.page import show_figure
from core.ui.texts import t, translated

Result = Mapping[str, Any]
TICKS = "D2"  # 1, 2 and 5 of each power of ten


def outcome(result: Result) -> None:
    """How a training ended, in words, from what was measured."""
    if "score" not in result:
        st.info(t("lab.stopped", steps=result["steps"]))
        return
    known = {"steps": result["steps"], "metric": translated(result["metric"])}
    if result["score"] is None:
        st.error(t("lab.diverged", **known))
        return
    numbers = {"score": f"{result['score']:.4f}", "baseline": f"{result['baseline']:.4f}"}
    if result["solved"]:
        st.success(t("lab.solved", **known, **numbers))
    else:
        st.warning(t("lab.not_solved", **known, **numbers))


def pictures(results: Mapping[str, Result], key: str, newest: str) -> None:
    """The pictures of one training or of several.

    Args:
        results: By the name that the legend shows.
        key: Unique on the page.
        newest: Whose saturation is shown, gate by gate.
    """
    left, right = st.columns(2)
    with left:
        show_figure(_lags(results), f"{key} lags")
        show_figure(_norms(results), f"{key} norms")
    with right:
        show_figure(_scores(results), f"{key} scores")
        if newest in results:
            show_figure(_saturation(results[newest]), f"{key} saturation")


def _lags(results: Mapping[str, Result]) -> go.Figure:
    """Gradient by lag now; of a single training also that before it."""
    curves = [
        NamedCurve(
            name if curve["trained"] else f"{name}, {t('lab.before')}",
            curve["state"],
            curve["lag"],
            curve["norm"],
        )
        for name, result in results.items()
        for curve in result["lags"]
        if curve["trained"] or len(results) == 1
    ]
    figure = lag_curves(curves, t("lab.gradient_by_lag"))
    return figure.update_layout(xaxis_title=t("lab.lag"), yaxis_title=t("lab.norm_over_lag_1"))


def _scores(results: Mapping[str, Result]) -> go.Figure:
    figure = _series({name: result["curve"] for name, result in results.items()})
    first = next(iter(results.values()))
    longest = max(result["max_steps"] for result in results.values())
    figure.add_scatter(
        x=[0, longest],
        y=[first["baseline"]] * 2,
        name=t("lab.without_reading"),
        mode="lines",
        line={"dash": "dot", "color": "#808080"},
    )
    if first["experiment"]["task"] != "temporal_order":
        figure.update_yaxes(type="log", exponentformat="power", dtick=TICKS)
    return style(figure, t("lab.score"), t("lab.optimiser_step"), translated(first["metric"]))


def _norms(results: Mapping[str, Result]) -> go.Figure:
    figure = _series({name: result["norms"] for name, result in results.items()})
    figure.update_yaxes(type="log", exponentformat="power", dtick=TICKS)
    return style(figure, t("lab.norm"), t("lab.optimiser_step"), t("lab.l2_norm"))


def _saturation(result: Result) -> go.Figure:
    series = {
        gate: [(step, 100 * share) for step, share in points]
        for gate, points in result["saturation"].items()
    }
    figure = _series(series)
    figure.update_yaxes(range=[0, 100])
    return style(figure, t("lab.saturation"), t("lab.optimiser_step"), t("lab.share_stuck"))


def _series(series: Mapping[str, Any]) -> go.Figure:
    figure = go.Figure()
    for line, (name, points) in zip(LINES, series.items(), strict=False):
        figure.add_scatter(
            x=[step for step, _ in points],
            y=[value for _, value in points],
            name=name,
            mode="lines+markers",
            line={**line, "width": 2},
        )
    return figure
