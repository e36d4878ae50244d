"""A run's scores beside the classical baselines', on its test part or on other prices."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from apps.stock_forecast.baselines import Baselines
from apps.stock_forecast.datamodule import PriceDataModule, read_table
from apps.stock_forecast.inference import APP, Engine, StockForecaster
from apps.stock_forecast.predicting import Compute, predict
from apps.stock_forecast.row_scores import Outcomes, Scores, score
from apps.stock_forecast.score_report import report
from apps.stock_forecast.score_table import table
from core.champions import champion
from core.cli import verb
from core.runs import load_run
from data.windows import Rows


def score_model(model: Compute, datamodule: PriceDataModule, rows: Rows) -> Scores:
    """Score a network on the given rows."""
    return score_rows(predict(model, datamodule, rows), datamodule, rows)


def score_rows(quantiles: Tensor, datamodule: PriceDataModule, rows: Rows) -> Scores:
    """Score quantile forecasts, (B, P, Q), that were made from the given rows."""
    outcomes = Outcomes.of(datamodule, datamodule, rows)
    return score(quantiles, outcomes, datamodule.config.horizons)


def predict_baselines(
    training: PriceDataModule, datamodule: PriceDataModule, rows: Rows
) -> dict[str, Tensor]:
    """Quantiles of the baselines, fitted on the training part, each (B, P, Q)."""
    horizons = datamodule.config.horizons
    baselines = Baselines(training.history, training.fitted.validation_start, horizons)
    forecasts = baselines.forecast(datamodule.history, rows)
    return {name: torch.from_numpy(quantiles) for name, quantiles in forecasts.items()}


@verb(table)
def evaluate(
    run: Path | None = None,
    data: str | None = None,
    news: Path | None = None,
    offline: bool = False,
    engine: Engine = "torch",
) -> dict[str, Any]:
    """Score a run and the classical baselines.

    Args:
        run: The run folder; left out: runs/stock_forecast/champion.
        data: Other prices, of which every date after the run's training and validation is scored;
            left out: the run's own test part.
        news: Dated texts to the data, where the run was trained with some.
        offline: Never ask Yahoo; read what `fetch` has cached.
        engine: As for `forecast`.
    """
    opened = load_run(champion(APP, run), APP)
    training = PriceDataModule.from_run(opened)
    if data is None:
        datamodule, rows = training, training.rows("test")
    else:
        datamodule = PriceDataModule.from_run(opened, read_table(data, news, offline))
        after = training.fitted.known_until + np.timedelta64(1, "D")
        rows = datamodule.rows_after(after)
        if not len(rows):
            raise ValueError(
                f"{data}: no date after {training.fitted.known_until} with "
                f"{datamodule.config.context_length} days before it and an outcome; add data"
            )
    forecaster = StockForecaster.from_run(opened, engine)
    forecasts = {
        "model": predict(forecaster.compute, datamodule, rows),
        **predict_baselines(training, datamodule, rows),
    }
    outcomes = Outcomes.of(training, datamodule, rows)
    return report(forecasts, outcomes, datamodule.config.horizons)
