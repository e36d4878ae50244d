"""Chronological split, sliding windows without copies, and scaling by the training part."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from core.batch import ForecastBatch
from data.features import FEATURES, NEWS_FEATURES, SENTIMENT_FEATURE, computed_rows
from data.row_file import RowFile
from data.words import NUM_BUCKETS

logger = logging.getLogger(__name__)

Rows = NDArray[np.integer[Any]]
CLIP = 5.0  # training standard deviations past which a feature is cut
PERSISTENCE = 0.96  # share of the short-term variance's deviation that is left a day later
PIECE = 16_384  # rows that are gathered at a time


@dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """How a price history is cut into examples.

    Attributes:
        context_length: Trading days that a forecast reads, at least 2.
        horizons: Trading days ahead, rising, at least 1.
        validation_share: Share of the dates, just before the test part, in (0, 1).
        test_share: Share of the dates, the last ones, in (0, 1).
        batch_size: Examples a step, at least 1.
        news_sentiment: How the day's texts are scored, where there are news: not at all, by the
            word lists of `data.lexicon`, or by a classifier fitted on the training part
            (`data.sentiment`).
        news_encoder: Let the model read the words of the last days' texts (`data.day_texts`).
        left_out: Features that the model does not see, by name.
    """

    context_length: int = 60
    horizons: tuple[int, ...] = (1, 5, 20, 60)
    validation_share: float = 0.15
    test_share: float = 0.2
    batch_size: int = 256
    news_sentiment: Literal["none", "lexicon", "classifier"] = "none"
    news_encoder: bool = False
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = (*FEATURES, *NEWS_FEATURES, SENTIMENT_FEATURE)
        if strangers := [name for name in self.left_out if name not in names]:
            raise ValueError(f"left_out={strangers[0]!r} is no feature; choose from {names}")
        if not feature_names(self, has_news=False):
            raise ValueError(f"left_out={self.left_out} leaves no feature; leave out fewer")
        if self.batch_size < 1:
            raise ValueError(f"batch_size={self.batch_size} must be at least 1")
        if self.context_length < 2:
            raise ValueError(f"context_length={self.context_length} must be at least 2")
        rising = all(a < b for a, b in pairwise(self.horizons))
        if not self.horizons or self.horizons[0] < 1 or not rising:
            raise ValueError(f"horizons={self.horizons} must be rising and at least 1: 1,5,20")
        if not (self.validation_share > 0 and self.test_share > 0) or (
            self.validation_share + self.test_share >= 1
        ):
            raise ValueError(
                f"validation_share={self.validation_share} and test_share={self.test_share} "
                "must be positive and leave dates for training: 0.15 and 0.2"
            )


def vocab_size(config: WindowConfig) -> int:
    """Words of the texts that the model reads; 0 where it reads none."""
    return NUM_BUCKETS if config.news_encoder else 0


def feature_names(config: WindowConfig, has_news: bool) -> tuple[str, ...]:
    """What the model sees of each day, in order.

    Args:
        config: The choices.
        has_news: Whether there are news; without them there is no sentiment.
    """
    names = FEATURES + NEWS_FEATURES * has_news
    if has_news and config.news_sentiment != "none":
        names += (SENTIMENT_FEATURE,)
    return tuple(name for name in names if name not in config.left_out)


@dataclass(frozen=True)
class SplitDates:
    """The two dates that cut every ticker: training | validation | test.

    Attributes:
        validation_start: First date of validation.
        test_start: First date of the test part.
    """

    validation_start: np.datetime64
    test_start: np.datetime64


@dataclass(frozen=True)
class PriceHistory:
    """All tickers' days in one block of arrays, row i one ticker's day.

    What is computed lies in a file without a name, so that a long history costs little memory
    beside its prices; a pass over many rows lets go of them as it goes (`parts`, `pieces`).

    Attributes:
        tickers: Names, (K,).
        first: First row of each ticker, and the number of rows, (K + 1,).
        ticker: Number of each row's ticker, (N,).
        dates: Trading days, (N,).
        close: Closing prices as traded, (N,).
        log_price: Logarithm of the adjusted close, (N,).
        features: Unscaled features, (N, F).
        variance: Trailing variance per day, short and long, (N, 2).
        daily_range: Variance of each day from its open, high, low and close, (N,).
        drift: Mean daily return beyond the other tickers' and its error, as `data.drift` reads
            them, (N, 2).
        feature_names: The F names.
        files: What holds the rows.
    """

    tickers: list[str]
    first: Rows
    ticker: NDArray[np.int32]
    dates: NDArray[np.datetime64]
    close: NDArray[np.float64]
    log_price: NDArray[np.float64]
    features: NDArray[np.float32]
    variance: NDArray[np.float32]
    daily_range: NDArray[np.float32]
    drift: NDArray[np.float32]
    feature_names: tuple[str, ...]
    files: tuple[RowFile, ...]

    def position(self) -> Rows:
        """How many rows of its own ticker stand before each row, (N,)."""
        return np.arange(len(self.ticker)) - self.first[self.ticker]

    def remaining(self) -> Rows:
        """How many rows of its own ticker stand after each row, (N,)."""
        return self.first[self.ticker + 1] - 1 - np.arange(len(self.ticker))

    def parts(self, stop: np.datetime64) -> Iterator[slice]:
        """Each ticker's rows before a date."""
        for first, end in pairwise(self.first):
            yield slice(first, first + int(np.searchsorted(self.dates[first:end], stop)))
            self.release()

    def pieces(self, rows: Rows, size: int = PIECE) -> Iterator[Rows]:
        """The given rows, so many of them at a time."""
        for start in range(0, len(rows), size):
            yield rows[start : start + size]
            self.release()

    def release(self) -> None:
        """Let go of the rows that were read; they are read again where they are asked for."""
        for file in self.files:
            file.release()


