"""The days that `benchmarks.long_horizon` learns from and is scored on, and the naive fans.

The network reads three raw numbers a day and corrects a fan whose width never changes: whatever it
knows of today's volatility, it must carry in its own state.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from torch import Tensor

from core.batch import ForecastBatch
from core.metrics import crps_from_quantiles
from core.nn.forecaster import LEVELS
from data.prices import load_prices
from data.windows import (
    CLIP,
    FeatureScaler,
    PriceHistory,
    Rows,
    SplitDates,
    WindowConfig,
    build_history,
    chronological_split,
    drop_short_tickers,
    example_rows,
    make_batch,
    scale_of,
    target_of,
    training_fan,
)

SHARED = Path(__file__).parents[2] / "shared" / "data" / "stocknet" / "prices.csv.gz"
CONTEXTS = (20, 60, 120, 250)
HORIZONS = (1, 2, 3, 5, 10, 20, 40, 60)
GROUPS = {"1-5": slice(0, 4), "6-20": slice(4, 6), "21-60": slice(6, 8)}  # of HORIZONS
WINDOWS = WindowConfig(context_length=max(CONTEXTS), horizons=HORIZONS, test_share=0.24)
RAW = ("return", "log range", "log-volume change")
AS_IT_IS = FeatureScaler((0.0,) * len(RAW), (1.0,) * len(RAW))  # they are scaled by ticker already
FEWEST_DAYS = 600  # below which a ticker is left out, as in ../shared/peers/common.py
STRIDE = {"train": 20, "validation": 4, "test": 4}  # days from one scored day to the next


@dataclass(frozen=True)
class Task:
    """The same days to learn from and to be scored on for every context.

    Attributes:
        history: Raw features, and a variance that is one number per ticker.
        trailing: The same prices with the app's trailing variance, for a baseline.
        split: The dates that cut it.
        fan: What the network starts from, in units of the constant scale, (P, Q).
    """

    history: PriceHistory
    trailing: PriceHistory
    split: SplitDates
    fan: Tensor

    def rows(self, part: str) -> Rows:
        """Days of a part that have the longest context, and their outcomes within the part."""
        first, last = self.split.validation_start, self.split.test_start
        limits = {"train": (None, first), "validation": (first, last), "test": (last, None)}
        return example_rows(self.history, WINDOWS, *limits[part])

    def scored(self, part: str) -> Rows:
        """The rows of a part that are scored: every so many days, all tickers of such a day."""
        rows = self.rows(part)
        days = np.unique(self.history.dates[rows])[:: STRIDE[part]]
        return rows[np.isin(self.history.dates[rows], days)]

    def batch(self, rows: Rows, context: int) -> ForecastBatch:
        """The windows of a context that end at the given rows."""
        return make_batch(self.history, rows, replace(WINDOWS, context_length=context), AS_IT_IS)


def prepare(path: Path = SHARED) -> Task:
    """Read the prices, or the project's sample where the file is absent."""
    table = load_prices(str(path) if path.exists() else "sample")
    table = drop_short_tickers(table, WINDOWS.context_length, FEWEST_DAYS - WINDOWS.context_length)
    trailing = build_history(table)
    split = chronological_split(trailing, WINDOWS)
    raw = raw_features(table)  # (N, F)
    features, variance = np.empty_like(raw), np.empty(len(raw))
    for ticker in range(len(trailing.tickers)):
        own = trailing.ticker == ticker
        known = raw[own & (trailing.dates < split.validation_start)]
        features[own] = (raw[own] - known.mean(0)) / known.std(0)
        variance[own] = np.mean(known[:, 0] ** 2)
    history = replace(
        trailing,
        features=np.clip(features, -CLIP, CLIP).astype(np.float32),
        variance=np.stack([variance, variance], axis=1).astype(np.float32),
        feature_names=RAW,
    )
    rows = example_rows(history, WINDOWS, stop=split.validation_start)
    return Task(history, trailing, split, training_fan(history, rows, HORIZONS, LEVELS))


def raw_features(table: pd.DataFrame) -> NDArray[np.float64]:
    """Daily return, log range and log-volume change of each row, a ticker's first day 0, (N, F)."""
    logs = np.log(table[["Adj Close", "High", "Low"]]).assign(volume=np.log1p(table["Volume"]))
    changes = logs.groupby(table["Ticker"], observed=True, sort=False).diff().fillna(0.0)
    columns = [changes["Adj Close"], logs["High"] - logs["Low"], changes["volume"]]
    return np.stack([column.to_numpy() for column in columns], axis=1)


def crps_by_group(quantiles: Tensor, task: Task, rows: Rows) -> dict[str, float]:
    """Mean CRPS of cumulative returns, (B, P, Q), over each group of horizons, times 1,000."""
    target = torch.from_numpy(target_of(task.history, rows, HORIZONS))
    scores = crps_from_quantiles(quantiles, target, torch.tensor(LEVELS)).mean(0)  # (P,)
    return {name: round(1000 * float(scores[days].mean()), 4) for name, days in GROUPS.items()}


def baselines(task: Task, part: str) -> dict[str, dict[str, float]]:
    """CRPS of the fans that no network has touched.

    `untrained fan`: the training part's quantiles in units of a constant volatility per ticker,
    what every network starts from. `random walk`: the normal distribution of that volatility,
    without drift. `trailing volatility`: the app's fan, which knows today's volatility.
    """
    rows, train_rows = task.scored(part), task.rows("train")
    constant, trailing = (
        torch.from_numpy(scale_of(history, rows, HORIZONS))[..., None]
        for history in (task.history, task.trailing)
    )
    normal = torch.from_numpy(norm.ppf(LEVELS).astype(np.float32))
    known = training_fan(task.trailing, train_rows, HORIZONS, LEVELS)
    fans = {
        "random walk": constant * normal,
        "untrained fan": constant * task.fan,
        "trailing volatility": trailing * known,
    }
    return {name: crps_by_group(found, task, rows) for name, found in fans.items()}
