"""Scores of each single forecast, and their means: all that `evaluate` and `backtest` report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from apps.stock_forecast.datamodule import PriceDataModule
from core.metrics import crps_from_quantiles, interval_width, is_covered
from core.nn.forecaster import LEVELS
from data.windows import Rows, target_of

Floats = NDArray[np.float64]
RowScores = Mapping[str, Floats]
Scores = dict[str, dict[str, float]]

ROW_METRICS = (
    "crps",
    "pinball",
    "mae",
    "mase",
    "coverage_50",
    "coverage_80",
    "coverage_90",
    "width_50",
    "width_80",
    "width_90",
    "directional_accuracy",
)
METRICS = (*ROW_METRICS, "rank_ic")
SHARES = (50, 80, 90)  # per cent of the central intervals
REGIMES = ("calm", "usual", "rough")
LEAST_RANKED = 3  # tickers on a day below which ranks say nothing


@dataclass(frozen=True)
class Outcomes:
    """What came after the rows that were forecast, and what kind of rows they were.

    Attributes:
        target: Cumulative log returns, NaN where the data end before, (B, P).
        naive_mae: Error of "no change" in the training part of each row, (B, P).
        day: Date of each row, (B,).
        ticker: Name of each row's ticker, (B,).
        regime: Number in REGIMES: the third of the training part's trailing volatilities that the
            row's lies in, (B,).
    """

    target: Floats
    naive_mae: Floats
    day: NDArray[np.datetime64]
    ticker: NDArray[np.str_]
    regime: NDArray[np.int64]

    @classmethod
    def of(cls, training: PriceDataModule, datamodule: PriceDataModule, rows: Rows) -> "Outcomes":
        """The outcomes of rows.

        Args:
            training: Its training part sets the naive error and the thirds.
            datamodule: The prices that the rows number.
            rows: Days that were forecast from.
        """
        history, horizons = datamodule.history, datamodule.config.horizons
        naive = np.asarray(training.fitted.naive_mae)
        is_training = training.history.dates < training.fitted.validation_start
        thirds = np.quantile(training.history.variance[is_training, 0], [1 / 3, 2 / 3])
        return cls(
            target=target_of(history, rows, horizons).astype(float),
            naive_mae=np.broadcast_to(naive, (len(rows), len(horizons))),
            day=history.dates[rows],
            ticker=np.asarray(history.tickers)[history.ticker[rows]],
            regime=np.searchsorted(thirds, history.variance[rows, 0]),
        )

    @classmethod
    def join(cls, parts: Sequence["Outcomes"]) -> "Outcomes":
        """Several parts as one, such as the folds of a walk forward."""
        names = [field.name for field in fields(cls)]
        return cls(
            **{name: np.concatenate([getattr(one, name) for one in parts]) for name in names}
        )


def row_scores(quantiles: Tensor, outcomes: Outcomes) -> RowScores:
    """Every score of every row: by name in ROW_METRICS, each (B, P), NaN where nothing came yet.

    A median of exactly zero has no direction and counts half.

    Args:
        quantiles: Of the cumulative log return, at LEVELS, (B, P, Q).
        outcomes: Of the same rows.
    """
    quantiles, target = quantiles.double(), torch.from_numpy(outcomes.target)
    levels = torch.tensor(LEVELS, dtype=torch.double)
    middle = quantiles[..., LEVELS.index(0.5)]
    crps = crps_from_quantiles(quantiles, target, levels)
    error = (target - middle).abs()
    unknown = target.isnan()
    found = {
        "crps": crps,
        "pinball": crps / 2,
        "mae": error,
        "mase": error / torch.from_numpy(outcomes.naive_mae.copy()),
        # torch's sign of NaN is 0, which would count an unknown outcome half.
        "directional_accuracy": (0.5 + 0.5 * target.sign() * middle.sign()).masked_fill(
            unknown, torch.nan
        ),
    }
    for share in SHARES:
        width = interval_width(quantiles, levels, share / 100)
        found[f"coverage_{share}"] = is_covered(quantiles, target, levels, share / 100)
        found[f"width_{share}"] = width.masked_fill(unknown, torch.nan)
    return {name: found[name].numpy() for name in ROW_METRICS}


def rank_correlations(quantiles: Tensor, outcomes: Outcomes) -> Floats:
    """Spearman's correlation over tickers of median and outcome (rank IC), on every day, (D, P).

    NaN on a day with fewer than LEAST_RANKED tickers, or on which all medians are equal.

    Args:
        quantiles: Of the cumulative log return, at LEVELS, (B, P, Q).
        outcomes: Of the same rows.
    """
    day = np.unique(outcomes.day, return_inverse=True)[1]
    middle = quantiles[..., LEVELS.index(0.5)].double().numpy()
    known = np.isfinite(outcomes.target)
    ranks = []
    for values in (middle, outcomes.target):
        grouped = pd.DataFrame(np.where(known, values, np.nan)).groupby(day)
        ranks.append((grouped.rank() - grouped.rank().groupby(day).transform("mean")).to_numpy())

    def summed(values: Floats) -> Floats:
        return pd.DataFrame(values).groupby(day).sum().to_numpy()  # (D, P)

    spread = np.sqrt(summed(ranks[0] ** 2) * summed(ranks[1] ** 2))
    is_ranked = (spread > 0) & (summed(known.astype(float)) >= LEAST_RANKED)
    return np.where(is_ranked, summed(ranks[0] * ranks[1]) / np.where(is_ranked, spread, 1), np.nan)


def mean_scores(scores: RowScores, horizons: Sequence[int]) -> Scores:
    """Means over the rows or days whose score is known, by name and horizon; NaN where none is.

    Args:
        scores: By name, each (B, P).
        horizons: Trading days ahead, P of them.
    """
    return {
        name: {str(horizon): known_mean(values[:, p]) for p, horizon in enumerate(horizons)}
        for name, values in scores.items()
    }


def score(quantiles: Tensor, outcomes: Outcomes, horizons: Sequence[int]) -> Scores:
    """Mean of each row score at each horizon, by name in ROW_METRICS.

    Args:
        quantiles: Of the cumulative log return, at LEVELS, (B, P, Q).
        outcomes: Of the same rows.
        horizons: Trading days ahead, P of them.
    """
    return mean_scores(row_scores(quantiles, outcomes), horizons)


def mean_ratio(scores: Scores, reference: Scores) -> float:
    """Mean over horizons of one CRPS over another."""
    return float(np.mean([scores["crps"][h] / reference["crps"][h] for h in reference["crps"]]))


def best_baseline(baselines: Mapping[str, Scores]) -> str:
    """The baseline whose CRPS, relative to the random walk's, is lowest on the mean of horizons."""
    return min(baselines, key=lambda name: mean_ratio(baselines[name], baselines["random_walk"]))


def known_mean(values: Floats) -> float:
    """Mean of the finite values; NaN where there is none."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