def ticker_lengths(prices: pd.DataFrame) -> "pd.Series[int]":
    """Rows of each ticker, by name, in the order of the table; `groupby` takes more memory."""
    codes, names = pd.factorize(prices["Ticker"])
    return pd.Series(np.bincount(codes), index=names)


def drop_short_tickers(prices: pd.DataFrame, context_length: int, extra: int) -> pd.DataFrame:
    """Leave out the tickers that are too short for one example.

    Args:
        prices: The table of `load_prices`.
        context_length: Days that a forecast reads.
        extra: Days needed after them: the horizon, or 0 to forecast from the last day.

    Raises:
        ValueError: No ticker is long enough.
    """
    needed = context_length + extra
    lengths = ticker_lengths(prices)
    short = lengths[lengths < needed]
    if len(short) == len(lengths):
        raise ValueError(
            f"context_length={context_length} needs at least {needed} rows, {lengths.idxmax()} has "
            f"{lengths.max()}; shorten it or add data"
        )
    if short.empty:
        return prices
    names = ", ".join(f"{ticker} ({rows})" for ticker, rows in short.items())
    logger.warning("dropped %d tickers with fewer than %d rows: %s", len(short), needed, names)
    return prices[~prices["Ticker"].isin(short.index)]


def build_history(prices: pd.DataFrame, news: pd.Series | None = None) -> PriceHistory:
    """Compute the features of every ticker and day.

    Args:
        prices: The table of `load_prices`, sorted by ticker and date.
        news: Texts per row of `prices`, in its order (`data.news.news_by_day`), or None.
    """
    lengths = ticker_lengths(prices)
    first = np.concatenate([[0], np.cumsum(lengths)])
    dates = prices["Date"].to_numpy()
    files = (
        RowFile(computed_rows(prices, first, news)),
        RowFile(dates[slice(*ends)].astype("datetime64[D]") for ends in pairwise(first)),
        RowFile(np.full(length, k, np.int32) for k, length in enumerate(lengths)),
    )
    computed = files[0].rows
    return PriceHistory(
        tickers=[str(name) for name in lengths.index],
        first=first,
        ticker=files[2].rows,
        dates=files[1].rows,
        close=prices["Close"].to_numpy(),
        log_price=computed["log_price"],
        features=computed["features"],
        variance=computed["variance"],
        daily_range=computed["daily_range"],
        drift=computed["drift"],
        feature_names=FEATURES if news is None else FEATURES + NEWS_FEATURES,
        files=files,
    )


