"""What news add to prices: the same forecaster with more and more of its inputs, 5 seeds.

StockNet's shares over the two years that have news, 2014 and 2015; forecasts before calibration.
Each row is the CRPS on the test part over that of price only, with the interval of paired days
(blocks at least as long as the horizon): 1 lies in it where the input makes no difference that
these days can show. Goes on where it stopped.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from apps.stock_forecast.datamodule import PriceDataModule, read_table
from apps.stock_forecast.predicting import raw_quantiles
from apps.stock_forecast.train import OPTIM, TRAINER, make_module
from benchmarks.record import record, standing
from core.block_bootstrap import day_sums, mean_interval
from core.metrics import crps_from_quantiles
from core.nn.forecaster import LEVELS, ForecasterConfig
from core.training import fit
from data.features import NEWS_FEATURES
from data.windows import WindowConfig, target_of

Floats = NDArray[np.float64]
SHARED = Path(__file__).parents[2] / "shared" / "data" / "stocknet"
FIRST, AFTER = "2014-01-01", "2016-01-01"  # the news end in 2015
WINDOWS: dict[str, Any] = {"context_length": 10, "horizons": (1, 5, 20)}
VARIANTS: dict[str, dict[str, Any]] = {
    "price": {"left_out": ("volume", *NEWS_FEATURES)},
    "price, volume": {"left_out": NEWS_FEATURES},
    "price, volume, count": {},
    "price, volume, lexicon": {"news_sentiment": "lexicon"},
    "price, volume, classifier": {"news_sentiment": "classifier"},
    "price, volume, encoder": {"news_encoder": True},
}
DECIDES = (
    "benchmarks/news_ablation.py",
    "core/nn/forecaster.py",
    "core/nn/gru.py",
    "core/nn/news_encoder.py",
    *(f"data/{name}.py" for name in ("features", "lexicon", "sentiment", "news", "words")),
)


def main() -> None:
    """Train and score what is not on record, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    prices = read_table(str(SHARED / "prices.csv.gz"), SHARED / "news.jsonl.gz")
    prices = prices[(prices["Date"] >= FIRST) & (prices["Date"] < AFTER)].reset_index(drop=True)
    rows = standing("news_ablation", DECIDES)
    missing = [name for name in options.variants if name not in {row["name"] for row in rows}]
    if missing:
        reference = PriceDataModule(prices, WindowConfig(**WINDOWS, **VARIANTS["price"]))
        price_only, seconds = mean_losses(reference, options.seeds)
        for name in ["fan without a network", *missing]:
            if name in VARIANTS and name != "price":
                datamodule = PriceDataModule(prices, WindowConfig(**WINDOWS, **VARIANTS[name]))
                own, cpu = mean_losses(datamodule, options.seeds)
            else:
                own = price_only if name == "price" else losses(reference, fan(reference))
                cpu = seconds if name == "price" else 0.0
            row = {"name": name, **compare(reference, own, price_only)}
            rows.append({**row, "seeds": options.seeds, "cpu_seconds": round(cpu)})
            record("news_ablation", rows[-1:], DECIDES)
    print(table(rows))


def mean_losses(datamodule: PriceDataModule, seeds: int) -> tuple[Floats, float]:
    """CRPS of each test row and horizon, the mean of the seeds, (N, P), and the CPU seconds."""
    started = time.process_time()
    every = [losses(datamodule, trained(datamodule, seed)) for seed in range(seeds)]
    return np.mean(every, axis=0), time.process_time() - started


def trained(datamodule: PriceDataModule, seed: int) -> Tensor:
    """Quantiles of a newly trained network on the test part, (N, P, Q)."""
    module = make_module(datamodule, ForecasterConfig(), OPTIM, seed)
    loaders = (datamodule.loader("train", seed), datamodule.loader("validation", 0))
    with tempfile.TemporaryDirectory() as folder:
        fit(module, loaders, replace(TRAINER, seed=seed, progress=False), Path(folder))
    return raw_quantiles(module.model, datamodule, datamodule.rows("test"))


def fan(datamodule: PriceDataModule) -> Tensor:
    """What a network starts from: the training quantiles times the trailing volatility."""
    rows = datamodule.rows("test")
    return datamodule.fitted.fan * torch.from_numpy(datamodule.scale(rows))[..., None]


def losses(datamodule: PriceDataModule, quantiles: Tensor) -> Floats:
    """CRPS of each test row and horizon, NaN without an outcome, (N, P)."""
    rows = datamodule.rows("test")
    target = target_of(datamodule.history, rows, datamodule.config.horizons)
    levels = torch.tensor(LEVELS, dtype=torch.float64)
    return crps_from_quantiles(
        quantiles.double(), torch.from_numpy(target).double(), levels
    ).numpy()


def compare(datamodule: PriceDataModule, own: Floats, reference: Floats) -> dict[str, Any]:
    """CRPS over that of price only by horizon, with the 95 % interval of paired days."""
    days = datamodule.history.dates[datamodule.rows("test")]
    row: dict[str, Any] = {}
    for p, horizon in enumerate(datamodule.config.horizons):
        known = np.isfinite(own[:, p])
        units = day_sums(np.stack([own[known, p], reference[known, p]], axis=1), days[known])
        row[f"ratio_{horizon}"] = round(float(units[:, 0].sum() / units[:, 1].sum()), 5)
        row[f"interval_{horizon}"] = [round(end, 5) for end in mean_interval(units, horizon)]
        row[f"crps_{horizon}"] = round(float(own[known, p].mean()), 7)
        row[f"days_{horizon}"] = len(units)
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """Ratios and intervals by horizon."""
    horizons = WINDOWS["horizons"]
    lines = ["CRPS over that of price only, 95 % interval of paired days"]
    lines.append(f"{'':<28}" + "".join(f"{f'h={h}':<28}" for h in horizons))
    for row in rows:
        ends = {h: "{:.4f} to {:.4f}".format(*row[f"interval_{h}"]) for h in horizons}
        cells = (f"{row[f'ratio_{h}']:.4f} ({ends[h]})" for h in horizons)
        lines.append(f"{row['name']:<28}" + "".join(f"{cell:<28}" for cell in cells))
    clear = [
        f"{row['name']} at {h} days"
        for row in rows
        for h in horizons
        if "price," in row["name"] and row[f"interval_{h}"][1] < 1
    ]
    lines.append(f"below 1 with the whole interval: {', '.join(clear) or 'nothing'}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
