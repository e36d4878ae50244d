"""The walk forward: train, forecast the days that follow, move on, train again."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from apps.stock_forecast.backtest_report import write_walk
from apps.stock_forecast.datamodule import read_table
from apps.stock_forecast.folds import walk_folds
from apps.stock_forecast.inference import APP
from apps.stock_forecast.portfolio import (
    NOTE,
    PortfolioConfig,
    Signals,
    nearest_horizon,
    portfolio_table,
    trade,
)
from apps.stock_forecast.row_scores import Outcomes, mean_ratio, score
from apps.stock_forecast.score_report import report
from apps.stock_forecast.score_table import table as score_table
from apps.stock_forecast.train import OPTIM, TRAINER, Recipe
from apps.stock_forecast.walking import Walk, Walked
from core.cli import verb
from core.fan_out import Workers, check_workers, fan_out
from core.files import write_json
from core.nn.forecaster import ForecasterConfig
from core.optim import OptimConfig
from core.runs import begin_run, is_begun, new_run_dir
from core.training import TrainerConfig
from data.prices import hash_prices
from data.windows import WindowConfig

logger = logging.getLogger(__name__)

WINDOWS = WindowConfig(test_share=0.5)  # half of the dates are walked over


def table(result: dict[str, Any]) -> str:
    """The scores for people, and the toy portfolios."""
    folds = result["folds"]
    count = "1 fold" if len(folds) == 1 else f"{len(folds)} folds"
    walked = f"{count}, {folds[0]['test_start']} to {folds[-1]['test_end']}"
    return "\n\n".join([walked, score_table(result), portfolio_table(result["portfolio"]), NOTE])


@verb(table)
def backtest(
    data: str = "sample",
    *,
    run: Path | None = None,
    news: Path | None = None,
    offline: bool = False,
    refit: int = 250,
    rolling: int = 0,
    windows: WindowConfig = WINDOWS,
    model: ForecasterConfig = ForecasterConfig(),
    optim: OptimConfig = OPTIM,
    trainer: TrainerConfig = TRAINER,
    portfolio: PortfolioConfig = PortfolioConfig(),
    workers: Workers = 1,
) -> dict[str, Any]:
    """Walk forward through the last dates: train, forecast the days that follow, train again.

    Each fold learns scaler, fan, baselines and network from the days before it alone, less an
    embargo of the longest horizon; while it forecasts, widths follow the outcomes that were known
    at each day's close. All folds' forecasts are scored together. The run folder gets
    `backtest.json`, what `--json` prints, and `backtest.html`, tables and plots.

    A walk that was stopped goes on when it is called again with the same `run` and options: folds
    that are trained are scored only, and a training that was begun is resumed.

    Args:
        data: As for `train`.
        run: Folder for one run per fold (`folds/1` and so on); left out:
            runs/stock_forecast/<time>-backtest.
        news: As for `train`.
        offline: As for `train`.
        refit: Trading days between two trainings, at least 1.
        rolling: Trading days that each training part has; 0 takes all days so far (expanding).
        windows: Context and horizons; `test_share` of the dates are walked over, and each fold
            validates on `validation_share` of all dates.
        model: The network.
        optim: The optimiser.
        trainer: Length, clipping, early stopping, seed.
        portfolio: How the toy portfolios trade; an illustration.
        workers: How many folds at once: 1 in this process, more in processes of their own, `ray`
            on a Ray cluster; see `core.fan_out`.
    """
    check_workers(workers)
    goes_on = is_begun(run)
    folder = new_run_dir(APP, "backtest", run, goes_on)
    prices = read_table(data, news, offline)
    calendar = np.unique(prices["Date"].to_numpy().astype("datetime64[D]"))
    folds = walk_folds(calendar, windows, refit, rolling)
    recipe = Recipe(model=model, optim=optim, trainer=trainer)
    source = {"data": data, "news": news}
    walk = {"command": "backtest", "refit": refit, "rolling": rolling, "windows": asdict(windows)}
    begin_run(folder, {**source, **walk, **asdict(recipe)}, hash_prices(prices))
    shared = Walk(prices, windows, recipe, source, folder.absolute(), len(folds))
    items = {f"fold {fold.number}": fold for fold in folds}
    walked = fan_out(shared.over, items, workers, shared.folder)
    traded, curves = follow(walked, prices, windows.horizons, portfolio)
    result = {**summarize(walked, windows.horizons), "portfolio": traded}
    write_json(folder / "backtest.json", result)
    write_walk(folder / "backtest.html", result, walked, prices, curves)
    logger.info("wrote %s", folder / "backtest.html")
    return result


def follow(
    walked: Sequence[Walked],
    prices: pd.DataFrame,
    horizons: tuple[int, ...],
    config: PortfolioConfig,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """What toy portfolios that follow the model would have earned: `portfolio.trade`."""
    p = nearest_horizon(horizons, config)
    signals = [
        Signals(
            one.outcomes.day,
            one.outcomes.ticker,
            one.forecasts["model"][:, p].numpy(),
            one.scale[:, p].astype(float),
        )
        for one in walked
    ]
    return trade(signals, prices, horizons[p], config)


def summarize(walked: Sequence[Walked], horizons: tuple[int, ...]) -> dict[str, Any]:
    """Scores of all folds together, as `evaluate` gives them, and what each fold was.

    Args:
        walked: At least one fold.
        horizons: Trading days ahead.
    """
    forecasts = {
        name: torch.cat([one.forecasts[name] for one in walked]) for name in walked[0].forecasts
    }
    outcomes = Outcomes.join([one.outcomes for one in walked])
    folds = [_describe(one, horizons) for one in walked]
    return {**report(forecasts, outcomes, horizons), "folds": folds}


def _describe(walked: Walked, horizons: tuple[int, ...]) -> dict[str, Any]:
    """A fold's dates, sizes and CRPS, absolute and over the random walk's."""
    fold = walked.fold
    scores = {
        name: score(quantiles, walked.outcomes, horizons)
        for name, quantiles in walked.forecasts.items()
    }
    return {
        "fold": fold.number,
        "train_start": str(fold.train_start),
        "validation_start": str(fold.validation_start),
        "embargo_start": str(fold.embargo_start),
        "test_start": str(fold.test_start),
        "test_end": str(fold.test_end),
        "num_train": walked.num_examples,
        "num_test": len(walked.outcomes.day),
        "crps": scores["model"]["crps"],
        "coverage_80": scores["model"]["coverage_80"],
        "crps_relative": {
            name: mean_ratio(found, scores["random_walk"]) for name, found in scores.items()
        },
    }
