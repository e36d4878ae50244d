"""The candidates side by side: classical forecasts and the three recurrent cells."""

from collections.abc import Callable, Mapping, Sequence
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
from apps.stock_forecast.inference import APP
from apps.stock_forecast.train import OPTIM, TRAINER, Recipe, train_on
from core.cli import verb
from core.comparison import Candidate, Row, choose, format_table
from core.comparison import compare as compare_candidates
from core.nn.forecaster import ForecasterConfig
from core.nn.recurrent import CellName
from core.optim import OptimConfig
from core.runs import new_run_dir
from core.training import TrainerConfig
from data.windows import WindowConfig

BASELINES = ("random_walk", "ewma", "garch", "historical")
CELLS: tuple[CellName, ...] = ("rnn", "lstm", "gru")


def table(rows: Sequence[Row]) -> str:
    """The comparison for people; the last column divides by the best baseline."""
    baselines = {row["name"]: row["metrics"] for row in rows if row["name"] in BASELINES}
    best = min(baselines, key=lambda name: baselines[name]["crps_relative"], default="")
    return format_table(rows, ("crps_relative", "coverage_80_mean"), best, "crps_relative")


@verb(table)
def compare(
    data: str = "sample",
    *,
    run: Path | None = None,
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
        run: Folder for one run per network and seed; left out: runs/stock_forecast/<time>-compare.
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
    folder = new_run_dir(APP, "compare", run)
    datamodule = PriceDataModule.from_source(data, news, windows)
    classical = score_baselines(datamodule, datamodule, datamodule.rows("test"))

    def network(cell: CellName) -> Callable[[int], tuple[int, Mapping[str, Any]]]:
        def score_seed(seed: int) -> tuple[int, Mapping[str, Any]]:
            recipe = Recipe(
                model=replace(model, cell=cell), optim=optim, trainer=replace(trainer, seed=seed)
            )
            run_dir = folder / f"{cell}-seed{seed}"
            network = train_on(datamodule, recipe, {"data": data, "news": news}, run_dir)
            scores = score_model(network, datamodule, datamodule.rows("test"))
            return sum(p.numel() for p in network.parameters()), summarize(scores, classical)

        return score_seed

    def fixed(name: str) -> Callable[[int], tuple[int, Mapping[str, Any]]]:
        return lambda _: (0, summarize(classical[name], classical))

    chosen = [
        Candidate(name, network(name) if name in CELLS else fixed(name), name in CELLS)
        for name in names
    ]
    return compare_candidates(chosen, seeds)


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
