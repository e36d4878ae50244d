"""Go on learning from new prices; keep the old model unless the new one is better."""

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from apps.stock_forecast.datamodule import PriceDataModule, read_table
from apps.stock_forecast.inference import APP, StockForecaster
from apps.stock_forecast.predicting import predict
from apps.stock_forecast.price_drift import drift_table, price_drift
from apps.stock_forecast.row_scores import Floats, Outcomes, mean_scores, row_scores
from apps.stock_forecast.score_report import mean_of_ratios
from apps.stock_forecast.stored import stored_table
from apps.stock_forecast.train import make_module, write
from core.challenge import (
    Gain,
    NothingNew,
    beside,
    champion_before,
    check_options,
    decide,
    kept,
    settle,
    show_decision,
)
from core.champions import champion, rollback_of
from core.cli import verb
from core.files import write_json
from core.nn.forecaster import Forecaster
from core.optim import OptimConfig
from core.runs import begin_run, is_finished, load_run, new_run_dir
from core.stored import section
from core.training import TrainerConfig, fit, stopped
from data.price_updates import append_prices
from data.prices import hash_prices

logger = logging.getLogger(__name__)
rollback = rollback_of(APP)


@verb(show_decision)
def retrain(
    data: str,
    *,
    run: Path | None = None,
    out: Path | None = None,
    news: Path | None = None,
    old_share: float = 0.5,
    learning_rate: float = 2e-4,
    trainer: TrainerConfig = TrainerConfig(max_epochs=3),
    margin: float = 1.0,
    resume: bool = False,
    offline: bool = False,
) -> dict[str, Any]:
    """Go on from a run's weights with new days and tickers; promote the result if it is better.

    Both models forecast the run's own test part, which stays out of training by its dates, and a
    hold-out of the new prices: of the days after all that the run has the last fifth, and of new
    tickers those of the test part. The new one becomes champion where its CRPS, on the mean of the
    horizons, is better on the new and not worse by more than the margin on the old, both beyond
    chance (95 % intervals of blocks of days). Else the old one stays; the exit code is 0 all the
    same.

    Args:
        data: New prices; days that the run has already are ignored.
        run: The run to go on from, never changed; left out: runs/stock_forecast/champion. One that
            is not the champion of its folder has no heir that becomes champion.
        out: The run folder to write; left out: beside the run, where alone it may become champion.
        news: Dated texts to the new data, where the run was trained with some.
        old_share: Share of old examples in an epoch, drawn anew each time, 0 to below 1: more
            forgets less and takes longer.
        learning_rate: Peak rate; lower than at first, because the weights are good already.
        trainer: Length, clipping, early stopping, seed.
        margin: Per cent of CRPS that the old test part may lose.
        resume: Go on from where a retraining was stopped; give the same options. Without `out`:
            the newest beside the run.
        offline: Never ask Yahoo; read what `fetch` has cached.
    """
    check_options(margin, old_share)
    if resume and out is not None and is_finished(out):
        return settle(load_run(out, APP), APP)  # killed before it was promoted
    old = load_run(champion(APP, run), APP)
    run_dir = new_run_dir(APP, old.path.name, out or beside(old.path, resume), resume, "--out")
    frozen = PriceDataModule.from_run(old)
    if frozen.fitted.has_news and news is None:
        raise ValueError(f"{old.path}: was trained with news; give --news as well")
    stored = stored_table(old)
    whole = PriceDataModule.from_run(old, stored)
    table = append_prices(stored, read_table(data, news, offline))
    try:
        datamodule = PriceDataModule.from_run(old, table).learning_again(whole, old_share)
    except NothingNew as reason:
        return kept(old, ValueError(f"{data}: {reason}"))
    before = champion_before(old.path, run_dir)
    optim = replace(section(old, "optim", OptimConfig), learning_rate=learning_rate)
    config = {
        **old.config,
        "data": data,
        "news": news,
        "optim": asdict(optim),
        "trainer": asdict(trainer),
        "retrained_from": old.path.name,
        "retraining": {"old_share": old_share, "margin": margin},
    }
    begin_run(run_dir, {**config, **before}, hash_prices(datamodule.table))
    drift = price_drift(whole, datamodule)
    write_json(run_dir / "drift.json", drift)
    logger.info(drift_table(drift))
    network = StockForecaster.from_run(old).model
    module = make_module(datamodule, network.config, optim, trainer.seed)
    module.model.load_state_dict(network.state_dict())
    loaders = (datamodule.loader("train", trainer.seed), datamodule.loader("validation", 0))
    result = fit(module, loaders, trainer, run_dir, resume)
    if result.is_stopped:
        write(run_dir, datamodule, module, config, result)
        raise KeyboardInterrupt(stopped(run_dir, result))
    told = _judge((network, module.model), frozen, datamodule, margin)
    write(run_dir, datamodule, module, config, result, more={**told, **before})
    return settle(load_run(run_dir, APP), APP)


def _judge(
    models: tuple[Forecaster, Forecaster],
    frozen: PriceDataModule,
    datamodule: PriceDataModule,
    margin: float,
) -> dict[str, Any]:
    """Scores of the old and the new model on both hold-outs, and the decision."""
    scores: dict[str, dict[str, Any]] = {"old": {}, "new": {}}
    gains = []
    hold_outs = {
        "old_data": (frozen, frozen.rows("test")),
        "new_data": (datamodule, datamodule.new_test_rows()),
    }
    for name, (prices, rows) in hold_outs.items():
        outcomes = Outcomes.of(frozen, prices, rows)
        horizons = prices.config.horizons
        found = [row_scores(predict(model, prices, rows), outcomes) for model in models]
        scores["old"][name], scores["new"][name] = (mean_scores(one, horizons) for one in found)
        gains.append(_gain(found[0]["crps"], found[1]["crps"], outcomes, horizons))
    promoted, reason = decide("per cent of CRPS gained:", gains[0], gains[1], margin)
    return {**scores, "promoted": promoted, "reason": reason}


def _gain(old: Floats, new: Floats, outcomes: Outcomes, horizons: tuple[int, ...]) -> Gain:
    """How much lower the new CRPS is, per cent of the old, on the mean of the known horizons."""
    is_known = np.isfinite(old).any(axis=0)  # a short hold-out knows no long outcome
    known = np.array(horizons)[is_known].tolist()
    told = mean_of_ratios(new[:, is_known], old[:, is_known], outcomes.day, known)
    low, high = told["interval"]
    ends = (100 * (1 - high), 100 * (1 - low))
    return Gain(100 * (1 - told["ratio"]), ends, len(np.unique(outcomes.day)), "days")
