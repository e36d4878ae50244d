"""How good the ranges were: the run's own test part, and the walk forward."""

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any, TypeVar

import streamlit as st
from streamlit.column_config import NumberColumn

from apps.stock_forecast.pages.opened import Opened
from apps.stock_forecast.pages.opened import judged as judged_run
from apps.stock_forecast.plots import coverage_bars, reliability, score_by_fold
from apps.stock_forecast.portfolio import NOTE
from core.nn.forecaster import LEVELS
from core.ui.page import show_figure
from core.ui.texts import literally, t
from core.ui.training import is_training, new_run_name, start_training

PARTS = {"folds", "coverage_80", "baselines", "dm", "portfolio"}  # of a back-test's figures
Value = TypeVar("Value")


def show(run: Opened) -> None:
    """The view."""
    st.subheader(t("stock.test_part"), anchor=False)
    st.caption(t("stock.test_part_about"))
    with st.spinner(t("stock.judging")):
        found = judged_run(run.path)
    _scores(found.scores)
    horizons = list(found.below)
    horizon = st.segmented_control(
        t("stock.horizon"), horizons, default=horizons[0], key="horizon of the calibration"
    )
    figure = reliability(LEVELS, _named(found.below[horizon or horizons[0]]), prefix="")
    show_figure(figure, "calibration")
    covered = _covered(found.scores)
    show_figure(coverage_bars(covered, 0.8, t("stock.by_model")), "coverage")
    st.divider()
    _walk(run)


def _scores(scores: dict[str, Any]) -> None:
    """CRPS by horizon over that of the random walk, the model first."""
    naive = scores["baselines"]["random_walk"]["crps"]
    everybody = {"model": scores, **scores["baselines"]}
    st.dataframe(
        [
            {
                t("stock.column_model"): t(f"stock.model_{name}"),
                **{
                    t("stock.column_crps", days=horizon): own["crps"][horizon] / value
                    for horizon, value in naive.items()
                },
                t("stock.column_coverage"): 100 * mean(own["coverage_80"].values()),
            }
            for name, own in everybody.items()
        ],
        hide_index=True,
        column_config={
            **{t("stock.column_crps", days=h): NumberColumn(format="%.3f") for h in naive},
            t("stock.column_coverage"): NumberColumn(format="%.1f"),
        },
    )
    st.caption(t("stock.crps_about"))


def _walk(run: Opened) -> None:
    """The newest walk forward, and a button for another."""
    st.subheader(t("stock.backtest"), anchor=False)
    st.caption(t("stock.backtest_about"))
    data = str(run.forecaster.run.config["data"])
    can_read = data == "sample" or data.startswith("yahoo:") or Path(data).exists()
    if can_read and not is_training(run.runs) and st.button(t("stock.start_backtest")):
        words = [f"--data={data}", f"--run={run.runs / new_run_name('backtest')}"]
        target = "apps.stock_forecast.backtest:backtest"
        start_training(run.runs, target, [*words, "--trainer.progress=false"], "stock.backtesting")
    found = _newest_walk(run.runs)
    if found is None:
        st.info(t("stock.no_backtest"))
        return
    folder, result = found
    folds = result["folds"]
    scores = {
        name: [fold["crps_relative"][name] for fold in folds] for name in folds[0]["crps_relative"]
    }
    start = [fold["test_start"] for fold in folds]
    show_figure(score_by_fold(start, _named(scores), t("stock.crps_relative")), "folds")
    covered = _covered(result)
    show_figure(coverage_bars(covered, 0.8, t("stock.by_model")), "walked coverage")
    _tests(result)
    _portfolio(result["portfolio"])
    page = folder / "backtest.html"
    if page.exists():
        st.download_button(
            t("stock.report"),
            page.read_bytes(),
            "backtest.html",
            "text/html",
            icon=":material/download:",
            on_click="ignore",
        )


def _newest_walk(runs: Path) -> tuple[Path, dict[str, Any]] | None:
    """The folder and the figures of the newest walk forward that can be read."""
    walks = sorted(runs.glob("*/backtest.json"), key=lambda path: path.stat().st_mtime)
    for path in reversed(walks):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            result = None
        if isinstance(result, dict) and result.keys() >= PARTS and result["folds"]:
            return path.parent, result
        st.warning(t("stock.backtest_broken", run=literally(path.parent.name)))
    return None


def _covered(scores: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """How often the 80 % range of each forecaster held, by horizon."""
    everybody = {"model": scores, **scores["baselines"]}
    return _named({name: found["coverage_80"] for name, found in everybody.items()})


def _named(by_model: Mapping[str, Value]) -> dict[str, Value]:
    """The forecasters' names as people say them."""
    return {t(f"stock.model_{name}"): value for name, value in by_model.items()}


def _tests(result: dict[str, Any]) -> None:
    """Diebold-Mariano statistics and p values by baseline and horizon."""
    st.caption(t("stock.dm_about"))
    st.dataframe(
        [
            {
                t("stock.column_model"): t(f"stock.model_{name}"),
                **{
                    t("stock.column_dm", days=horizon): (
                        "-"
                        if test["reason"]
                        else f"{test['statistic']:.2f} ({test['p_value']:.3f})"
                    )
                    for horizon, test in tests.items()
                },
            }
            for name, tests in result["dm"].items()
        ],
        hide_index=True,
    )


def _portfolio(portfolio: dict[str, Any]) -> None:
    """The toy portfolios, marked as such."""
    with st.expander(t("stock.portfolio")):
        st.warning(t("stock.portfolio_about"))
        st.caption(literally(NOTE))
        rows = [
            {t("stock.column_portfolio"): name.replace("_", " "), **_rounded(own)}
            for name, own in portfolio.items()
            if isinstance(own, dict)
        ]
        st.dataframe(rows, hide_index=True)


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name.replace("_", " "): round(value, 3)
        for name, value in values.items()
        if isinstance(value, (int, float))
    }
