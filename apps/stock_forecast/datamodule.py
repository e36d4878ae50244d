"""Prices -> features -> split by date -> batches; what a run keeps of them."""

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from apps.stock_forecast.fitted import Fitted, fit_parts
from apps.stock_forecast.stored import PARTS, stored_fitted, stored_table, window_config
from core.batch import ForecastBatch
from core.challenge import NothingNew
from core.loading import BatchLoader, Rehearsal
from core.memory import give_back
from core.runs import Run
from data.day_texts import DayTexts
from data.drift import ExcessDrift
from data.lexicon import lexicon_scores
from data.news import load_news, news_by_day
from data.prices import load_prices
from data.sentiment import TextClassifier
from data.windows import (
    Rows,
    SplitDates,
    WindowConfig,
    build_history,
    choose_features,
    chronological_split,
    drop_short_tickers,
    example_rows,
    feature_names,
    make_batch,
)

logger = logging.getLogger(__name__)

EVALUATION_BATCH = 1024
NEW_TEST_SHARE = 0.2  # of the days after all that a run has
GATHERED = 64  # rows read at once: each pulls its surroundings in the file into memory


def read_table(data: str, news: Path | None, offline: bool = False) -> pd.DataFrame:
    """The table of `load_prices`, with the columns of `news_by_day` where news are given.

    Args:
        data: As for `load_prices`.
        news: A file of dated texts, or None.
        offline: Never ask Yahoo; read what the cache has.
    """
    prices = load_prices(data, offline=offline)
    if news is not None:
        prices = prices.join(news_by_day(load_news(news), prices))
    return prices


