"""The visitor's own prices: check them, train on them."""

import streamlit as st

from apps.stock_forecast.pages.opened import Opened
from apps.stock_forecast.pages.uploads import ask_for_prices, read_upload
from core.ui.page import show_error
from core.ui.texts import t
from core.ui.training import (
    is_training,
    new_run_name,
    show_last_decision,
    start_training,
    training_words,
)


def show(run: Opened) -> None:
    """The view."""
    st.markdown(t("stock.own_data_about"))
    path = ask_for_prices(run.runs)
    if path is None:
        show_last_decision(run.runs)
        return
    try:
        with st.spinner(t("stock.reading")):
            table = read_upload(path)
    except (OSError, ValueError) as error:
        show_error(error)
        return
    by_ticker = table.groupby("Ticker", observed=True)["Date"].agg(["min", "max", "count"])
    st.dataframe(
        [
            {
                t("stock.ticker"): str(ticker),
                t("stock.column_from"): row["min"].date(),
                t("stock.column_to"): row["max"].date(),
                t("stock.column_rows"): int(row["count"]),
            }
            for ticker, row in by_ticker.iterrows()
        ],
        hide_index=True,
    )
    if is_training(run.runs):
        st.caption(t("common.already_training"))
        return
    left, right = st.columns(2)
    if left.button(t("common.train_new"), width="stretch"):
        new = training_words(str(path), run.runs / new_run_name("gru"))
        start_training(
            run.runs, "apps.stock_forecast.train:train", new, "stock.training_own", [path]
        )
    if right.button(t("common.go_on"), width="stretch"):
        out = run.runs / new_run_name("retrained")
        more = training_words(str(path), run.path, f"--out={out}")
        start_training(
            run.runs, "apps.stock_forecast.train:retrain", more, "stock.retraining", [path]
        )
