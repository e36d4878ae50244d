"""The visitor's own prices: check them, train on them."""

import streamlit as st

from apps.stock_forecast.pages.opened import Opened
from apps.stock_forecast.pages.uploads import ask_for_files, read_upload
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
    upload = ask_for_files(run.runs)
    if upload is None:
        show_last_decision(run.runs)
        return
    table = read_upload(upload)
    if table is None:
        return
    by_ticker = table.groupby("Ticker", observed=True)["Date"].agg(["min", "max", "count"])
    if "News" in table:
        by_ticker["news"] = table.groupby("Ticker", observed=True)["News"].sum()
    st.dataframe(
        [
            {
                t("stock.ticker"): str(ticker),
                t("stock.column_from"): row["min"].date(),
                t("stock.column_to"): row["max"].date(),
                t("stock.column_rows"): int(row["count"]),
                **({t("stock.column_news"): int(row["news"])} if "news" in row else {}),
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
        words = training_words(str(upload.prices), run.runs / new_run_name("gru"), *upload.words)
        target, kind = "apps.stock_forecast.train:train", "stock.training_own"
        start_training(run.runs, target, words, kind, upload.remove)
    if run.lacks_news(table):
        right.caption(t("stock.needs_news"))
    elif right.button(t("common.go_on"), width="stretch"):
        out = run.runs / new_run_name("retrained")
        words = training_words(str(upload.prices), run.path, f"--out={out}", *upload.words)
        target, kind = "apps.stock_forecast.train:retrain", "stock.retraining"
        start_training(run.runs, target, words, kind, upload.remove)
