"""The range ahead of a ticker, from today or from a past day, beside the classical models."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import NumberColumn

from apps.stock_forecast.as_of import classical_forecasts, forecast_rows, known_on
from apps.stock_forecast.baselines import BASELINES
from apps.stock_forecast.pages.opened import Opened, baselines_of
from apps.stock_forecast.pages.uploads import ask_for_files, read_upload
from apps.stock_forecast.plots import fan_and_outcome, mark_news, overlay_ranges, quantile_fan
from core.ui.page import show_error, show_figure
from core.ui.texts import literally, t
from data.price_cache import default_cache_dir
from data.yahoo import load_yahoo

SOURCES = ("run", "cached", "own", "yahoo")


def show(run: Opened) -> None:
    """The view."""
    st.caption(t("stock.meaning"))
    source = st.segmented_control(
        t("stock.source"),
        SOURCES,
        default="run",
        format_func=lambda name: t(f"stock.source_{name}"),
        key="price source",
    )
    try:
        table = _prices(run, source or "run")
    except (OSError, ValueError) as error:
        show_error(error)
        return
    if table is None:
        return
    if run.lacks_news(table):
        st.warning(t("stock.needs_news"))
        return
    _forecast(run, table)


def _prices(run: Opened, source: str) -> pd.DataFrame | None:
    """The prices of the chosen source; None where the visitor has yet to say which."""
    match source:
        case "own":
            upload = ask_for_files(run.runs)
            return None if upload is None else read_upload(upload)
        case "cached":
            names = sorted(file.stem for file in default_cache_dir().glob("*.parquet"))
            if not names:
                st.info(t("stock.nothing_cached"))
                return None
            chosen = st.multiselect(t("stock.tickers"), names, default=names[:1])
            return load_yahoo(chosen, offline=True) if chosen else None
        case "yahoo":
            with st.form("yahoo"):
                symbols = st.text_input(t("stock.symbols"), "AAPL,MSFT", max_chars=200)
                if st.form_submit_button(t("stock.fetch")):
                    st.session_state["yahoo symbols"] = symbols
            wanted = st.session_state.get("yahoo symbols")
            if wanted is None:
                return None
            with st.spinner(t("stock.fetching")):
                return _download(wanted)
    return run.table


@st.cache_data(max_entries=8, ttl=3600, show_spinner=False)
def _download(symbols: str) -> pd.DataFrame:
    return load_yahoo(symbols.split(","))


def _forecast(run: Opened, table: pd.DataFrame) -> None:
    """Ticker, day, picture and table."""
    left, right = st.columns([1, 2])
    tickers = list(dict.fromkeys(table["Ticker"].astype(str)))
    ticker = left.selectbox(t("stock.ticker"), tickers, key="ticker")
    own = table[table["Ticker"] == ticker]
    context = run.forecaster.run.config["windows"]["context_length"]
    days = own["Date"].iloc[context - 1 :]
    if not len(days):
        st.warning(t("stock.too_young", ticker=literally(ticker), rows=len(own), needed=context))
        return
    first, last = days.iloc[0].date(), days.iloc[-1].date()
    asked = last
    if first < last:
        asked = right.slider(
            t("stock.as_of"), first, last, last, help=t("stock.as_of_help"), key=f"day {ticker}"
        )
    chosen = st.multiselect(
        t("stock.beside"),
        BASELINES,
        format_func=_model_name,
        placeholder=t("stock.beside_none"),
        key="beside the fan",
    )
    day = days[days <= pd.Timestamp(asked)].iloc[-1]
    known = known_on(table, day)
    result = _told(run, known, ticker)
    _say_what_it_saw(run, day.date())
    others = _others(run, known, ticker, chosen)
    _picture(table, known, result, ticker, others)
    _table(result, ticker)


def _told(run: Opened, known: pd.DataFrame, ticker: str) -> dict[str, Any]:
    with st.spinner(t("stock.forecasting")):
        return run.forecaster.forecast(known, [ticker])


def _others(
    run: Opened, known: pd.DataFrame, ticker: str, chosen: list[str]
) -> Mapping[str, list[dict[str, Any]]]:
    """The classical models' ranges; they are fitted when first asked for."""
    if not chosen:
        return {}
    with st.spinner(t("stock.fitting")):
        found = classical_forecasts(run.forecaster, baselines_of(run.path), known, ticker)
    return {_model_name(name): found[name] for name in chosen}


def _say_what_it_saw(run: Opened, day: date) -> None:
    """Whether the chosen day was seen in training."""
    prices = run.forecaster.run.preprocessor["prices"]
    if str(day) < prices["validation_start"]:
        st.info(t("stock.in_training", until=prices["validation_start"]))
    elif str(day) < prices["test_start"]:
        st.info(t("stock.in_validation", until=prices["test_start"]))


def _picture(
    table: pd.DataFrame,
    known: pd.DataFrame,
    result: dict[str, Any],
    ticker: str,
    others: Mapping[str, list[dict[str, Any]]],
) -> None:
    forecasts = [item for item in result["forecasts"] if item["ticker"] == ticker]
    if len(known) < len(table):
        figure = fan_and_outcome(table, forecasts, ticker, result["as_of"])
    else:
        figure = quantile_fan(known, forecasts, ticker)
    own = known[known["Ticker"] == ticker]
    if "News" in own:
        mark_news(figure, own)
    overlay_ranges(figure, others, [item["date"] for item in forecasts])
    figure.update_layout(height=520)
    show_figure(figure, "fan", name=f"{ticker}-{result['as_of']}")
    st.caption(t("stock.png"))


def _table(result: dict[str, Any], ticker: str) -> None:
    rows = forecast_rows(result, ticker)
    st.dataframe(
        [
            {
                t("stock.column_days"): row["horizon"],
                t("stock.column_date"): row["date"],
                t("stock.column_median"): row["q0.5"],
                t("stock.column_50"): f"{row['q0.25']:.2f} \u2013 {row['q0.75']:.2f}",
                t("stock.column_80"): f"{row['q0.1']:.2f} \u2013 {row['q0.9']:.2f}",
                t("stock.column_90"): f"{row['q0.05']:.2f} \u2013 {row['q0.95']:.2f}",
            }
            for row in rows
        ],
        hide_index=True,
        column_config={t("stock.column_median"): NumberColumn(format="%.2f")},
    )
    st.download_button(
        t("stock.csv"),
        pd.DataFrame(rows).to_csv(index=False),
        f"forecast-{ticker}-{result['as_of']}.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _model_name(name: str) -> str:
    return t(f"stock.model_{name}")
