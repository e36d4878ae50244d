"""Chronological split, sliding windows without copies, and scaling by the training part."""

import logging
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from core.batch import ForecastBatch
from data.features import FEATURES, NEWS_FEATURES, daily_features, market_returns

logger = logging.getLogger(__name__)

Rows = NDArray[np.int64]
CLIP = 5.0  # training standard deviations past which a feature is cut
BELIEVED_DRIFT = 0.5  # share of the training part's median return that a forecast expects
PERSISTENCE = 0.96  # share of the short-term variance's deviation that is left a day later


@dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """How a price history is cut into examples.

    Attributes:
        context_length: Trading days that a forecast reads, at least 2.
        horizons: Trading days ahead, rising, at least 1.
        validation_share: Share of the dates, just before the test part, in (0, 1).
        test_share: Share of the dates, the last ones, in (0, 1).
        batch_size: Examples a step, at least 1.
    """

    context_length: int = 60
    horizons: tuple[int, ...] = (1, 5, 20, 60)
    validation_share: float = 0.15
    test_share: float = 0.2
    batch_size: int = 256

    def __post_init__(self) -> None:
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

    Attributes:
        tickers: Names, (K,).
        first: First row of each ticker, and the number of rows, (K + 1,).
        ticker: Number of each row's ticker, (N,).
        dates: Trading days, (N,).
        close: Closing prices as traded, (N,).
        log_price: Logarithm of the adjusted close, (N,).
        features: Unscaled features, (N, F).
        variance: Trailing variance per day, short and long, (N, 2).
        feature_names: The F names.
    """

    tickers: list[str]
    first: Rows
    ticker: NDArray[np.int32]
    dates: NDArray[np.datetime64]
    close: NDArray[np.float64]
    log_price: NDArray[np.float64]
    features: NDArray[np.float32]
    variance: NDArray[np.float32]
    feature_names: tuple[str, ...]

    def position(self) -> Rows:
        """How many rows of its own ticker stand before each row, (N,)."""
        return np.arange(len(self.ticker)) - self.first[self.ticker]

    def remaining(self) -> Rows:
        """How many rows of its own ticker stand after each row, (N,)."""
        return self.first[self.ticker + 1] - 1 - np.arange(len(self.ticker))


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
    lengths = prices.groupby("Ticker", observed=True).size()
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
        news: Texts per row of `prices`, in its order (`data.news.count_by_day`), or None.
    """
    codes, names = pd.factorize(prices["Ticker"])
    first = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    dates = prices["Date"].to_numpy().astype("datetime64[D]")
    log_price = np.log(prices["Adj Close"].to_numpy())
    returns = np.diff(log_price, prepend=np.nan).astype(np.float32)
    returns[first[:-1]] = np.nan
    day = np.unique(dates, return_inverse=True)[1]
    market = market_returns(returns, day)
    feature_names = FEATURES if news is None else FEATURES + NEWS_FEATURES
    features = np.empty((len(prices), len(feature_names)), np.float32)
    variance = np.empty((len(prices), 2), np.float32)
    for start, stop in pairwise(first):
        part = slice(start, stop)
        counts = None if news is None else news.to_numpy(float)[part]
        features[part], variance[part, 0], variance[part, 1] = daily_features(
            prices.iloc[part], market[part].astype(float), counts
        )
    return PriceHistory(
        tickers=[str(name) for name in names],
        first=first,
        ticker=codes.astype(np.int32),
        dates=dates,
        close=prices["Close"].to_numpy(),
        log_price=log_price,
        features=features,
        variance=variance,
        feature_names=feature_names,
    )


def chronological_split(history: PriceHistory, config: WindowConfig) -> SplitDates:
    """Choose the two dates that cut every ticker alike.

    Raises:
        ValueError: A part would be too short for a single example.
    """
    dates = np.unique(history.dates)
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
    valid = (history.position() >= config.context_length - 1) & (history.remaining() >= ahead)
    if start is not None:
        valid &= history.dates >= start
    rows = np.flatnonzero(valid)
    if stop is not None:
        rows = rows[history.dates[rows + ahead] < stop]
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
    known = history.remaining()[rows, None] >= np.asarray(horizons)
    later = history.log_price[np.minimum(ahead, len(history.log_price) - 1)]
    moved = later - history.log_price[rows, None]
    return np.where(known, moved, np.nan).astype(np.float32)


def training_fan(
    history: PriceHistory, rows: Rows, horizons: tuple[int, ...], levels: tuple[float, ...]
) -> torch.Tensor:
    """The classical fan: quantiles of the training outcomes in units of trailing volatility.

    A few years' drift has a sampling error as large as itself, so half of it is believed
    (shrinkage): each row of quantiles is moved by half its median towards zero.

    Args:
        history: The prices.
        rows: Training examples.
        horizons: Trading days ahead.
        levels: Probabilities, 0.5 among them.

    Returns:
        Quantiles, (P, Q).
    """
    outcomes = target_of(history, rows, horizons) / scale_of(history, rows, horizons)  # (B, P)
    quantiles = np.quantile(outcomes, levels, axis=0).T  # (P, Q)
    medians = quantiles[:, [levels.index(0.5)]]
    return torch.from_numpy((quantiles - (1 - BELIEVED_DRIFT) * medians).astype(np.float32))


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
        chosen = history.dates < stop
        mean, deviation = [], []
        for column in history.features.T:  # one feature at a time: no copy of the whole block
            values = column[chosen].astype(np.float64)
            mean.append(float(values.mean()))
            deviation.append(max(float(values.std()), 1e-6))
        return cls(tuple(mean), tuple(deviation))

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
