"""Memory and time of a price history: reading it, its features, and one epoch's batches.

Synthetic prices of 20 years at 50, 150 and 500 tickers, each in a process of its own. Memory is
the process's peak beyond that of one which imports the same modules and nothing more; `raw_mib` is
what pandas says that the table of prices takes. `table` starts from that table in memory, `csv`
from a folder of files, one a ticker, through the project's reader.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from apps.stock_forecast.datamodule import PriceDataModule, read_table
from benchmarks.record import record
from data.prices import NUMBER_COLUMNS
from data.windows import WindowConfig

SIZES = (50, 150, 500)
DAYS = 5040  # 20 years


def main() -> None:
    """Measure every size and record a row each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tickers", type=int, nargs="+", default=SIZES)
    parser.add_argument("--sources", nargs="+", default=["table", "csv"], help="table, csv")
    parser.add_argument("--measure", help="used by this script itself")
    options = parser.parse_args()
    if options.measure:
        torch.set_num_threads(1)
        print(json.dumps(measure(options.measure, options.tickers[0])))
        return
    rows = []
    imports = child("imports", 0)["peak_mib"]
    for source in options.sources:
        for tickers in options.tickers:
            row = {"source": source, "tickers": tickers, **child(source, tickers)}
            row["beyond_imports_mib"] = round(row["peak_mib"] - imports, 1)
            row["times_raw"] = round(row["beyond_imports_mib"] / row["raw_mib"], 2)
            row["cpu_ms_per_ticker"] = round(1000 * row["cpu_seconds"] / tickers, 1)
            rows.append(row)
    record("price_memory", rows)


def child(source: str, tickers: int) -> dict[str, Any]:
    """One measurement; the files that it reads are written by yet another process."""
    with TemporaryDirectory() as folder:
        if source == "csv":
            write_files(tickers, Path(folder))
        what = folder if source == "csv" else source
        words = ["-m", "benchmarks.price_memory", "--measure", what, "--tickers", str(tickers)]
        done = subprocess.run(
            [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
        )
    return json.loads(done.stdout.splitlines()[-1])


def measure(source: str, tickers: int) -> dict[str, Any]:
    """Peak and CPU time of one process; the time to make up a table does not count."""
    if source == "imports":
        return {"peak_mib": peak_mib()}
    table = made_up(tickers) if source == "table" else None
    started = time.process_time()
    if table is None:
        table = read_table(source, None)
    raw = table.memory_usage(deep=True).sum() / 2**20
    read = peak_mib()
    datamodule = PriceDataModule(table, WindowConfig())
    prepared = peak_mib()
    examples = sum(len(batch.inputs) for batch in datamodule.loader("train", 0))
    return {
        "raw_mib": round(raw, 1),
        "peak_mib": peak_mib(),
        "read_mib": read,
        "prepared_mib": prepared,
        "examples": examples,
        "cpu_seconds": round(time.process_time() - started, 2),
    }


def made_up(tickers: int) -> pd.DataFrame:
    """Prices as `load_prices` gives them, made in place: no second copy."""
    names = pa.chunked_array([pa.repeat(f"T{k:03d}", DAYS) for k in range(tickers)])
    dates = np.tile(pd.bdate_range("2000-01-03", periods=DAYS).to_numpy("M8[us]"), tickers)
    numbers = np.empty((len(NUMBER_COLUMNS), tickers * DAYS))
    for k in range(tickers):
        numbers[:, k * DAYS : (k + 1) * DAYS] = walk(k)
    table = pd.DataFrame(numbers.T, columns=list(NUMBER_COLUMNS), copy=False)
    table.insert(0, "Ticker", pd.arrays.ArrowStringArray(names.cast("large_string")))
    table.insert(1, "Date", dates)
    pa.default_memory_pool().release_unused()  # what making it up took is not the table's
    return table


def walk(seed: int) -> np.ndarray:
    """One ticker's random walk, (columns, DAYS)."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, DAYS)))
    opening = close * np.exp(random.normal(0, 0.005, DAYS))
    high, low = np.maximum(opening, close) * 1.004, np.minimum(opening, close) * 0.996
    volume = random.integers(10**5, 10**7, DAYS)
    return np.stack([opening, high, low, close, close, volume])


def write_files(tickers: int, folder: Path) -> None:
    """One CSV a ticker, as Yahoo gives them."""
    dates = pd.bdate_range("2000-01-03", periods=DAYS)
    for k in range(tickers):
        frame = pd.DataFrame(walk(k).T, index=dates, columns=list(NUMBER_COLUMNS))
        frame.rename_axis("Date").to_csv(folder / f"T{k:03d}.csv", float_format="%.4f")


def peak_mib() -> float:
    """The most memory that this process has held, in MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


if __name__ == "__main__":
    main()