def choose_features(
    history: PriceHistory, names: tuple[str, ...], sentiment: NDArray[np.float32] | None
) -> PriceHistory:
    """The same history with the named features; nothing is copied where these are all.

    Args:
        history: What `build_history` gives.
        names: Of `feature_names`.
        sentiment: Score of each row's texts, (N,), where it is among the names.
    """
    if names == history.feature_names:
        return history
    features, known = history.features, history.feature_names
    if sentiment is not None:
        features = np.column_stack([features, sentiment.astype(np.float32)])
        known = (*known, SENTIMENT_FEATURE)
    columns = [known.index(name) for name in names]
    return replace(history, features=features[:, columns], feature_names=names)


def chronological_split(history: PriceHistory, config: WindowConfig) -> SplitDates:
    """Choose the two dates that cut every ticker alike.

    Raises:
        ValueError: A part would be too short for a single example.
    """
    dates = np.sort(pd.unique(history.dates))
    history.release()
    test = len(dates) - round(config.test_share * len(dates))
    validation = test - round(config.validation_share * len(dates))
    longest = config.horizons[-1]
    parts = {
        "training": (validation, config.context_length + longest),
        "validation": (test - validation, longest + 1),
        "test": (len(dates) - test, longest + 1),
    }
    for name, (length, needed) in parts.items():
        if length < needed:
            raise ValueError(
                f"the {name} part has {length} dates, context_length={config.context_length} and "
                f"horizon {longest} need at least {needed}; change the shares or add data"
            )
    return SplitDates(dates[validation], dates[test])


def example_rows(
    history: PriceHistory,
    config: WindowConfig,
    start: np.datetime64 | None = None,
    stop: np.datetime64 | None = None,
    horizon: int | None = None,
) -> Rows:
    """Rows from which a forecast can be made and scored.

    Args:
        history: The prices.
        config: Context and horizons.
        start: First date of a forecast; None for no limit.
        stop: The outcome lies before this date, so that no target reaches into the next part.
        horizon: Days ahead whose outcome must exist; None for the longest, 0 for none.

    Returns:
        Row numbers, by ticker and date.
    """
    ahead = config.horizons[-1] if horizon is None else horizon
    chosen: list[range] = []
    for first, end in pairwise(history.first.tolist()):
        days = history.dates[first:end]  # rising
        low, high = config.context_length - 1, len(days) - ahead
        if start is not None:
            low = max(low, int(np.searchsorted(days, start)))
        if stop is not None:
            high = min(high, int(np.searchsorted(days, stop)) - ahead)
        chosen.append(range(first + low, first + max(low, high)))
    rows = np.empty(sum(map(len, chosen)), np.int32)  # a long history has many
    filled = 0
    for part in chosen:
        rows[filled : filled + len(part)] = np.arange(part.start, part.stop)
        filled += len(part)
    return rows


