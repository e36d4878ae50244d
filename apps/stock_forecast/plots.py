"""The forecast as a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from core.plots import COLORS, style

BANDS = (("0.05", "0.95", "90 %"), ("0.1", "0.9", "80 %"), ("0.25", "0.75", "50 %"))


def quantile_fan(
    prices: pd.DataFrame, forecasts: Sequence[Mapping[str, Any]], ticker: str, days_shown: int = 120
) -> go.Figure:
    """A ticker's last closes and the fan of its forecast.

    Args:
        prices: The table of `load_prices`, up to the day of the forecast.
        forecasts: The items of `forecast --json`.
        ticker: Which one to draw.
        days_shown: Closes drawn before the forecast.
    """
    past = prices[prices["Ticker"] == ticker].tail(days_shown)
    ahead = sorted((f for f in forecasts if f["ticker"] == ticker), key=lambda f: f["horizon"])
    last_date, last_close = past["Date"].iloc[-1], float(past["Close"].iloc[-1])
    dates = [last_date, *(pd.Timestamp(item["date"]) for item in ahead)]
    figure = go.Figure()
    for low, high, name in BANDS:
        lower = [last_close, *(item["quantiles"][low] for item in ahead)]
        upper = [last_close, *(item["quantiles"][high] for item in ahead)]
        figure.add_scatter(
            x=[*dates, *reversed(dates)],
            y=[*upper, *reversed(lower)],
            fill="toself",
            fillcolor=COLORS[0],
            opacity=0.25,
            mode="lines",
            line={"width": 0},
            hoverinfo="skip",
            name=f"{name} of outcomes",
        )
    median = [last_close, *(item["price"] for item in ahead)]
    figure.add_scatter(
        x=dates, y=median, name="median", mode="lines+markers", line={"color": COLORS[1]}
    )
    figure.add_scatter(x=past["Date"], y=past["Close"], name="close", line={"color": COLORS[6]})
    return style(figure, f"{ticker}: the range of prices ahead", "date", "price as traded")
