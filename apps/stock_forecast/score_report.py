"""Forecasters side by side: scores, intervals, tests, and scores by ticker and by regime."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from apps.stock_forecast.row_scores import (
    REGIMES,
    Floats,
    Outcomes,
    RowScores,
    best_baseline,
    known_mean,
    mean_scores,
    rank_correlations,
    row_scores,
)
from core.block_bootstrap import day_sums, mean_interval
from core.diebold_mariano import diebold_mariano

Days = NDArray[np.datetime64]


def report(
    forecasts: Mapping[str, Tensor], outcomes: Outcomes, horizons: Sequence[int]
) -> dict[str, Any]:
    """What `evaluate --json` says of a model and the classical baselines.

    Args:
        forecasts: Quantiles of the cumulative log return by forecaster, each (B, P, Q): `model`
            and the baselines, `random_walk` among them.
        outcomes: Of the same rows.
        horizons: Trading days ahead, P of them.

    Returns:
        The model's scores by horizon, and the baselines' under `baselines`. `intervals` of the
        model's means (95 %, block bootstrap over days). Against each baseline `crps_ratio` by
        horizon and `crps_ratio_mean` over the horizons, with intervals, and `dm`, the
        Diebold-Mariano test of CRPS. `always_up`: share of outcomes
        above zero. `by_ticker` and `by_regime`: the model's scores, and `crps_ratio` over
        `best_baseline`'s.
    """
    scores, losses = {}, {}
    for name, quantiles in forecasts.items():
        found = row_scores(quantiles, outcomes)
        ranked = {"rank_ic": rank_correlations(quantiles, outcomes)}
        scores[name] = {**mean_scores(found, horizons), **mean_scores(ranked, horizons)}
        losses[name] = found["crps"]  # the other rows of a baseline need not stay in memory
        if name == "model":
            model, model_ranked = found, ranked
    baselines = {name: found for name, found in scores.items() if name != "model"}
    best = best_baseline(baselines)
    regime = np.asarray(REGIMES)[outcomes.regime]
    up = {"always_up": 0.5 + 0.5 * np.sign(outcomes.target)}
    return {
        "horizons": list(horizons),
        "num_rows": len(outcomes.day),
        "num_days": len(np.unique(outcomes.day)),
        "num_tickers": len(np.unique(outcomes.ticker)),
        **scores["model"],
        **mean_scores(up, horizons),
        "intervals": {
            **_intervals({**model, **up}, outcomes.day, horizons),
            **_intervals(model_ranked, np.unique(outcomes.day), horizons),
        },
        "baselines": baselines,
        "best_baseline": best,
        "crps_ratio_mean": {
            name: mean_of_ratios(losses["model"], losses[name], outcomes.day, horizons)
            for name in baselines
        },
        "crps_ratio": {
            name: _ratios(losses["model"], losses[name], outcomes.day, horizons)
            for name in baselines
        },
        "dm": {
            name: _tests(losses["model"] - losses[name], outcomes.day, horizons)
            for name in baselines
        },
        "by_ticker": _by_group(model, losses[best], outcomes.ticker, horizons),
        "by_regime": _by_group(model, losses[best], regime, horizons),
    }


def _intervals(
    scores: RowScores, days: Days, horizons: Sequence[int]
) -> dict[str, dict[str, list[float] | None]]:
    """The interval of each mean, by metric and horizon; None where no outcome is known."""
    return {
        name: {
            str(horizon): _interval(values[:, p], np.ones(len(values)), days, horizon)
            for p, horizon in enumerate(horizons)
        }
        for name, values in scores.items()
    }


def _ratios(
    model: Floats, other: Floats, days: Days, horizons: Sequence[int]
) -> dict[str, dict[str, Any]]:
    """The model's mean loss over another's on the same rows, with its interval, by horizon."""
    return {
        str(horizon): {
            "ratio": known_mean(model[:, p]) / known_mean(other[:, p]),
            "interval": _interval(model[:, p], other[:, p], days, horizon),
        }
        for p, horizon in enumerate(horizons)
    }


def mean_of_ratios(
    model: Floats, other: Floats, days: Days, horizons: Sequence[int]
) -> dict[str, Any]:
    """Mean over the horizons of the model's mean loss over another's, with its interval."""
    known = np.isfinite(model)
    columns = np.where(np.tile(known, 2), np.concatenate([model, other], axis=1), 0.0)  # (B, 2P)
    ratios = [known_mean(model[:, p]) / known_mean(other[:, p]) for p in range(len(horizons))]
    is_whole = bool(known.any(axis=0).all())
    units = day_sums(columns, days)
    return {
        "ratio": float(np.mean(ratios)),
        "interval": mean_interval(units, horizons[-1]) if is_whole else None,
    }


def _interval(values: Floats, divisors: Floats, days: Days, horizon: int) -> list[float] | None:
    """Of the sum of values over the sum of divisors; unknown rows are left out, all (B,)."""
    known = np.isfinite(values)
    if not known.any():
        return None
    columns = np.stack([values[known], divisors[known]], axis=1)
    return mean_interval(day_sums(columns, days[known]), horizon)


def _tests(differences: Floats, days: Days, horizons: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Diebold & Mariano's test of loss differences, (B, P), averaged over tickers by day."""
    tests = {}
    for p, horizon in enumerate(horizons):
        known = np.isfinite(differences[:, p])
        columns = np.stack([differences[known, p], np.ones(int(known.sum()))], axis=1)
        sums = day_sums(columns, days[known])
        tests[str(horizon)] = asdict(diebold_mariano(sums[:, 0] / sums[:, 1], horizon))
    return tests


def _by_group(
    model: RowScores, best: Floats, groups: NDArray[np.str_], horizons: Sequence[int]
) -> dict[str, dict[str, Any]]:
    """The model's scores on the rows of each group, and its CRPS over a baseline's."""
    found = {}
    for group in np.unique(groups):
        chosen = np.flatnonzero(groups == group)
        scores = mean_scores({name: values[chosen] for name, values in model.items()}, horizons)
        reference = mean_scores({"crps": best[chosen]}, horizons)["crps"]
        found[str(group)] = {
            "num_rows": len(chosen),
            **scores,
            "crps_ratio": {h: scores["crps"][h] / reference[h] for h in reference},
        }
    return found
