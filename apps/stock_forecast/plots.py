"""Forecasts, and how a walk forward went, as pictures."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import cycle
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from core.plots import COLORS, LINES, style

BANDS = (("0.05", "0.95", "90 %"), ("0.1", "0.9", "80 %"), ("0.25", "0.75", "50 %"))
OPACITIES = (0.2, 0.3, 0.5)  # of each band; an inner one lies on the outer ones


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
    for (low, high, name), opacity in zip(BANDS, OPACITIES, strict=True):
        lower = [last_close, *(item["quantiles"][low] for item in ahead)]
        upper = [last_close, *(item["quantiles"][high] for item in ahead)]
        figure.add_scatter(
            x=[*dates, *reversed(dates)],
            y=[*upper, *reversed(lower)],
            fill="toself",
            fillcolor=f"rgba(0, 114, 178, {opacity})",  # COLORS[0]
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


def fan_and_outcome(
    prices: pd.DataFrame, forecasts: Sequence[Mapping[str, Any]], ticker: str, as_of: str
) -> go.Figure:
    """A fan that was forecast on a past day, and what came, moved by the adjusted returns.

    Args:
        prices: The table of `load_prices`, also past that day.
        forecasts: As for `quantile_fan`.
        ticker: Which one to draw.
        as_of: The day of the forecast.
    """
    until = prices["Date"] <= pd.Timestamp(as_of)
    figure = quantile_fan(prices[until], forecasts, ticker)
    last = max(pd.Timestamp(f["date"]) for f in forecasts if f["ticker"] == ticker)
    own = prices["Ticker"] == ticker
    later = prices[~until & own & (prices["Date"] <= last)]
    start = prices[until & own].iloc[-1]
    figure.add_scatter(
        x=later["Date"],
        y=later["Adj Close"] * (start["Close"] / start["Adj Close"]),
        name="what came, without splits",
        line={"color": COLORS[6], "dash": "dot"},
    )
    return figure.update_layout(title=f"{ticker}: the range that was forecast on {as_of}")


def overlay_ranges(
    figure: go.Figure,
    others: Mapping[str, Sequence[Mapping[str, Any]]],
    dates: Sequence[str],
    share: tuple[str, str] = ("0.1", "0.9"),
) -> go.Figure:
    """Draw other models' 80 % ranges beside a fan, a pair of lines each.

    Args:
        figure: The fan.
        others: Items like those of `forecast --json`, by model, one a date.
        dates: Of the horizons, ISO.
        share: The two quantiles.
    """
    low, high = share
    for line, (name, items) in zip(LINES[2:], others.items(), strict=False):
        for side, quantile in enumerate((low, high)):
            figure.add_scatter(
                x=list(dates),
                y=[item["quantiles"][quantile] for item in items],
                name=f"{name}, 80 %",
                legendgroup=name,
                showlegend=side == 0,
                mode="lines+markers",
                line={**line, "width": 2},
            )
    return figure


def mark_news(figure: go.Figure, prices: pd.DataFrame, days_shown: int = 120) -> go.Figure:
    """Mark the days on which there were texts about a ticker.

    Args:
        figure: Its price.
        prices: Its rows, with the columns of `data.news.news_by_day`.
        days_shown: Of the last days.
    """
    recent = prices.tail(days_shown)
    told = recent[recent["News"] > 0]
    texts = told["Texts"] if "Texts" in told else pd.Series("", told.index)
    figure.add_scatter(
        x=told["Date"],
        y=told["Close"],
        name="news",
        mode="markers",
        marker={"symbol": "diamond-open", "size": 9, "color": COLORS[3]},
        # plotly reads tags in a text: it is shown letter by letter
        text=[
            f"{int(count)} texts<br>"
            + "<br>".join(escape(text)[:90] for text in day.split("\n")[:3])
            for count, day in zip(told["News"], texts.fillna(""), strict=True)
        ],
        hovertemplate="%{x|%Y-%m-%d}<br>%{text}<extra></extra>",
    )
    return figure


def score_by_fold(
    start: Sequence[str], scores: Mapping[str, Sequence[float]], measure: str
) -> go.Figure:
    """A score of each forecaster by fold, over time.

    Args:
        start: First day that each fold forecasts from.
        scores: One a fold, by forecaster; the first is drawn thick.
        measure: What it is.
    """
    figure = go.Figure()
    for line, (name, values) in zip(LINES, scores.items(), strict=False):
        figure.add_scatter(
            x=start,
            y=values,
            name=name,
            mode="lines+markers",
            line={**line, "width": 1.5 if figure.data else 4},
        )
    return style(figure, f"{measure} by fold", "first day of the fold", measure)


def reliability(
    levels: Sequence[float], below: Mapping[str, Sequence[float]], prefix: str = "h="
) -> go.Figure:
    """How often the outcome lay below a quantile, against how often it should.

    Args:
        levels: Probability of each quantile.
        below: Share of the outcomes that lay below each, by horizon in trading days or by model.
        prefix: Before each name.
    """
    figure = go.Figure()
    for line, (name, shares) in zip(LINES, below.items(), strict=False):
        figure.add_scatter(
            x=[100 * level for level in levels],
            y=[100 * share for share in shares],
            name=f"{prefix}{name}",
            mode="lines+markers",
            line=line,
        )
    figure.add_scatter(
        x=[0, 100], y=[0, 100], name="perfect", mode="lines", line={"color": "#999999", "width": 1}
    )
    figure.update_xaxes(range=[0, 100])
    figure.update_yaxes(range=[0, 100])
    x, y = "level of the quantile (%)", "outcomes below it (%)"
    return style(figure, "Calibration", x, y)


def coverage_bars(
    coverage: Mapping[str, Mapping[str, float]], share: float, whose: str
) -> go.Figure:
    """How often the central interval held the outcome, against how often it should.

    Args:
        coverage: 0 to 1, by name and then by horizon in trading days.
        share: Probability of the interval.
        whose: What the names are.
    """
    figure = go.Figure()
    for color, (name, horizons) in zip(cycle(COLORS), coverage.items(), strict=False):
        figure.add_bar(
            x=list(horizons),
            y=[100 * value for value in horizons.values()],
            name=name,
            marker={"color": color},
        )
    figure.add_hline(y=100 * share, line={"color": "#1a1a1a", "width": 1, "dash": "dash"})
    figure.update_xaxes(type="category")
    figure.update_yaxes(range=[50, 100])
    title = f"Outcomes inside the {100 * share:.0f} % interval, {whose}"
    return style(figure, title, "horizon (trading days)", "outcomes inside (%)")


def equity_curves(curves: pd.DataFrame) -> go.Figure:
    """Value of toy portfolios over time; the title says that they are an illustration.

    Args:
        curves: Value of what was 1 at the start, by date and portfolio.
    """
    figure = go.Figure()
    for color, name in zip(cycle(COLORS), curves.columns, strict=False):
        figure.add_scatter(
            x=curves.index,
            y=curves[name],
            name=name.replace("_", " "),
            line={"color": color, "width": 1.5},
        )
    figure.update_yaxes(type="log")
    title = "Illustration: toy portfolios after costs"
    return style(figure, title, "date", "value of 1 at the start")
