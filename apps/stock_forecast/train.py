"""The main path: prices, model, fit, run folder."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytorch_lightning import seed_everything

from apps.stock_forecast.datamodule import PriceDataModule
from apps.stock_forecast.inference import APP
from core.champions import promote_first
from core.modules import ForecastModule
from core.nn.forecaster import Forecaster, ForecasterConfig
from core.optim import OptimConfig
from core.runs import begin_run, is_finished, new_run_dir, save_run
from core.training import FitResult, TrainerConfig, fit, stopped
from data.prices import hash_prices
from data.windows import WindowConfig, vocab_size

logger = logging.getLogger(__name__)

OPTIM = OptimConfig(learning_rate=5e-4)
TRAINER = TrainerConfig(max_epochs=5)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The network and how it is trained."""

    model: ForecasterConfig
    optim: OptimConfig
    trainer: TrainerConfig


def train(
    data: str = "sample",
    *,
    run: Path | None = None,
    news: Path | None = None,
    windows: WindowConfig = WindowConfig(),
    model: ForecasterConfig = ForecasterConfig(),
    optim: OptimConfig = OPTIM,
    trainer: TrainerConfig = TRAINER,
    resume: bool = False,
    offline: bool = False,
) -> None:
    """Train a forecaster on daily prices and write a run folder.

    Args:
        data: `sample`, a CSV path or folder (one file a ticker, or long with a Ticker column), or
            `yahoo:AAPL,MSFT`.
        run: The run folder to write; left out: runs/stock_forecast/<time>-<cell>.
        news: Dated texts (JSONL), counted per day and, with `windows.news_sentiment`, scored.
        windows: Context, horizons, split.
        model: The network.
        optim: The optimiser.
        trainer: Length, clipping, early stopping, seed.
        resume: Go on from the run's last checkpoint; give the same options as at first.
        offline: Never ask Yahoo; read what `fetch` has cached.
    """
    if resume and run is not None and is_finished(run):
        promote_first(run, APP)  # it may have been killed before that
        return
    run_dir = new_run_dir(APP, model.cell, run, resume)
    datamodule = PriceDataModule.from_source(data, news, windows, offline)
    recipe = Recipe(model=model, optim=optim, trainer=trainer)
    train_on(datamodule, recipe, {"data": data, "news": news}, run_dir, resume)
    promote_first(run_dir, APP)


def train_on(
    datamodule: PriceDataModule,
    recipe: Recipe,
    source: dict[str, Any],
    run_dir: Path,
    resume: bool = False,
) -> Forecaster:
    """Fit a fresh network to prepared data and write the run folder.

    Args:
        datamodule: The data.
        recipe: The network and its training.
        source: `data` and `news`, as the user gave them.
        run_dir: Where to write.
        resume: Go on from the last checkpoint there.

    Raises:
        KeyboardInterrupt: Ctrl-C; the run can be used, and gone on with.
    """
    config = {**source, "windows": asdict(datamodule.config), **asdict(recipe)}
    seed = recipe.trainer.seed
    loaders = (datamodule.loader("train", seed), datamodule.loader("validation", 0))
    begin_run(run_dir, config, hash_prices(datamodule.table))
    module = make_module(datamodule, recipe.model, recipe.optim, seed)
    result = fit(module, loaders, recipe.trainer, run_dir, resume)
    write(run_dir, datamodule, module, config, result)
    if result.is_stopped:
        raise KeyboardInterrupt(stopped(run_dir, result))
    return module.model


def make_module(
    datamodule: PriceDataModule, model: ForecasterConfig, optim: OptimConfig, seed: int
) -> ForecastModule:
    """A network that fits the data, with starting weights from the seed."""
    seed_everything(seed, verbose=False)
    return ForecastModule(
        datamodule.input_size,
        datamodule.config.horizons,
        model,
        optim,
        datamodule.fitted.fan,
        vocab_size=vocab_size(datamodule.config),
    )


def write(
    run_dir: Path,
    datamodule: PriceDataModule,
    module: ForecastModule,
    config: Mapping[str, Any],
    result: FitResult,
    *,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write the run folder of a trained module; `more` goes to its metrics."""
    datamodule.write(run_dir)
    save_run(
        run_dir,
        app=APP,
        config=config,
        model=module.model,
        preprocessor={"prices": datamodule.fitted.to_json()},
        metrics={**asdict(result), **(more or {})},
        source_hash=hash_prices(datamodule.table),
        is_finished=not result.is_stopped,
    )
    logger.info("wrote %s (val_loss %.4f)", run_dir, result.val_loss)
