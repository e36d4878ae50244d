"""The forecaster's page: the range of prices ahead, how good it was, and your own prices."""

import sys
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from apps.stock_forecast.pages import ahead, judged, opened, own_data
from core.ui.page import show_error, show_page
from core.ui.runs import choose_run
from core.ui.texts import t
from core.ui.training import new_run_name, start_training, watch_training

SMALL = Path(__file__).with_name("configs") / "small.yaml"
VIEWS: dict[str, Callable[[opened.Opened], None]] = {
    "ahead": ahead.show,
    "judged": judged.show,
    "own_data": own_data.show,
}


def body() -> None:
    """First start, or the view that was chosen."""
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    runs = opened.runs_folder(given)
    is_training = watch_training(runs)
    path = choose_run(runs, "stock_forecast", given)
    if path is None:
        first_start(runs, is_training)
        return
    names = list(VIEWS)
    chosen = st.segmented_control(
        t("stock.view"),
        names,
        default=names[0],
        format_func=lambda name: t(f"stock.{name}"),
        label_visibility="collapsed",
        key="stock view",
    )
    try:
        run = opened.open_run(path, runs)
    except (OSError, ValueError) as error:
        show_error(error)
        st.info(t("stock.choose_another"))
        return
    VIEWS[chosen or names[0]](run)


def first_start(runs: Path, is_training: bool) -> None:
    """Nothing is trained yet: offer the sample."""
    st.markdown(t("stock.first_start"))
    if not is_training and st.button(t("stock.train_sample"), type="primary"):
        words = [
            "--data=sample",
            f"--run={runs / new_run_name('gru')}",
            f"--config={SMALL}",
            "--trainer.progress=false",
        ]
        start_training(runs, "apps.stock_forecast.train:train", words, "stock.training")


show_page("stock.title", body)
