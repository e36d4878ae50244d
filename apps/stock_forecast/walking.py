"""One fold of a walk forward: its network, and what it forecast of the days that follow."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from apps.stock_forecast.datamodule import PriceDataModule
from apps.stock_forecast.evaluate import predict_baselines
from apps.stock_forecast.folds import Fold, block_rows, fold_data
from apps.stock_forecast.inference import StockForecaster
from apps.stock_forecast.predicting import predict
from apps.stock_forecast.row_scores import Outcomes
from apps.stock_forecast.train import Recipe, train_on
from core.nn.forecaster import Forecaster
from core.runs import is_begun, is_finished
from data.windows import WindowConfig

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


@dataclass(frozen=True)
class Walk:
    """What all folds share; it can be pickled.

    Attributes:
        prices: Of all folds, as `read_table` gives them.
        windows: Context and horizons.
        recipe: The network and its training.
        source: `data` and `news`, as the user gave them.
        folder: The backtest's.
        num_folds: How many there are.
    """

    prices: pd.DataFrame
    windows: WindowConfig
    recipe: Recipe
    source: dict[str, Any]
    folder: Path
    num_folds: int

    def over(self, fold: Fold) -> Walked:
        """Train on a fold, unless an earlier call has, and forecast its days."""
        logger.info(
            "fold %d of %d: learns before %s, forecasts %s to %s",
            fold.number, self.num_folds, fold.embargo_start, fold.test_start, fold.test_end,
        )  # fmt: skip
        datamodule = fold_data(self.prices, self.windows, fold)
        run_dir = self.folder / "folds" / str(fold.number)
        network, _ = trained(datamodule, self.recipe, self.source, run_dir)
        return walk_over(network, datamodule, fold)


def trained(
    datamodule: PriceDataModule, recipe: Recipe, source: dict[str, Any], run_dir: Path
) -> tuple[Forecaster, float]:
    """A network that is trained, gone on with or, where it is finished, read.

    The wall seconds of the training come with it where an earlier call did it, else 0.
    """
    if is_finished(run_dir):
        logger.info("%s is trained already", run_dir)
        opened = StockForecaster.load(run_dir)
        return opened.model, opened.run.metrics["seconds"]
    return train_on(datamodule, recipe, source, run_dir, resume=is_begun(run_dir)), 0.0


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
