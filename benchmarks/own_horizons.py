"""The app's own horizons on tickers that training has never seen, beside the classical baselines.

Every third ticker by name is left out of training. Those alone are scored, on each date after the
run's training and validation end, as `stock-forecast evaluate --data` scores other prices.
"""

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from apps.stock_forecast.datamodule import PriceDataModule, read_table
from apps.stock_forecast.evaluate import predict_baselines
from benchmarks.own_forecaster import forecast_by_seed
from benchmarks.record import ROOT, code_key, record
from core.comparison import align, interval
from core.diebold_mariano import diebold_mariano
from core.metrics import crps_from_quantiles, is_covered
from core.nn.forecaster import LEVELS
from data.windows import Rows, WindowConfig, target_of

logger = logging.getLogger(__name__)

EACH = 3  # one ticker of so many is left out of training
CLASSICAL = ("baselines", "ets", "garch", "har", "simple_baselines", "ticker_days")
BASELINES_DECIDE = (
    "apps/stock_forecast/fitted.py",
    "data/features.py",
    "data/windows.py",
    *(f"apps/stock_forecast/{name}.py" for name in CLASSICAL),
)
MEAN, BEST = "mean of ratios", "best at each"


@dataclass(frozen=True)
class Unseen:
    """What is trained on and what is forecast.

    Attributes:
        training: The tickers that are trained on.
        datamodule: The others, seen through what training fitted.
        rows: Days to forecast from, B of them.
    """

    training: PriceDataModule
    datamodule: PriceDataModule
    rows: Rows

    @classmethod
    def split(cls, data: str, windows: WindowConfig) -> "Unseen":
        """Leave out every third ticker by name, and forecast its days after what is known."""
        table = read_table(data, None)
        left_out = table["Ticker"].isin(sorted(table["Ticker"].unique())[EACH - 1 :: EACH])
        training = PriceDataModule(table[~left_out], windows)
        datamodule = PriceDataModule(table[left_out], windows, training.fitted)
        assert not set(training.history.tickers) & set(datamodule.history.tickers)
        rows = datamodule.rows_after(training.fitted.known_until + np.timedelta64(1, "D"))
        return cls(training, datamodule, rows)

    @property
    def horizons(self) -> tuple[int, ...]:
        """Trading days ahead."""
        return self.datamodule.config.horizons

    def losses(self, quantiles: np.ndarray) -> np.ndarray:
        """CRPS of each forecast, NaN where the data end before, (*S, B, P)."""
        levels = torch.tensor(LEVELS, dtype=torch.float64)
        return crps_from_quantiles(torch.from_numpy(quantiles), self._target(), levels).numpy()

    def coverage(self, quantiles: np.ndarray, share: float) -> np.ndarray:
        """How many outcomes the central interval holds at each horizon, (P,)."""
        levels = torch.tensor(LEVELS, dtype=torch.float64)
        held = is_covered(torch.from_numpy(quantiles), self._target(), levels, share)
        return held.flatten(0, -2).nanmean(0).numpy()

    def by_day(self, losses: np.ndarray) -> pd.DataFrame:
        """Losses (B, P) averaged over the tickers of a day."""
        dates = pd.Index(self.datamodule.history.dates[self.rows], name="Date")
        return pd.DataFrame(losses, index=dates, columns=self.horizons).groupby("Date").mean()

    def _target(self) -> torch.Tensor:
        return torch.from_numpy(
            target_of(self.datamodule.history, self.rows, self.horizons)
        ).double()


def main() -> None:
    """Run what is missing, record the rows and print a table per source."""
    stocknet = ROOT / "../shared/data/stocknet/prices.csv.gz"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="*", default=[str(stocknet), "sample"])
    parser.add_argument("--store", type=Path, default=ROOT / "runs/benchmarks/own_horizons")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for data in options.data:
        name = Path(data).parent.name or data
        rows = measure(name, Unseen.split(data, WindowConfig()), options.store, options.seeds)
        record("own_horizons", rows)
        print(table(rows))


