"""Training the forecaster: beside its peers, and what Lightning costs over a plain torch loop.

Every side has a GRU of two layers of 64 units, contexts of 60 days, 20 horizons and batches of
128, on the shared StockNet prices and one thread; a figure is steps per CPU-second after the first
20 steps. Sides take turns, so that a busy machine slows all of them. The peers stand in an
environment of their own:

    python -m benchmarks.forecast_speed --peer_python PATH/bin/python

`ours, fit` is the project's own path with its default callbacks and loggers; `ours, plain loop`
takes the same batches through the same network, loss, clipping, optimiser and schedule.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from apps.stock_forecast.datamodule import PriceDataModule
from apps.stock_forecast.train import OPTIM, make_module
from benchmarks.record import record
from core.batch import ForecastBatch
from core.clipping import clip_gradients
from core.loading import BatchLoader
from core.memory import keep_freed_memory
from core.metrics import pinball_loss
from core.nn.forecaster import ForecasterConfig
from core.optim import make_optimizer
from core.training import TrainerConfig, fit
from data.windows import WindowConfig

PEERS = Path(__file__).parents[2] / "shared" / "peers"
PRICES = PEERS.parent / "data" / "stocknet" / "prices.csv.gz"
WINDOWS = WindowConfig(context_length=60, horizons=tuple(range(1, 21)), batch_size=128)
MODEL = ForecasterConfig(cell="gru", hidden_size=64, num_layers=2, dropout=0.0)
WARM_UP = 20  # steps that do not count, as in the peer scripts
PEER_SIDES = {
    "neuralforecast GRU": ("nf_peer.py", "GRU", "max_steps=120"),
    "pytorch-forecasting DeepAR": ("pf_peer.py", "model=DeepAR", "steps=60"),
}
OURS, PLAIN = "ours, fit", "ours, plain loop"


def main() -> None:
    """Measure every side in turn and record one row each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", type=Path, default=PEERS, help="folder of nf_peer.py and others")
    parser.add_argument(
        "--peer_python",
        default=os.environ.get("FORECAST_PEER_PYTHON"),
        help="Python that has the peers (or FORECAST_PEER_PYTHON); left out: our side alone",
    )
    parser.add_argument("--steps", type=int, default=220, help="of our side; 20 do not count")
    parser.add_argument("--repeats", type=int, default=3, help="turns of our two sides")
    parser.add_argument("--peer_repeats", type=int, default=3, help="turns that peers take part in")
    options = parser.parse_args()
    if not PRICES.exists():
        print(f"skipped: {PRICES} does not exist")
        return
    torch.set_num_threads(1)
    keep_freed_memory()
    datamodule = PriceDataModule.from_source(str(PRICES), None, WINDOWS)
    sides: dict[str, Callable[[], dict[str, float]]] = {
        OURS: lambda: by_fit(datamodule, options.steps),
        PLAIN: lambda: by_plain_loop(datamodule, options.steps),
    }
    peers = PEER_SIDES if options.peer_python else {}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in (*peers, *sides)}
    for turn in range(options.repeats):
        order = list(sides.items())[:: 1 if turn % 2 else -1]
        for name, measure in order:
            found[name].append(measure())
        if turn < options.peer_repeats:
            for name, words in peers.items():
                found[name].append(by_peer(options.peer_python, options.peers, words))
    record("forecast_speed", table(found))


def by_peer(python: str, folder: Path, words: tuple[str, ...]) -> dict[str, float]:
    """One peer's training; it also scores its forecasts, which is not part of the figure."""
    script, *choices = words
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(
            [python, "-W", "ignore", str(folder.resolve() / script), *choices],
            cwd=name,
            check=True,
            capture_output=True,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": name,
                "OMP_NUM_THREADS": "1",
                "FC_THREADS": "1",
                "PRICES": str(PRICES),
            },
        )
        row = json.loads((Path(name) / "results.jsonl").read_text().splitlines()[-1])
    return {"steps_per_cpu_second": row["steps_per_cpu_s"], "parameters": row["params"]}


def by_fit(datamodule: PriceDataModule, steps: int) -> dict[str, float]:
    """The project's own path; as the peers are set to validate never, it does so on one batch.

    The time of a step runs from the request for its batch to the request for the next one, so
    that everything that happens in between counts.
    """
    module = make_module(datamodule, MODEL, OPTIM, 0)
    asked: list[float] = []

    def collate(rows: np.ndarray) -> ForecastBatch:
        asked.append(time.process_time())
        return datamodule.batch(rows)

    loader = BatchLoader(lambda random: plan(datamodule, random, steps + 1), collate, 0)
    validation = BatchLoader(lambda _: [datamodule.rows("validation")[:1]], datamodule.batch, 0)
    with tempfile.TemporaryDirectory() as name:
        fit(module, (loader, validation), TrainerConfig(max_epochs=1), Path(name))
    return speed(asked, module)


def by_plain_loop(datamodule: PriceDataModule, steps: int) -> dict[str, float]:
    """The same steps without Lightning, callbacks and logs."""
    module = make_module(datamodule, MODEL, OPTIM, 0)
    chosen = make_optimizer(module, OPTIM, steps + 1)
    optimizer, schedule = chosen["optimizer"], chosen["lr_scheduler"]["scheduler"]
    asked: list[float] = []
    for rows in plan(datamodule, np.random.default_rng([0, 0]), steps + 1):
        asked.append(time.process_time())
        batch = datamodule.batch(rows)
        quantiles = module.model(batch.inputs)
        loss = pinball_loss(quantiles, batch.target / batch.scale, module.model.levels)
        optimizer.zero_grad()
        loss.backward()
        clip_gradients(module.parameters(), norm=TrainerConfig().clip_norm, value=0, adaptive=0)
        optimizer.step()
        schedule.step()
    return speed(asked, module)


def plan(datamodule: PriceDataModule, random: np.random.Generator, steps: int) -> list[np.ndarray]:
    """So many training batches, epoch after epoch, in a drawn order."""

    def batches() -> Iterator[np.ndarray]:
        while True:
            yield from datamodule.loader("train", 0).plan(random)

    return list(islice(batches(), steps))


def speed(asked: list[float], module: torch.nn.Module) -> dict[str, float]:
    """Steps per CPU-second, from the times at which batches were asked for."""
    seconds = asked[-1] - asked[WARM_UP]
    return {
        "steps_per_cpu_second": (len(asked) - 1 - WARM_UP) / seconds,
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
    }


def table(found: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    """Median and spread of each side; ratios are medians over the turns that both sides took."""
    speeds = {
        name: np.array([one["steps_per_cpu_second"] for one in turns])
        for name, turns in found.items()
    }
    ours, plain = speeds[OURS], speeds[PLAIN]
    overhead = 100 * (plain / ours - 1)
    rows: list[dict[str, Any]] = []
    for name, each in speeds.items():
        ratios = ours[: len(each)] / each
        rows.append(
            {
                "side": name,
                "parameters": int(found[name][0]["parameters"]),
                "steps_per_cpu_second": round(float(np.median(each)), 2),
                "least": round(float(each.min()), 2),
                "most": round(float(each.max()), 2),
                "turns": len(each),
                "ours_times": round(float(np.median(ratios)), 2),
                "ours_times_least": round(float(ratios.min()), 2),
            }
        )
        if name == OURS:
            rows[-1]["overhead_percent"] = round(float(np.median(overhead)), 1)
            rows[-1]["overhead_most"] = round(float(overhead.max()), 1)
    return rows


if __name__ == "__main__":
    main()