class PriceDataModule:
    """The parts of a price history and their batches.

    Args:
        table: What `read_table` gives.
        config: Context, horizons, split.
        fitted: From a run; None fits on the training part.
        split: Where to cut before fitting; None cuts by the shares of `config`.

    Raises:
        ValueError: A source is too short, or news are asked for and not there.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        config: WindowConfig,
        fitted: Fitted | None = None,
        split: SplitDates | None = None,
    ) -> None:
        needed = config.horizons[-1] if fitted is None else 0  # the last day can be forecast
        self.held_back: np.datetime64 | None = None  # first day of the hold-out of new data
        self.rehearsal = Rehearsal(0, 0.0)
        self._ordered: Rows | None = None  # training rows of which the first are old
        self.table = drop_short_tickers(table, config.context_length, needed).reset_index(drop=True)
        self.config = config
        if (config.news_sentiment != "none" or config.news_encoder) and "News" not in table:
            raise ValueError(
                f"news_sentiment={config.news_sentiment}, news_encoder={config.news_encoder}: "
                "there are no texts; give --news FILE"
            )
        self.history = build_history(self.table, self.table.get("News"))
        self.drift = ExcessDrift.of(self.history)
        give_back()
        self.texts = (
            DayTexts.of(self.table["Texts"].to_numpy(object)) if config.news_encoder else None
        )
        if fitted is None:
            split = split or chronological_split(self.history, config)
            classifier = self._fit_classifier(split)
            self._choose_features(classifier)
            has_news = "News" in self.table
            self.fitted = fit_parts(
                self.history, self.drift, config, split, has_news=has_news, classifier=classifier
            )
        else:
            self._choose_features(fitted.classifier)
            self.fitted = fitted
        self.history.release()
        give_back()

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process, which computes the rows anew: they lie in files without a name."""
        return _from_parts, (self.table, self.config, self.fitted)

    @classmethod
    def from_source(
        cls, data: str, news: Path | None, config: WindowConfig, offline: bool = False
    ) -> "PriceDataModule":
        """Read, as `read_table` does, split and fit.

        Raises:
            FileNotFoundError: A source does not exist.
            ValueError: A source is wrong or too short.
        """
        return cls(read_table(data, news, offline), config)

    @classmethod
    def from_run(cls, run: Run, table: pd.DataFrame | None = None) -> "PriceDataModule":
        """The rows that a run was split from, or others, seen through what the run fitted.

        Raises:
            ValueError: The run was trained with news and the table has none, or what the run keeps
                is spoilt.
        """
        fitted = stored_fitted(run)
        if table is None:
            table = stored_table(run)
            table = table[table["Date"] <= pd.Timestamp(fitted.test_end)]
            table = table[table["Ticker"].isin(fitted.tickers)]
            if table.empty or (fitted.has_news and not {"News", "Texts"} <= set(table)):
                raise ValueError(
                    f"{run.path / 'data'}: holds not the rows that the run was split from; restore "
                    "it or train again"
                )
        elif fitted.has_news and "News" not in table:
            raise ValueError(f"{run.path}: was trained with news; give --news as well")
        elif not fitted.has_news:
            table = table.drop(columns=["News", "Texts"], errors="ignore")
        return cls(table, window_config(run), fitted)

    def _choose_features(self, classifier: TextClassifier | None) -> None:
        names = feature_names(self.config, "News" in self.table)
        self.history = choose_features(self.history, names, self._sentiment(classifier))

    def _fit_classifier(self, split: SplitDates) -> TextClassifier | None:
        if self.config.news_sentiment != "classifier":
            return None
        texts = self.table["Texts"].to_numpy(object)
        return TextClassifier.fit(texts, self.history, split.validation_start)

    def _sentiment(self, classifier: TextClassifier | None) -> NDArray[np.float32] | None:
        """The score of each row's texts, (N,); None where the configuration asks for none."""
        if self.config.news_sentiment == "none":
            return None
        texts = self.table["Texts"].to_numpy(object)
        if classifier is None:
            return lexicon_scores(texts)
        return classifier.scores(texts, self.history.dates)

    def learning_again(self, before: "PriceDataModule", old_share: float) -> "PriceDataModule":
        """The same for a network that learned from some of it: new rows to learn, new ones to test.

        Of the days after all that the run has, the last `NEW_TEST_SHARE` are held out, and of new
        tickers the days of the frozen test part. Old examples are mixed into the new ones.

        Args:
            before: All that the run keeps, seen through what it fitted.
            old_share: As in `Rehearsal`.

        Raises:
            NothingNew: No new example to learn from or to test on.
        """
        fitted = self.fitted
        known = _keys(before, before.rows("train"))
        later = example_rows(self.history, self.config, start=fitted.test_end)
        later = later[~_keys(self, later).isin(known)]
        if len(later):
            days = np.unique(self.history.dates[later])
            self.held_back = days[int((1 - NEW_TEST_SHARE) * len(days))]
        rows = self.rows("train")
        is_old = _keys(self, rows).isin(known)
        self._ordered = np.concatenate([rows[is_old], rows[~is_old]])
        self.rehearsal = Rehearsal(int(is_old.sum()), old_share)
        if is_old.all() or not len(self.new_test_rows()):
            # Four fifths of the new days that have an outcome must leave room for one themselves.
            far = self.config.horizons[-1]
            needed = math.ceil(far / (1 - NEW_TEST_SHARE)) + far + 1
            count = int((np.unique(self.history.dates) > before.last_day).sum())
            raise NothingNew(
                f"{(~is_old).sum()} examples are new to the run: give other tickers, or at least "
                f"{needed} trading days past {before.last_day} (there are {count})"
            )
        if self.held_back is not None:
            self.fitted = replace(fitted, known_until=self.held_back - np.timedelta64(1, "D"))
        return self

    def new_test_rows(self) -> Rows:
        """The hold-out of the new data, see `learning_again`.

        Of the days that are held back the shortest outcome is known; those of new tickers lie in
        the frozen test part with all their outcomes, because what follows it is trained on.
        """
        fitted = self.fitted
        end = fitted.test_end + np.timedelta64(1, "D")
        among = example_rows(self.history, self.config, start=fitted.test_start, stop=end)
        names = np.asarray(self.history.tickers)[self.history.ticker[among]]
        of_new_tickers = among[~np.isin(names, fitted.tickers)]
        if self.held_back is None:
            return of_new_tickers
        return np.union1d(of_new_tickers, self.rows_after(self.held_back))

    def new_examples(self) -> Rows:
        """The training rows that the network has not learned from."""
        return (
            np.empty(0, int) if self._ordered is None else self._ordered[self.rehearsal.num_old :]
        )

    @property
    def last_day(self) -> np.datetime64:
        """The last day that there are prices of."""
        return self.history.dates.max()

    @property
    def input_size(self) -> int:
        """Features per day."""
        return self.history.features.shape[1]

    def rows(self, part: str) -> Rows:
        """Examples of a part whose outcomes lie in it too.

        Training also takes what follows the frozen test part, where a retrained run has it, as far
        as that is not held back. In the test part an example needs the shortest outcome; longer
        ones may be missing at its end.
        """
        fitted = self.fitted
        match part:
            case "train":
                before = example_rows(self.history, self.config, stop=fitted.validation_start)
                later = example_rows(
                    self.history, self.config, start=fitted.test_end, stop=self.held_back
                )
                return np.concatenate([before, later]) if len(later) else before
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
        other = PriceDataModule.__new__(PriceDataModule)
        vars(other).update(vars(self))
        other.config = replace(self.config, context_length=context_length)
        return other

    def batch(self, rows: Rows) -> ForecastBatch:
        """Gather the windows that end at the given rows; the target is less `location`."""
        inputs, scale, target = (
            torch.cat(column)
            for column in zip(
                *(self._gather(piece) for piece in self.history.pieces(rows, GATHERED)),
                strict=True,
            )
        )
        batch = ForecastBatch(inputs, scale, target)
        if self.texts is None:
            return batch
        return batch._replace(news=self.texts.batch(rows, self.config.context_length))

    def _gather(self, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
        batch = make_batch(self.history, rows, self.config, self.fitted.scaler)
        target = batch.target - torch.from_numpy(self.location(rows))
        return batch.inputs, torch.from_numpy(self.scale(rows)), target

    def location(self, rows: Rows) -> NDArray[np.float32]:
        """Return expected of the ticker beyond the others over each horizon, (B, P)."""
        return self.fitted.drift.location(self.drift, rows, self.config.horizons)

    def scale(self, rows: Rows) -> NDArray[np.float32]:
        """Expected size of the return over each horizon, known at each row, (B, P)."""
        fitted, horizons = self.fitted, self.config.horizons
        return fitted.regression.scale(self.history, rows, horizons, fitted.scaler)

    def loader(self, part: str, seed: int) -> BatchLoader[ForecastBatch]:
        """Batches of a part: shuffled for training, in order otherwise.

        Raises:
            ValueError: The part has no example.
        """
        rows = self.rows(part) if part != "train" or self._ordered is None else self._ordered
        if not len(rows):
            raise ValueError(
                f"the {part} part has no example with context_length={self.config.context_length} "
                f"and horizon {self.config.horizons[-1]}; shorten them or add data"
            )
        if part != "train":
            pieces = np.split(rows, range(EVALUATION_BATCH, len(rows), EVALUATION_BATCH))
            return BatchLoader(lambda _: pieces, self.batch, seed, is_training=False)

        def plan(random: np.random.Generator) -> list[Rows]:
            drawn = random.permutation(rows[self.rehearsal.draw(len(rows), random)])
            size = min(self.config.batch_size, len(drawn))
            whole = len(drawn) // size * size  # the rest of a draw waits for the next epoch
            return np.split(drawn[:whole], whole // size)

        return BatchLoader(plan, self.batch, seed)

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


def _keys(datamodule: PriceDataModule, rows: Rows) -> pd.MultiIndex:
    """Ticker and date of rows."""
    history = datamodule.history
    names = np.asarray(history.tickers)[history.ticker[rows]]
    return pd.MultiIndex.from_arrays([names, history.dates[rows]])


def _from_parts(table: pd.DataFrame, config: WindowConfig, fitted: Fitted) -> PriceDataModule:
    """The same again, with the rows numbered as they were: the shortest context drops no ticker."""
    datamodule = PriceDataModule(table, replace(config, context_length=2), fitted)
    return datamodule.at_context(config.context_length)
