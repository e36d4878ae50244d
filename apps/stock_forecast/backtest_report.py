"""What a walk forward leaves for people: one HTML page with tables and plots."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from apps.stock_forecast.plots import (
    coverage_bars,
    equity_curves,
    fan_and_outcome,
    reliability,
    score_by_fold,
)
from apps.stock_forecast.portfolio import NOTE, portfolio_table
from apps.stock_forecast.row_scores import REGIMES
from apps.stock_forecast.score_table import table as score_table
from apps.stock_forecast.walking import Walked
from core.comparison import align
from core.nn.forecaster import LEVELS
from core.reporting import Section, write_report

SMALLEST_SHOWN = 0.001  # of a p value
COLUMNS = {
    "crps": "CRPS",
    "mae": "MAE",
    "mase": "MASE",
    "coverage_50": "50 % in",
    "coverage_80": "80 % in",
    "coverage_90": "90 % in",
    "width_50": "50 % wide",
    "width_80": "80 % wide",
    "width_90": "90 % wide",
    "directional_accuracy": "direction",
    "rank_ic": "rank IC",
}


def write_walk(
    path: Path,
    result: dict[str, Any],
    walked: Sequence[Walked],
    prices: pd.DataFrame,
    curves: pd.DataFrame,
) -> None:
    """Write the page.

    Args:
        path: The HTML file.
        result: What `backtest --json` prints.
        walked: The folds.
        prices: The table of `load_prices`.
        curves: Value of the toy portfolios.
    """
    write_report(
        path,
        "Price ranges: the walk forward",
        [
            score_section(result),
            test_section(result),
            every_score_section(result),
            fold_section(result),
            calibration_section(result, walked),
            fan_section(walked, prices, result["horizons"]),
            portfolio_section(result["portfolio"], curves),
        ],
    )


def fold_section(result: dict[str, Any]) -> Section:
    """The dates of the folds, and CRPS by fold."""
    folds = result["folds"]
    columns = ("fold", "train_start", "validation_start", "embargo_start", "test_start", "test_end")
    header = [*columns, "num_train", "num_test", "CRPS / random walk"]
    lines = [header]
    for fold in folds:
        cells = [str(fold[name]) for name in (*columns, "num_train", "num_test")]
        lines.append([*cells, f"{fold['crps_relative']['model']:.3f}"])
    names = folds[0]["crps_relative"]
    scores = {name: [fold["crps_relative"][name] for fold in folds] for name in names}
    text = (
        "Each fold learns from the days before its embargo alone: network, scaler, fan and "
        "baselines. No example is learned from whose outcome reaches past its part (purge), and "
        "nothing of the embargo, which is as long as the longest horizon; the width alone follows "
        "what was known at each day's close (rolling calibration). Below: CRPS over the random "
        "walk's in the same fold, on the mean of the horizons."
    )
    start = [fold["test_start"] for fold in folds]
    figure = score_by_fold(start, scores, "CRPS over the random walk's")
    return Section("Folds", text, align(lines), [figure], folds)


def calibration_section(result: dict[str, Any], walked: Sequence[Walked]) -> Section:
    """How often outcomes lay below each quantile and inside the intervals."""
    below = calibration(walked, result["horizons"])
    everybody = {"model": result, **result["baselines"]}
    covered = {name: scores["coverage_80"] for name, scores in everybody.items()}
    by_regime = {
        f"{name} days": result["by_regime"][name]["coverage_80"]
        for name in REGIMES
        if name in result["by_regime"]
    }
    figures = [
        reliability(LEVELS, below),
        coverage_bars(covered, 0.8, "by forecaster"),
        coverage_bars(by_regime, 0.8, "the model by volatility"),
    ]
    text = (
        "A forecast is calibrated where a tenth of the outcomes lies below its 10 % quantile, and "
        "so on: the lines follow the diagonal, the bars reach the dashed line. Calm, usual and "
        "rough days are the thirds of the trailing volatility in each fold's training part."
    )
    return Section("Calibration", text, "", figures, below)


def calibration(walked: Sequence[Walked], horizons: Sequence[int]) -> dict[str, list[float]]:
    """Share of the outcomes below each of the model's quantiles, by horizon."""
    shares = {}
    for p, horizon in enumerate(horizons):
        target = np.concatenate([one.outcomes.target[:, p] for one in walked])
        quantiles = np.concatenate([one.forecasts["model"][:, p].numpy() for one in walked])
        known = np.isfinite(target)
        below = target[known, None] <= quantiles[known]  # (B, Q)
        shares[str(horizon)] = below.mean(axis=0).tolist()
    return shares


