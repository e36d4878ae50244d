"""Prices -> features -> split by date -> batches; what a run keeps of them."""

import copy
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from core.batch import ForecastBatch
from core.loading import BatchLoader
from core.nn.forecaster import LEVELS
from core.runs import Run
from data.news import count_by_day, load_news
from data.prices import load_prices
from data.windows import (
    FeatureScaler,
    Rows,
    WindowConfig,
    build_history,
    chronological_split,
    drop_short_tickers,
    example_rows,
    make_batch,
    target_of,
    training_fan,
)

logger = logging.getLogger(__name__)

PARTS = ("train", "validation", "test")
EVALUATION_BATCH = 1024


@dataclass(frozen=True)
class Fitted:
    """What was learned from the training part before the network, kept with the run.

    Attributes:
        validation_start: First date that is not training.
        test_start: First date of the frozen test part.
        test_end: Last date of the frozen test part.
        known_until: Last date that training or validation has seen.
        scaler: Mean and deviation of the features.
        fan: The classical quantiles in units of the scale, (P, Q).
        naive_mae: Training part's mean absolute return at each horizon, (P,).
        has_news: Whether news counts are among the features.
        tickers: Those of the validation and test parts.
    """

    validation_start: np.datetime64
    test_start: np.datetime64
    test_end: np.datetime64
    known_until: np.datetime64
    scaler: FeatureScaler
    fan: torch.Tensor
    naive_mae: tuple[float, ...]
    has_news: bool
    tickers: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain containers, for the run folder."""
        dates = ("validation_start", "test_start", "test_end", "known_until")
        return {
            **{name: str(getattr(self, name)) for name in dates},
            "scaler": {"mean": self.scaler.mean, "deviation": self.scaler.deviation},
            "fan": self.fan.tolist(),
            "naive_mae": self.naive_mae,
            "has_news": self.has_news,
            "tickers": self.tickers,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Fitted":
        """The inverse of `to_json`."""
        return cls(
            validation_start=np.datetime64(value["validation_start"]),
            test_start=np.datetime64(value["test_start"]),
            test_end=np.datetime64(value["test_end"]),
            known_until=np.datetime64(value["known_until"]),
            scaler=FeatureScaler(
                tuple(value["scaler"]["mean"]), tuple(value["scaler"]["deviation"])
            ),
            fan=torch.tensor(value["fan"]),
            naive_mae=tuple(value["naive_mae"]),
            has_news=value["has_news"],
            tickers=tuple(value["tickers"]),
        )


def read_table(data: str, news: Path | None) -> pd.DataFrame:
    """The table of `load_prices`, with a column News (texts per day) where news are given."""
    prices = load_prices(data)
    if news is not None:
        prices["News"] = count_by_day(load_news(news), prices)
    return prices


class PriceDataModule:
    """The parts of a price history and their batches.

    Args:
        table: What `read_table` gives.
        config: Context, horizons, split.
        fitted: From a run; None fits on the training part.
    """

    def __init__(
        self, table: pd.DataFrame, config: WindowConfig, fitted: Fitted | None = None
    ) -> None:
        needed = config.horizons[-1] if fitted is None else config.horizons[0]
        self.table = drop_short_tickers(table, config.context_length, needed).reset_index(drop=True)
        self.config = config
        self.history = build_history(self.table, self.table.get("News"))
        self.fitted = fitted or self._fit()

    @classmethod
    def from_source(cls, data: str, news: Path | None, config: WindowConfig) -> "PriceDataModule":
        """Read, split and fit.

        Raises:
            FileNotFoundError: A source does not exist.
            ValueError: A source is wrong or too short.
        """
        return cls(read_table(data, news), config)

    @classmethod
    def from_run(cls, run: Run, table: pd.DataFrame | None = None) -> "PriceDataModule":
        """The rows that a run was split from, or others, seen through what the run fitted.

        Raises:
            ValueError: The run was trained with news and the table has none.
        """
        fitted = Fitted.from_json(run.preprocessor["prices"])
        if table is None:
            table = stored_table(run)
            table = table[table["Date"] <= pd.Timestamp(fitted.test_end)]
            table = table[table["Ticker"].isin(fitted.tickers)]
        elif fitted.has_news and "News" not in table:
            raise ValueError(f"{run.path}: was trained with news; give --news as well")
        elif not fitted.has_news:
            table = table.drop(columns="News", errors="ignore")
        return cls(table, window_config(run), fitted)

    def _fit(self) -> Fitted:
        split = chronological_split(self.history, self.config)
        rows = example_rows(self.history, self.config, stop=split.validation_start)
        if not len(rows):
            raise ValueError(
                f"no training example ends before {split.validation_start}; shorten "
                f"context_length={self.config.context_length} or add data"
            )
        horizons = self.config.horizons
        target = target_of(self.history, rows, horizons)
        fan = training_fan(self.history, rows, horizons, LEVELS)
        if not bool((fan.diff(dim=1) > 0).all()):
            raise ValueError(
                f"the prices before {split.validation_start} hardly move: their returns over "
                f"{horizons} days have no range to learn; give prices that change"
            )
        return Fitted(
            validation_start=split.validation_start,
            test_start=split.test_start,
            test_end=self.history.dates.max(),
            known_until=self.history.dates[self.history.dates < split.test_start].max(),
            scaler=FeatureScaler.fit(self.history, split.validation_start),
            fan=fan,
            naive_mae=tuple(np.abs(target).mean(0).tolist()),
            has_news="News" in self.table,
            tickers=tuple(self.history.tickers),
        )

    def continued(self, frozen: "PriceDataModule", source: str) -> "PriceDataModule":
        """The same, knowing what training will see beyond the frozen parts.

        Args:
            frozen: The run's own parts.
            source: Where the new rows come from, for the message.

        Raises:
            ValueError: Nothing new can be learned from.
        """
        rows = self.rows("train")
        if len(rows) <= len(frozen.rows("train")):
            raise ValueError(
                f"{source}: adds no training example to the run; give other tickers, or prices "
                f"that reach {self.config.horizons[-1]} days past {self.fitted.test_end}"
            )
        last = self.history.dates[rows].max()
        if last >= self.fitted.test_end:
            self.fitted = replace(self.fitted, known_until=self.history.dates.max())
        return self

    @property
    def input_size(self) -> int:
        """Features per day."""
        return self.history.features.shape[1]

    def rows(self, part: str) -> Rows:
        """Examples of a part whose outcomes lie in it too.

        Training also takes what follows the frozen test part, where a retrained run has it. In the
        test part an example needs the shortest outcome; longer ones may be missing at its end.
        """
        fitted = self.fitted
        match part:
            case "train":
                before = example_rows(self.history, self.config, stop=fitted.validation_start)
                later = example_rows(self.history, self.config, start=fitted.test_end)
                return np.concatenate([before, later])
            case "validation":
                start, stop = fitted.validation_start, fitted.test_start
                return example_rows(self.history, self.config, start=start, stop=stop)
            case "test":
                return self.rows_after(fitted.test_start)
        raise ValueError(f"part={part!r} is unknown; choose one of {', '.join(PARTS)}")

    def rows_after(self, start: np.datetime64) -> Rows:
        """Every row from a date on whose context and shortest outcome exist."""
        shortest = self.config.horizons[0]
        return example_rows(self.history, self.config, start=start, horizon=shortest)

    def at_context(self, context_length: int) -> "PriceDataModule":
        """The same prices, split and scaling, read through windows of another length.

        Rows keep their numbers, so that contexts can be compared on the same ones.

        Args:
            context_length: Trading days that a forecast reads, at least 2.
        """
        other = copy.copy(self)
        other.config = replace(self.config, context_length=context_length)
        return other

    def batch(self, rows: Rows) -> ForecastBatch:
        """Gather the windows that end at the given rows."""
        return make_batch(self.history, rows, self.config, self.fitted.scaler)

    def loader(self, part: str, seed: int) -> BatchLoader[ForecastBatch]:
        """Batches of a part: shuffled for training, in order otherwise.

        Raises:
            ValueError: The part has no example.
        """
        rows = self.rows(part)
        if not len(rows):
            raise ValueError(
                f"the {part} part has no example with context_length={self.config.context_length} "
                f"and horizon {self.config.horizons[-1]}; shorten them or add data"
            )
        if part != "train":
            pieces = np.split(rows, range(EVALUATION_BATCH, len(rows), EVALUATION_BATCH))
            return BatchLoader(lambda _: pieces, self.batch, seed)
        size = min(self.config.batch_size, len(rows))
        whole = len(rows) // size * size  # the rest of an epoch's draw waits for the next epoch
        return BatchLoader(
            lambda random: np.split(random.permutation(rows)[:whole], whole // size),
            self.batch,
            seed,
        )

    def write(self, run_dir: Path) -> None:
        """Write the parts as Parquet; what is in neither frozen part goes to training."""
        fitted, dates = self.fitted, self.history.dates
        is_frozen = self.table["Ticker"].isin(fitted.tickers).to_numpy()
        is_test = is_frozen & (dates >= fitted.test_start) & (dates <= fitted.test_end)
        is_validation = is_frozen & (dates >= fitted.validation_start) & (dates < fitted.test_start)
        chosen = {
            "train": ~is_test & ~is_validation,
            "validation": is_validation,
            "test": is_test,
        }
        folder = run_dir / "data"
        folder.mkdir(parents=True, exist_ok=True)
        for part, mask in chosen.items():
            self.table[mask].to_parquet(folder / f"{part}.parquet", index=False)


def stored_table(run: Run, parts: tuple[str, ...] = PARTS) -> pd.DataFrame:
    """The rows that a run keeps, sorted by ticker and date."""
    frames = [pd.read_parquet(run.path / "data" / f"{part}.parquet") for part in parts]
    return pd.concat(frames).sort_values(["Ticker", "Date"], ignore_index=True)


def window_config(run: Run) -> WindowConfig:
    """The run's context, horizons and split."""
    values = dict(run.config["windows"])
    return WindowConfig(**{**values, "horizons": tuple(values["horizons"])})