def measure(name: str, unseen: Unseen, store: Path, seeds: int) -> list[dict[str, Any]]:
    """A row per baseline and horizon, and one for the mean of the ratios to the best."""
    own = forecast_by_seed(store, unseen.training, seeds, unseen.datamodule, unseen.rows)
    losses = unseen.losses(own)  # (S, B, P)
    per_seed = np.nanmean(losses, axis=1)  # (S, P)
    classical = {n: unseen.losses(q) for n, q in baselines(name, unseen, store).items()}
    base = {n: np.nanmean(found, axis=0) for n, found in classical.items()}  # each (P,)
    best = np.min(list(base.values()), axis=0)  # (P,)
    held = {share: unseen.coverage(own, share) for share in (0.8, 0.9)}
    rows = []
    for p, horizon in enumerate(unseen.horizons):
        for baseline, found in classical.items():
            days = unseen.by_day(losses.mean(0) - found)[horizon].dropna()
            test = diebold_mariano(days.tolist(), horizon)
            rows.append(
                {
                    **figures(name, str(horizon), baseline, per_seed[:, p] / base[baseline][p]),
                    "is_best": bool(base[baseline][p] == best[p]),
                    "own_crps_1000": round(1000 * per_seed[:, p].mean(), 4),
                    "its_crps_1000": round(1000 * base[baseline][p], 4),
                    "coverage_80": round(float(held[0.8][p]), 4),
                    "coverage_90": round(float(held[0.9][p]), 4),
                    "dm_statistic": round(test.statistic, 3),
                    "dm_p": round(test.p_value, 4),
                    "dm_lag": test.lag,
                    "days": test.days,
                    "dm_reason": test.reason,
                }
            )
    return [*rows, figures(name, MEAN, BEST, (per_seed / best).mean(1))]


def figures(source: str, horizon: str, baseline: str, ratios: np.ndarray) -> dict[str, Any]:
    """The ratio of CRPS and its 95 % interval over the seeds."""
    mean, half = interval(list(ratios))
    return {
        "source": source,
        "horizon": horizon,
        "baseline": baseline,
        "seeds": len(ratios),
        "ratio": round(mean, 4),
        "ratio_half_width": round(half, 4),
    }


def baselines(name: str, unseen: Unseen, store: Path) -> dict[str, np.ndarray]:
    """Quantiles of every classical baseline, each (B, P, Q); made once by the same code."""
    path = store / f"baselines-{name}-{code_key(BASELINES_DECIDE)}.npz"
    if not path.exists():
        made = predict_baselines(unseen.training, unseen.datamodule, unseen.rows)
        part = path.with_suffix(".part.npz")
        arrays: dict[str, Any] = {n: quantiles.numpy() for n, quantiles in made.items()}
        np.savez_compressed(part, **arrays)
        part.replace(path)
    return dict(np.load(path))


def table(rows: list[dict[str, Any]]) -> str:
    """Our CRPS over each baseline's, by horizon; p of Diebold-Mariano; * marks the best."""
    *cells, mean = rows
    horizons = list(dict.fromkeys(row["horizon"] for row in cells))
    lines = [[f"{mean['source']}: ours over", *(f"h={h} (p)" for h in horizons)]]
    for baseline in dict.fromkeys(row["baseline"] for row in cells):
        own = [row for row in cells if row["baseline"] == baseline]
        words = [f"{'*' * r['is_best']}{r['ratio']:.4f} ({r['dm_p']:.3f})" for r in own]
        lines.append([baseline, *words])
    first = cells[:: len(lines) - 1]
    lines.append(["own CRPS x 1000", *(f"{row['own_crps_1000']:.3f}" for row in first)])
    covered = [f"{row['coverage_80']:.3f}, {row['coverage_90']:.3f}" for row in first]
    lines.append(["coverage of 80 %, 90 %", *covered])
    verdict = (
        f"mean of the ratios to the {BEST}: {mean['ratio']:.4f} ± {mean['ratio_half_width']:.4f}"
    )
    return f"{align(lines)}\n{verdict} ({mean['seeds']} seeds)"


if __name__ == "__main__":
    main()