def windows_of(features: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Every run of `length` rows as a view that shares the features' memory, (N - L + 1, L, F)."""
    return np.lib.stride_tricks.sliding_window_view(features, length, axis=0).swapaxes(1, 2)


def scale_of(history: PriceHistory, rows: Rows, horizons: tuple[int, ...]) -> NDArray[np.float32]:
    """Trailing volatility times the square root of the horizon, known at each row, (B, P).

    The variance per day starts at the short-term one and returns to the long-term one, as in
    GARCH(1,1) with a fixed persistence; the mean over the horizon has a closed form.
    """
    days = np.asarray(horizons, np.float32)
    weight = (1 - PERSISTENCE**days) / (days * (1 - PERSISTENCE))  # (P,)
    short, long = history.variance[rows, 0, None], history.variance[rows, 1, None]  # (B, 1)
    return np.sqrt((long + (short - long) * weight) * days).astype(np.float32)


def target_of(history: PriceHistory, rows: Rows, horizons: tuple[int, ...]) -> NDArray[np.float32]:
    """Cumulative log return at each horizon, NaN where the ticker's data end before, (B, P)."""
    ahead = rows[:, None] + np.asarray(horizons)  # (B, P)
    end = history.first[np.searchsorted(history.first, rows, side="right")]  # of the ticker's rows
    known = ahead < end[:, None]
    later = history.log_price[np.minimum(ahead, len(history.log_price) - 1)]
    moved = later - history.log_price[rows, None]
    return np.where(known, moved, np.nan).astype(np.float32)


def training_fan(
    history: PriceHistory,
    rows: Rows,
    horizons: tuple[int, ...],
    levels: tuple[float, ...],
    outcome: Callable[[Rows], NDArray[np.float32]] | None = None,
) -> torch.Tensor:
    """The classical fan: quantiles of the training outcomes in units of trailing volatility.

    All training tickers share it, and so one drift: a single ticker's few years have a sampling
    error larger than what sets it apart from the rest.

    Args:
        history: The prices.
        rows: Training examples.
        horizons: Trading days ahead.
        levels: Probabilities, rising.
        outcome: Of any of the rows, (B, P); None for `target_of` in units of `scale_of`.

    Returns:
        Quantiles, (P, Q).
    """

    def outcomes() -> Iterator[NDArray[np.float32]]:
        for piece in history.pieces(rows):
            if outcome is None:
                yield target_of(history, piece, horizons) / scale_of(history, piece, horizons)
            else:
                yield outcome(piece)

    file = RowFile(outcomes())
    quantiles = np.empty((len(horizons), len(levels)))
    table, column = file.rows.reshape(-1, len(horizons)), np.empty(len(rows), np.float32)
    for p in range(len(horizons)):
        for start in range(0, len(rows), PIECE):
            column[start : start + PIECE] = table[start : start + PIECE, p]
            file.release()
        quantiles[p] = np.quantile(column, levels, overwrite_input=True)
    return torch.from_numpy(quantiles.astype(np.float32))


def naive_error(history: PriceHistory, rows: Rows, horizons: tuple[int, ...]) -> tuple[float, ...]:
    """Mean absolute return at each horizon: the error of "no change", (P,)."""
    pieces = history.pieces(rows)
    total = sum(np.abs(target_of(history, p, horizons)).sum(0, dtype=float) for p in pieces)
    return tuple((total / len(rows)).tolist())


@dataclass(frozen=True)
class FeatureScaler:
    """Mean and standard deviation of each feature over the training part.

    Attributes:
        mean: (F,).
        deviation: (F,), positive.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def fit(cls, history: PriceHistory, stop: np.datetime64) -> "FeatureScaler":
        """Fit on the rows before a date.

        Args:
            history: The prices.
            stop: First date that is not training.
        """
        count = sum(part.stop - part.start for part in history.parts(stop))
        features = history.features
        mean = sum(features[part].sum(0, dtype=float) for part in history.parts(stop)) / count
        squares = sum(((features[part] - mean) ** 2).sum(0) for part in history.parts(stop))
        deviation = np.maximum(np.sqrt(squares / count), 1e-6)
        return cls(tuple(mean.tolist()), tuple(deviation.tolist()))

    def apply(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scale and cut to `CLIP`; same shape."""
        mean, deviation = np.asarray(self.mean, np.float32), np.asarray(self.deviation, np.float32)
        return np.clip((features - mean) / deviation, -CLIP, CLIP)


def make_batch(
    history: PriceHistory, rows: Rows, config: WindowConfig, scaler: FeatureScaler
) -> ForecastBatch:
    """Gather the windows that end at the given rows; only this batch is copied."""
    windows = windows_of(history.features, config.context_length)
    inputs = scaler.apply(windows[rows - config.context_length + 1])
    return ForecastBatch(
        torch.from_numpy(np.ascontiguousarray(inputs)),
        torch.from_numpy(scale_of(history, rows, config.horizons)),
        torch.from_numpy(target_of(history, rows, config.horizons)),
    )
