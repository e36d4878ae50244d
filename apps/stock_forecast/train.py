"""The main path: prices, model, fit, run folder; and going on from a run."""

import logging
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pytorch_lightning import seed_everything

from apps.stock_forecast.datamodule import PriceDataModule, read_table, stored_table
from apps.stock_forecast.evaluate import score_model
from apps.stock_forecast.inference import APP, StockForecaster
from apps.stock_forecast.row_scores import mean_ratio
from core.cli import verb
from core.modules import ForecastModule
from core.nn.forecaster import Forecaster, ForecasterConfig
from core.optim import OptimConfig
from core.runs import begin_run, champion, load_run, new_run_dir, promote, save_run
from core.training import TrainerConfig, fit
from data.price_updates import append_prices
from data.prices import hash_prices
from data.windows import WindowConfig, vocab_size

logger = logging.getLogger(__name__)

OPTIM = OptimConfig(learning_rate=5e-4)
TRAINER = TrainerConfig(max_epochs=5)
TOLERANCE = 0.001  # a retrained model whose CRPS is worse by less than this is not worse


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
    run_dir = new_run_dir(APP, model.cell, run, resume)
    datamodule = PriceDataModule.from_source(data, news, windows, offline)
    recipe = Recipe(model=model, optim=optim, trainer=trainer)
    train_on(datamodule, recipe, {"data": data, "news": news}, run_dir, resume)
    promote(run_dir, "the first run here", only_first=True)


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
    """
    config = {**source, "windows": asdict(datamodule.config), **asdict(recipe)}
    seed = recipe.trainer.seed
    loaders = (datamodule.loader("train", seed), datamodule.loader("validation", 0))
    begin_run(run_dir, config, hash_prices(datamodule.table), resume)
    module = make_module(datamodule, recipe.model, recipe.optim, seed)
    result = fit(module, loaders, recipe.trainer, run_dir, resume)
    finish(run_dir, datamodule, module, config, asdict(result))
    logger.info("wrote %s (val_loss %.4f)", run_dir, result.val_loss)
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


def finish(
    run_dir: Path,
    datamodule: PriceDataModule,
    module: ForecastModule,
    config: dict[str, Any],
    metrics: dict[str, Any],
) -> None:
    """Write the run folder of a trained module."""
    datamodule.write(run_dir)
    save_run(
        run_dir,
        app=APP,
        config=config,
        model=module.model,
        preprocessor={"prices": datamodule.fitted.to_json()},
        metrics=metrics,
        source_hash=hash_prices(datamodule.table),
    )


def decision(result: dict[str, Any]) -> str:
    """The decision for people."""
    verdict = "promoted" if result["promoted"] else "kept the old run"
    return f"{verdict}: {result['reason']}\n{result['run']}"


@verb(decision)
def retrain(
    data: str,
    *,
    run: Path | None = None,
    out: Path | None = None,
    news: Path | None = None,
    learning_rate: float = 2e-4,
    trainer: TrainerConfig = TrainerConfig(max_epochs=3),
    offline: bool = False,
) -> dict[str, Any]:
    """Go on from a run's weights with new prices; promote the result if it is not worse.

    The new days and tickers are mixed with the run's own training part. Both models are scored on
    the run's own test part, which stays out of training by its dates.

    Args:
        data: New prices; days that the run has already are ignored.
        run: The run to go on from, never changed; left out: runs/stock_forecast/champion.
        out: The run folder to write; left out: beside the run.
        news: Dated texts to the new data, where the run was trained with some.
        learning_rate: Peak rate; lower than at first, because the weights are good already.
        trainer: Length, clipping, early stopping, seed.
        offline: Never ask Yahoo; read what `fetch` has cached.
    """
    old = load_run(champion(APP, run), APP)
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-retrained"
    run_dir = new_run_dir(APP, name, out or old.path.parent / name)
    frozen = PriceDataModule.from_run(old)
    new = read_table(data, news, offline)
    if frozen.fitted.has_news and news is None:
        raise ValueError(f"{old.path}: was trained with news; give --news as well")
    table = append_prices(stored_table(old), new)
    datamodule = PriceDataModule.from_run(old, table).continued(frozen, data)
    before = StockForecaster.from_run(old).model
    optim = replace(OptimConfig(**old.config["optim"]), learning_rate=learning_rate)
    module = make_module(datamodule, before.config, optim, trainer.seed)
    module.model.load_state_dict(before.state_dict())
    loaders = (datamodule.loader("train", trainer.seed), datamodule.loader("validation", 0))
    result = fit(module, loaders, trainer, run_dir)

    rows = frozen.rows("test")
    scores = {
        name: score_model(m, frozen, rows) for name, m in (("old", before), ("new", module.model))
    }
    ratio = mean_ratio(scores["new"], scores["old"])
    promoted = ratio <= 1 + TOLERANCE
    sign = "not worse" if promoted else "worse"
    reason = f"CRPS on the run's test part {100 * (ratio - 1):+.2f} %: {sign}"
    config = {
        **old.config,
        "data": data,
        "news": news,
        "optim": asdict(optim),
        "trainer": asdict(trainer),
        "retrained_from": old.path.name,
    }
    finish(run_dir, datamodule, module, config, {**asdict(result), **scores})
    if promoted:
        promote(run_dir, reason)
    return {**scores, "promoted": promoted, "reason": reason, "run": str(run_dir)}