def fan_section(walked: Sequence[Walked], prices: pd.DataFrame, horizons: Sequence[int]) -> Section:
    """One forecast of the middle fold's first day, and what came."""
    one = walked[len(walked) // 2]
    ticker, as_of = str(one.outcomes.ticker[0]), one.outcomes.day[0]
    own = prices[prices["Ticker"] == ticker]
    own = own[own["Date"] >= pd.Timestamp(as_of)]
    known = [p for p, horizon in enumerate(horizons) if horizon < len(own)]
    close = float(own["Close"].iloc[0])
    quantiles = close * np.exp(one.forecasts["model"][0].numpy())  # (P, Q)
    forecasts = [
        {
            "ticker": ticker,
            "horizon": horizons[p],
            "date": str(own["Date"].iloc[horizons[p]].date()),
            "price": float(quantiles[p, LEVELS.index(0.5)]),
            "quantiles": {
                f"{level:g}": float(q) for level, q in zip(LEVELS, quantiles[p], strict=True)
            },
        }
        for p in known
    ]
    figure = fan_and_outcome(prices, forecasts, ticker, str(as_of))
    text = "An example, chosen by its place and not by its outcome: the middle fold's first row."
    return Section("A forecast", text, "", [figure], forecasts)


def portfolio_section(portfolio: dict[str, Any], curves: pd.DataFrame) -> Section:
    """The toy portfolios."""
    text = (
        f"{NOTE} Tickers are ranked by the {portfolio['ranked_by']} {portfolio['horizon']} days "
        f"ahead: long_only holds the best third in equal parts; long_short holds it with half of "
        "the value and sells the worst third short with the other; both trade "
        f"{portfolio['rebalance']}, at {portfolio['cost']:g} basis points of what is bought and "
        "sold. buy_and_hold buys "
        "all in equal parts once. Sharpe is without an interest rate; turnover is what is bought "
        "and sold a year, over the portfolio's value."
    )
    title = "Toy portfolios (illustration)"
    numbers = {name: curves[name].tolist() for name in curves}
    dates = [str(day.date()) for day in curves.index]
    return Section(
        title,
        text,
        portfolio_table(portfolio),
        [equity_curves(curves)],
        {"date": dates, **numbers},
    )


def score_section(result: dict[str, Any]) -> Section:
    """The model beside all baselines, with intervals and tests."""
    text = (
        "All folds' forecasts together. CRPS and MAE are in log-return units, MASE is MAE over "
        "the training part's naive one, coverage is the share of outcomes inside the interval. "
        "Prices are close to a random walk: what a model can win is the range and its calibration."
    )
    return Section("Scores", text, score_table(result))


def every_score_section(result: dict[str, Any]) -> Section:
    """Every score by horizon, the model above all baselines."""
    tables = []
    for horizon in map(str, result["horizons"]):
        lines = [[f"h={horizon}", *COLUMNS.values()]]
        for name, scores in {"model": result, **result["baselines"]}.items():
            lines.append([name, *(_score_cell(scores[metric][horizon]) for metric in COLUMNS)])
        tables.append(align(lines))
    text = "in: share of outcomes inside the central interval; wide: its width in log returns."
    return Section("Every score", text, "\n\n".join(tables))


def _score_cell(value: float) -> str:
    return f"{value:.4f}" if np.isfinite(value) else "-"


def test_section(result: dict[str, Any]) -> Section:
    """The Diebold-Mariano tests of CRPS."""
    names = [str(horizon) for horizon in result["horizons"]]
    lines = [["against", *(f"h={name}: statistic (p)" for name in names)]]
    for baseline, tests in result["dm"].items():
        lines.append([baseline, *(_test_cell(tests[name]) for name in names)])
    lags = next(iter(result["dm"].values()))
    used = ", ".join(f"{lags[name]['lag']} at {name}" for name in names)
    text = (
        "Whether the model's CRPS differs from a baseline's by more than chance: below zero the "
        f"model is better. Losses are averaged over tickers by day; lags in days: {used}. The p "
        "values are two-sided and not corrected for the number of tests."
    )
    return Section("Diebold-Mariano tests", text, align(lines), numbers=result["dm"])


def _test_cell(test: dict[str, Any]) -> str:
    if test["reason"]:
        return f"- ({test['reason']})"
    p = test["p_value"]
    return f"{test['statistic']:.2f} ({'<.001' if p < SMALLEST_SHOWN else f'{p:.3f}'})"
