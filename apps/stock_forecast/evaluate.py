"""The domain's scores, for the model and the classical baselines alike."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from apps.stock_forecast.baselines import Baselines
from apps.stock_forecast.datamodule import EVALUATION_BATCH, PriceDataModule, read_table
from apps.stock_forecast.inference import APP, StockForecaster
from core.cli import verb
from core.metrics import crps_from_quantiles, is_covered, mase
from core.nn.forecaster import LEVELS
from core.runs import champion, load_run
from data.windows import Rows, target_of

logger = logging.getLogger(__name__)

Scores = dict[str, dict[str, float]]
METRICS = ("crps", "mae", "mase", "coverage_80", "coverage_90", "directional_accuracy")


def score(
    quantiles: Tensor, target: Tensor, horizons: tuple[int, ...], naive_mae: tuple[float, ...]
) -> Scores:
    """Score quantile forecasts at each horizon.

    Args:
        quantiles: Of the cumulative log return, at LEVELS, (B, P, Q).
        target: What happened, NaN where the data end before, (B, P).
        horizons: Trading days ahead.
        naive_mae: The training part's error of "no change", (P,).

    Returns:
        Value by metric and horizon. A median of exactly zero has no direction and counts half.
    """
    levels = torch.tensor(LEVELS, dtype=quantiles.dtype)
    middle = quantiles[..., LEVELS.index(0.5)]
    error = target - middle
    by_row = {
        "crps": crps_from_quantiles(quantiles, target, levels),
        "mae": error.abs(),
        "coverage_80": is_covered(quantiles, target, levels, 0.8),
        "coverage_90": is_covered(quantiles, target, levels, 0.9),
        "directional_accuracy": 0.5 + 0.5 * target.sign() * middle.sign(),
    }
    names = [str(horizon) for horizon in horizons]
    scores: Scores = {
        metric: dict(zip(names, values.nanmean(0).tolist(), strict=True))
        for metric, values in by_row.items()
    }
    scores["mase"] = {name: float(mase(error[:, p], naive_mae[p])) for p, name in enumerate(names)}
    return {metric: scores[metric] for metric in METRICS}


def score_model(model: torch.nn.Module, datamodule: PriceDataModule, rows: Rows) -> Scores:
    """Score a network on the given rows."""
    return score_rows(predict(model, datamodule, rows), datamodule, rows)


def score_rows(quantiles: Tensor, datamodule: PriceDataModule, rows: Rows) -> Scores:
    """Score quantile forecasts, (B, P, Q), that were made from the given rows."""
    horizons = datamodule.config.horizons
    target = torch.from_numpy(target_of(datamodule.history, rows, horizons)).double()
    return score(quantiles.double(), target, horizons, datamodule.fitted.naive_mae)


def predict(model: torch.nn.Module, datamodule: PriceDataModule, rows: Rows) -> Tensor:
    """Quantiles of the cumulative log return, (B, P, Q)."""
    model.eval()
    pieces = np.split(rows, range(EVALUATION_BATCH, len(rows), EVALUATION_BATCH))
    batches = (datamodule.batch(piece) for piece in pieces)
    with torch.inference_mode():
        return torch.cat([model(batch.inputs) * batch.scale[..., None] for batch in batches])


def score_baselines(
    training: PriceDataModule, datamodule: PriceDataModule, rows: Rows
) -> dict[str, Scores]:
    """Score the classical baselines, fitted on the training part, on the given rows."""
    forecasts = predict_baselines(training, datamodule, rows)
    return {name: score_rows(found, datamodule, rows) for name, found in forecasts.items()}


def predict_baselines(
    training: PriceDataModule, datamodule: PriceDataModule, rows: Rows
) -> dict[str, Tensor]:
    """Quantiles of the baselines, fitted on the training part, each (B, P, Q)."""
    horizons = datamodule.config.horizons
    baselines = Baselines(training.history, training.fitted.validation_start, horizons)
    forecasts = baselines.forecast(datamodule.history, rows)
    return {name: torch.from_numpy(quantiles) for name, quantiles in forecasts.items()}


def mean_ratio(scores: Scores, reference: Scores) -> float:
    """Mean over horizons of one CRPS over another."""
    return float(np.mean([scores["crps"][h] / reference["crps"][h] for h in reference["crps"]]))


def best_baseline(baselines: dict[str, Scores]) -> str:
    """The baseline whose CRPS, relative to the random walk's, is lowest on the mean of horizons."""
    return min(baselines, key=lambda name: mean_ratio(baselines[name], baselines["random_walk"]))


def table(result: dict[str, Any]) -> str:
    """The scores for people."""
    horizons = [str(h) for h in result["horizons"]]
    header = f"{'':<14}" + "".join(f"  CRPS h={h:<4}" for h in horizons) + "  80 % interval holds"
    lines = [header]
    rows = {"model": result, **result["baselines"]}
    for name, scores in rows.items():
        crps = "".join(f"  {scores['crps'][h]:<9.5f}" for h in horizons)
        covered = "  ".join(f"{100 * scores['coverage_80'][h]:.0f} %" for h in horizons)
        lines.append(f"{name:<14}{crps}  {covered}")
    best = best_baseline(result["baselines"])
    ratio = mean_ratio(result, result["baselines"][best])
    verdict = f"CRPS against {best}, the best baseline, on the mean of the horizons: {ratio:.4f}"
    return "\n".join([*lines, verdict])


@verb(table)
def evaluate(
    run: Path | None = None, data: str | None = None, news: Path | None = None
) -> dict[str, Any]:
    """Score a run and the classical baselines.

    Args:
        run: The run folder; left out: runs/stock_forecast/champion.
        data: Other prices, of which every date after the run's training and validation is scored;
            left out: the run's own test part.
        news: Dated texts to the data, where the run was trained with some.
    """
    opened = load_run(champion(APP, run), APP)
    training = PriceDataModule.from_run(opened)
    if data is None:
        datamodule, rows = training, training.rows("test")
    else:
        datamodule = PriceDataModule.from_run(opened, read_table(data, news))
        after = training.fitted.known_until + np.timedelta64(1, "D")
        rows = datamodule.rows_after(after)
        if not len(rows):
            raise ValueError(
                f"{data}: no date after {training.fitted.known_until} with "
                f"{datamodule.config.context_length} days before it and an outcome; add data"
            )
    forecaster = StockForecaster.from_run(opened)
    scores = score_model(forecaster.model, datamodule, rows)
    return {
        "horizons": list(datamodule.config.horizons),
        **scores,
        "baselines": score_baselines(training, datamodule, rows),
    }
