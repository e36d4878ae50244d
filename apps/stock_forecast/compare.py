"""The candidates side by side: classical forecasts and the three recurrent cells."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from apps.stock_forecast.datamodule import PriceDataModule
from apps.stock_forecast.evaluate import (
    Scores,
    best_baseline,
    mean_ratio,
    score_baselines,
    score_model,
)
from apps.stock_forecast.train import OPTIM, TRAINER, make_module
from core.cli import verb
from core.comparison import Candidate, Row, choose, compare, format_table
from core.nn.forecaster import ForecasterConfig
from core.nn.recurrent import CellName
from core.optim import OptimConfig
from core.training import TrainerConfig, fit
from data.windows import WindowConfig

BASELINES = ("random_walk", "ewma", "garch", "historical")
CELLS: tuple[CellName, ...] = ("rnn", "lstm", "gru")


def show(rows: list[Row]) -> None:
    """Print the table that people read; the last column divides by the best baseline."""
    baselines = {row["name"]: row["metrics"] for row in rows if row["name"] in BASELINES}
    best = min(baselines, key=lambda name: baselines[name]["crps_relative"], default="")
    print(format_table(rows, ("crps_relative", "coverage_80_mean"), best, "crps_relative"))


@verb(show)
def compare_candidates(
    data: str = "sample",
    *,
    news: Path | None = None,
    candidates: str = "all",
    seeds: int = 3,
    windows: WindowConfig = WindowConfig(),
    model: ForecasterConfig = ForecasterConfig(),
    optim: OptimConfig = OPTIM,
    trainer: TrainerConfig = TRAINER,
) -> list[Row]:
    """Train and score candidates on the same data with the same budget.

    Args:
        data: As for `train`.
        news: As for `train`.
        candidates: Names such as garch,gru, or all: random_walk, ewma, garch, historical, rnn,
            lstm, gru.
        seeds: How many seeds each network is trained with.
        windows: Context, horizons, split.
        model: The networks; the cell is the candidate's.
        optim: The optimiser.
        trainer: Length and clipping; the seed is the comparison's.
    """
    names = choose((*BASELINES, *CELLS), candidates)
    datamodule = PriceDataModule.from_source(data, news, windows)
    classical = score_baselines(datamodule, datamodule, datamodule.rows("test"))

    def network(cell: CellName) -> Callable[[int], tuple[int, Mapping[str, Any]]]:
        def run(seed: int) -> tuple[int, Mapping[str, Any]]:
            config, seeded = replace(model, cell=cell), replace(trainer, seed=seed)
            module = make_module(datamodule, config, optim, seed)
            loaders = (datamodule.loader("train", seed), datamodule.loader("validation", 0))
            with tempfile.TemporaryDirectory() as folder:
                fit(module, loaders, seeded, Path(folder))
            size = sum(p.numel() for p in module.model.parameters())
            scores = score_model(module.model, datamodule, datamodule.rows("test"))
            return size, summarize(scores, classical)

        return run

    def fixed(name: str) -> Callable[[int], tuple[int, Mapping[str, Any]]]:
        return lambda _: (0, summarize(classical[name], classical))

    chosen = [
        Candidate(name, network(name) if name in CELLS else fixed(name), name in CELLS)
        for name in names
    ]
    return compare(chosen, seeds)


def summarize(scores: Scores, classical: dict[str, Scores]) -> dict[str, Any]:
    """Scores by horizon, and their means beside the baselines.

    `crps_relative` is the mean over horizons of the CRPS over the random walk's,
    `crps_ratio` the same over the best baseline's.
    """
    covered = scores["coverage_80"].values()
    return {
        **scores,
        "crps_relative": mean_ratio(scores, classical["random_walk"]),
        "crps_ratio": mean_ratio(scores, classical[best_baseline(classical)]),
        "coverage_80_mean": sum(covered) / len(covered),
    }
