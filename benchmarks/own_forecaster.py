"""The project's own side of the forecasting benchmarks: trained as `stock-forecast train` does."""

import logging
import tempfile
import time
from pathlib import Path

import numpy as np
from safetensors.torch import load_file, save_file

from apps.stock_forecast.datamodule import PriceDataModule
from apps.stock_forecast.predicting import predict
from apps.stock_forecast.train import OPTIM, TRAINER, Recipe, make_module, train_on
from benchmarks.record import code_key
from core.nn.forecaster import Forecaster, ForecasterConfig
from core.training import TrainerConfig
from data.prices import hash_prices
from data.windows import Rows

logger = logging.getLogger(__name__)

DECIDES = (  # the weights; what is read from them is computed anew
    "apps/stock_forecast/datamodule.py",
    "apps/stock_forecast/fitted.py",
    "apps/stock_forecast/train.py",
    "core/nn",
    "core/modules.py",
    "core/optim.py",
    "core/training.py",
    "data/drift.py",
    "data/features.py",
    "data/volatility.py",
    "data/windows.py",
)


def forecast_by_seed(
    store: Path, training: PriceDataModule, seeds: int, datamodule: PriceDataModule, rows: Rows
) -> np.ndarray:
    """What networks of the app's defaults forecast, one for each of the seeds 0, 1, ...

    A network is trained once: its weights stay on disk, by the code and the prices that made them.

    Args:
        store: Folder of the weights.
        training: What is trained on.
        seeds: How many, at least 1.
        datamodule: What is forecast.
        rows: Days there to forecast from.

    Returns:
        Quantiles of the log return, (S, B, P, Q).
    """
    key = f"{code_key(DECIDES)}-{hash_prices(training.table)[:12]}"
    store.mkdir(parents=True, exist_ok=True)
    found = []
    for seed in range(seeds):
        model = make_module(training, ForecasterConfig(), OPTIM, seed).model
        path = store / f"weights-{key}-{len(training.config.horizons)}-{seed}.safetensors"
        if not path.exists():
            started = time.process_time()
            part = path.with_suffix(".part")  # a run that is stopped leaves no half file
            weights = train_default(training, seed).state_dict()
            save_file({name: values.contiguous() for name, values in weights.items()}, part)
            part.replace(path)
            seconds = time.process_time() - started
            logger.warning("%s: %.0f CPU-seconds", path.name, seconds)
        model.load_state_dict(load_file(path))
        found.append(predict(model, datamodule, rows).double().numpy())
    return np.stack(found)


def train_default(training: PriceDataModule, seed: int) -> Forecaster:
    """Train the app's defaults as the command line does.

    Args:
        training: What is trained on.
        seed: Of weights and batch order.
    """
    trainer = TrainerConfig(max_epochs=TRAINER.max_epochs, seed=seed, progress=False)
    recipe = Recipe(model=ForecasterConfig(), optim=OPTIM, trainer=trainer)
    with tempfile.TemporaryDirectory() as name:
        return train_on(training, recipe, {"data": "benchmark", "news": None}, Path(name) / "run")
