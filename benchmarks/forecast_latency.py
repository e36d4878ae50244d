"""Forecasting 500 tickers at 4 horizons from a table in memory, on one thread, after loading.

The run is trained for one short epoch on a few made-up tickers: the time of a forecast depends on
the network's size (the app's default), not on its weights. Wall time of a call of
`StockForecaster.forecast`, the median and the least of several; CPU time beside it, because wall
time on a shared machine says little.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from apps.stock_forecast.datamodule import PriceDataModule
from apps.stock_forecast.inference import StockForecaster
from apps.stock_forecast.train import OPTIM, Recipe, train_on
from benchmarks.price_memory import made_up
from benchmarks.record import record
from core.nn.forecaster import ForecasterConfig
from core.runs import load_run
from core.training import TrainerConfig
from data.windows import WindowConfig

DAYS_A_YEAR = 252
ENGINES = ("torch", "onnx")


def main() -> None:
    """Train a run, time both engines and record a row each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tickers", type=int, default=500)
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--engine", choices=ENGINES, nargs="+", default=ENGINES)
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = last_years(made_up(options.tickers), options.years)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder) / "run"
        trained(run_dir)
        for engine in options.engine:
            forecaster = StockForecaster.from_run(load_run(run_dir, "stock_forecast"), engine)
            wall, cpu = seconds(forecaster, table, options.repeats)
            rows.append(
                {
                    "engine": engine,
                    "tickers": options.tickers,
                    "days_a_ticker": len(table) // options.tickers,
                    "horizons": len(WindowConfig().horizons),
                    "wall_seconds_median": round(float(np.median(wall)), 2),
                    "wall_seconds_least": round(min(wall), 2),
                    "cpu_seconds_median": round(float(np.median(cpu)), 2),
                    "cpu_seconds_most": round(max(cpu), 2),
                    "repeats": options.repeats,
                }
            )
    record("forecast_latency", rows)


def last_years(table: pd.DataFrame, years: int) -> pd.DataFrame:
    """Each ticker's last years."""
    return table.groupby("Ticker").tail(years * DAYS_A_YEAR).reset_index(drop=True)


def trained(run_dir: Path) -> None:
    """A run of the app's default network."""
    datamodule = PriceDataModule(last_years(made_up(2), 3), WindowConfig())
    recipe = Recipe(
        model=ForecasterConfig(),
        optim=OPTIM,
        trainer=TrainerConfig(max_epochs=1, progress=False),
    )
    train_on(datamodule, recipe, {"data": "made up", "news": None}, run_dir)


def seconds(
    forecaster: StockForecaster, table: pd.DataFrame, repeats: int
) -> tuple[list[float], list[float]]:
    """Wall and CPU time of each call; the first warms up and does not count."""
    wall, cpu = [], []
    for _ in range(repeats + 1):
        started, cpu_started = time.perf_counter(), time.process_time()
        result = forecaster.forecast(table)
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - cpu_started)
    assert len(result["forecasts"]) == table["Ticker"].nunique() * len(WindowConfig().horizons)
    return wall[1:], cpu[1:]


if __name__ == "__main__":
    main()
