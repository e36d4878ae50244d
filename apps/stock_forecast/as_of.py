"""What a run and the classical models said on a day, and how often they were right."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from apps.stock_forecast.baselines import Baselines
from apps.stock_forecast.datamodule import PriceDataModule
from apps.stock_forecast.evaluate import predict_baselines
from apps.stock_forecast.inference import StockForecaster
from apps.stock_forecast.predicting import predict
from apps.stock_forecast.row_scores import Outcomes
from apps.stock_forecast.score_report import report
from core.nn.forecaster import LEVELS

Shares = dict[str, dict[str, list[float]]]


def known_on(table: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """The rows up to a day, that day among them: all that a forecast of that day may read."""
    return table[table["Date"] <= day]


def fit_baselines(forecaster: StockForecaster) -> Baselines:
    """The classical models, fitted on the run's training part."""
    training = PriceDataModule.from_run(forecaster.run)
    return Baselines(training.history, training.fitted.validation_start, training.config.horizons)


def classical_forecasts(
    forecaster: StockForecaster, baselines: Baselines, table: pd.DataFrame, ticker: str
) -> dict[str, list[dict[str, Any]]]:
    """The classical models' forecasts of a ticker from its last day.

    Args:
        forecaster: Whose run says how prices are read.
        baselines: As `fit_baselines` gives them.
        table: What is known, as `known_on` gives it.
        ticker: Which one.

    Returns:
        By model, items as those of `StockForecaster.forecast`, in the order of the horizons.
    """
    history = PriceDataModule.from_run(forecaster.run, table).history
    own = history.ticker == list(history.tickers).index(ticker)
    row = np.flatnonzero(own & (history.remaining() == 0))
    found = baselines.forecast(history, row)
    return {
        name: [
            {
                "ticker": ticker,
                "horizon": horizon,
                "price": float(history.close[row[0]] * np.exp(quantiles[0, p, LEVELS.index(0.5)])),
                "quantiles": {
                    f"{level:g}": float(history.close[row[0]] * np.exp(quantile))
                    for level, quantile in zip(LEVELS, quantiles[0, p], strict=True)
                },
            }
            for p, horizon in enumerate(baselines.horizons)
        ]
        for name, quantiles in found.items()
    }


@dataclass(frozen=True)
class TestPart:
    """How a run did on its own test part.

    Attributes:
        scores: What `evaluate --json` prints.
        below: Share of the outcomes below each quantile of `LEVELS`, by horizon and forecaster.
    """

    scores: dict[str, Any]
    below: Shares


def judge(forecaster: StockForecaster) -> TestPart:
    """Score a run beside the classical models on its own test part."""
    datamodule = PriceDataModule.from_run(forecaster.run)
    rows = datamodule.rows("test")
    forecasts = {
        "model": predict(forecaster.compute, datamodule, rows),
        **predict_baselines(datamodule, datamodule, rows),
    }
    outcomes = Outcomes.of(datamodule, datamodule, rows)
    horizons = datamodule.config.horizons
    below: Shares = {}
    for p, horizon in enumerate(horizons):
        target = outcomes.target[:, p]
        known = np.isfinite(target)
        below[str(horizon)] = {
            name: (target[known, None] <= quantiles[known, p].numpy()).mean(axis=0).tolist()
            for name, quantiles in forecasts.items()
        }
    return TestPart(report(forecasts, outcomes, horizons), below)


def forecast_rows(result: Mapping[str, Any], ticker: str) -> list[dict[str, Any]]:
    """A ticker's forecasts as flat rows, for a table or a file.

    Args:
        result: What `StockForecaster.forecast` gives.
        ticker: Which one.
    """
    return [
        {
            "ticker": ticker,
            "as_of": result["as_of"],
            "horizon": item["horizon"],
            "date": item["date"],
            **{f"q{level}": value for level, value in item["quantiles"].items()},
        }
        for item in result["forecasts"]
        if item["ticker"] == ticker
    ]
