"""One fold of a walk forward: its network, and what it forecast of the days that follow."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from apps.stock_forecast.datamodule import PriceDataModule
from apps.stock_forecast.evaluate import predict_baselines
from apps.stock_forecast.folds import Fold, block_rows
from apps.stock_forecast.inference import StockForecaster
from apps.stock_forecast.predicting import predict
from apps.stock_forecast.row_scores import Outcomes
from apps.stock_forecast.train import Recipe, train_on
from core.nn.forecaster import Forecaster
from core.runs import is_begun, is_finished

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Walked:
    """What was forecast in one fold, and what came.

    Attributes:
        fold: Its dates.
        num_examples: Of the training part.
        scale: Trailing volatility over each horizon, (B, P).
        outcomes: What came after each row, and what the training part compares it with.
        forecasts: Quantiles at LEVELS by forecaster, the model first, each (B, P, Q).
    """

    fold: Fold
    num_examples: int
    scale: NDArray[np.float32]
    outcomes: Outcomes
    forecasts: dict[str, Tensor]


def trained(
    datamodule: PriceDataModule, recipe: Recipe, source: dict[str, Any], run_dir: Path
) -> Forecaster:
    """The network of a fold: trained, gone on with or, where it is finished, read."""
    if is_finished(run_dir):
        logger.info("%s is trained already", run_dir)
        return StockForecaster.load(run_dir).model
    return train_on(datamodule, recipe, source, run_dir, resume=is_begun(run_dir))


def walk_over(network: Forecaster, datamodule: PriceDataModule, fold: Fold) -> Walked:
    """Let the network and the baselines forecast a fold's days."""
    rows = block_rows(datamodule, fold)
    classical = predict_baselines(datamodule, datamodule, rows)
    return Walked(
        fold=fold,
        num_examples=len(datamodule.rows("train")),
        scale=datamodule.scale(rows),
        outcomes=Outcomes.of(datamodule, datamodule, rows),
        forecasts={
            "model": predict(network, datamodule, rows),
            # Halved: a walk over many tickers holds eight forecasters' quantiles at once.
            **{name: quantiles.float() for name, quantiles in classical.items()},
        },
    )
