"""What is known of a price series at each day's close, scaled by its own past."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter

Floats = NDArray[np.float64]
Columns = Mapping[str, Floats] | pd.DataFrame  # columns of `load_prices`, by name

FEATURES = (
    "return",
    "range",
    "volume",
    "market_return",
    "volatility_5",
    "volatility_20",
    "volatility_250",
    "range_volatility",
    "market_volatility",
    "level",
)
NEWS_FEATURES = ("news", "news_surprise")
SENTIMENT_FEATURE = "sentiment"
FLOOR = 1e-4  # a flat series still has a volatility of one basis point a day
MARKET_FLOOR = 1e-3  # the mean of many tickers moves at least 0.1 % on a usual day
OHLC = ("Open", "High", "Low", "Close")
LONG_WINDOW = 250  # trading days, about a year


def log_returns(adjusted_close: Floats) -> Floats:
    """Daily log returns, (N,); the first day, which has no past, is 0."""
    log_price = np.log(adjusted_close)
    return np.diff(log_price, prepend=log_price[:1])


class Market:
    """Sum and number of all tickers' returns by day, from which each leaves out its own.

    Args:
        num_days: Days from the first to the last.
    """

    def __init__(self, num_days: int) -> None:
        self._sums = np.zeros(num_days)
        self._counts = np.zeros(num_days)

    def add(self, returns: NDArray[np.float32], day: NDArray[np.int64]) -> None:
        """Take part in the market.

        Args:
            returns: Log return of each row, NaN on a ticker's first day, (N,).
            day: Number of each row's date, from 0, (N,).
        """
        own = np.isfinite(returns)
        days = len(self._sums)
        self._sums += np.bincount(day, weights=np.where(own, returns, 0.0), minlength=days)
        self._counts += np.bincount(day, weights=own, minlength=days)

    def without(self, returns: NDArray[np.float32], day: NDArray[np.int64]) -> NDArray[np.float32]:
        """Equal-weight mean return of the other tickers on the same day.

        Args:
            returns: Rows that were added, (N,).
            day: As they were added, (N,).

        Returns:
            The mean without the row's own return, 0 where no other ticker traded, (N,).
        """
        own = np.isfinite(returns)
        others = self._sums[day] - np.where(own, returns, 0.0)
        count = self._counts[day] - own
        return np.where(count > 0, others / np.maximum(count, 1), 0.0).astype(np.float32)


def market_returns(returns: NDArray[np.float32], day: NDArray[np.int64]) -> NDArray[np.float32]:
    """`Market.without` of all rows at once, where all tickers' rows are at hand, (N,)."""
    market = Market(int(day.max()) + 1)
    market.add(returns, day)
    return market.without(returns, day)


def average(x: Floats, decay: float) -> Floats:
    """Exponentially weighted mean of all known values up to each day, NaN before any, (..., N).

    As `pandas.Series.ewm(alpha=1 - decay).mean()`, NaN skipped alike, but many times faster.
    """
    known = np.isfinite(x)
    both = np.stack([np.where(known, x, 0.0), known])
    total, weight = lfilter([1.0], [1.0, -decay], both)
    return np.divide(total, weight, out=np.full(x.shape, np.nan), where=weight > 0)


def log_average(square: Floats, decay: float) -> Floats:
    """Logarithm of an average variance, bounded below, (N,)."""
    return np.log(np.maximum(average(square, decay), FLOOR**2))


def range_variance(prices: Columns, returns: Floats) -> Floats:
    """Variance of each day from its open, high, low and close, (N,).

    Garman & Klass (1980) for the session, plus the square of the overnight move, which is the
    adjusted return less the session's return, so that splits and dividends do not count.
    """
    opening, high, low, close = (np.log(np.asarray(prices[c])) for c in OHLC)
    session = close - opening
    overnight = returns - session
    overnight[:1] = 0.0
    klass = 0.5 * (high - low) ** 2 - (2 * np.log(2) - 1) * session**2
    return np.maximum(klass, 0.0) + overnight**2


def volume_surprise(volume: Floats) -> Floats:
    """Log volume less its own trailing mean, (N,); 0 where the volume is 0, which is unknown."""
    log_volume = np.log1p(np.where(volume > 0, volume, np.nan))
    usual = np.concatenate([[np.nan], average(log_volume, 0.95)[:-1]])
    return np.nan_to_num(log_volume - usual)


def trailing_variances(returns: Floats, daily_range: Floats) -> tuple[Floats, Floats]:
    """Variance per day over a short and a long past, known at each day's close.

    Args:
        returns: Log returns, (N,).
        daily_range: `range_variance`, (N,).

    Returns:
        Short: the mean of three exponential averages (returns at 0.97 and 0.90, ranges at 0.90).
        Long: the mean square return of up to 250 days. Both (N,), positive.
    """
    square = returns**2
    both = average(np.stack([square, daily_range]), 0.9)
    short = (average(square, 0.97) + both[0] + both[1]) / 3
    total = np.cumsum(square)
    total[LONG_WINDOW:] -= total[:-LONG_WINDOW].copy()  # numpy would read what it has changed
    long = total / np.minimum(np.arange(1, len(square) + 1), LONG_WINDOW)
    return np.maximum(short, FLOOR**2), np.maximum(long, FLOOR**2)


def daily_features(
    prices: Columns, market: Floats, news: Floats | None
) -> tuple[NDArray[np.float32], Floats, Floats, Floats]:
    """Features of one ticker.

    Args:
        prices: Its rows of `load_prices`, by date.
        market: what `Market.without` gives for its days, (N,).
        news: Number of texts per day, (N,), or None.

    Returns:
        Features (N, F) in the order of FEATURES then NEWS_FEATURES, the trailing variances, short
        and long, (N,), and `range_variance`, (N,). Row i uses rows up to i alone.
    """
    returns = log_returns(np.asarray(prices["Adj Close"]))
    daily_range = range_variance(prices, returns)
    short, long = trailing_variances(returns, daily_range)
    before = np.sqrt(np.concatenate([short[:1], short[:-1]]))  # known the evening before
    high_low = np.log(np.asarray(prices["High"]) / np.asarray(prices["Low"]))
    market_short, market_long = average(market**2, 0.9), average(market**2, 0.99)
    market_before = np.sqrt(np.concatenate([market_short[:1], market_short[:-1]]))
    log_long, log_ever = np.log(long), log_average(returns**2, 0.998)
    week, week_range = log_average(np.stack([returns**2, daily_range]), 0.8)
    columns = [
        returns / before,
        high_low / before,
        volume_surprise(np.asarray(prices["Volume"], float)),
        market / np.maximum(market_before, MARKET_FLOOR),
        week - log_long,
        log_average(returns**2, 0.95) - log_long,
        log_long - log_ever,
        week_range - log_long,
        np.log(np.maximum(market_short, FLOOR**2) / np.maximum(market_long, FLOOR**2)),
        log_long,
    ]
    if news is not None:
        log_news = np.log1p(news)
        columns += [log_news, log_news - average(log_news, 0.95)]
    return np.stack(columns, axis=1).astype(np.float32), short, long, daily_range


def excess_drift(returns: NDArray[np.float32], market: NDArray[np.float32]) -> Floats:
    """What one ticker has earned a day beyond the others, from its first day to each row.

    Args:
        returns: Log returns, NaN on the first day, (N,).
        market: What `Market.without` gives for the days, (N,).

    Returns:
        Mean daily log return less the market's, 0 on the first day, and the variance of that
        mean's sampling error, infinite on the first two days, (N, 2). Row i uses rows up to i.
    """
    excess = np.nan_to_num(returns - market).astype(float)
    count = np.arange(len(excess))  # the first day has no return
    mean = np.cumsum(excess) / np.maximum(count, 1)
    variance = np.cumsum(excess**2) / np.maximum(count, 1) - mean**2
    error = np.where(count > 1, variance / np.maximum(count - 1, 1), np.inf)
    return np.stack([mean, error], axis=1)


def computed_rows(
    prices: pd.DataFrame,
    first: NDArray[np.int64],
    news: pd.Series | None,
) -> Iterator[NDArray[np.void]]:
    """What is computed of each ticker's days, one ticker at a time: no column is ever whole.

    Args:
        prices: The table of `load_prices`, sorted by ticker and date.
        first: First row of each ticker, and the number of rows, (K + 1,).
        news: Number of texts of each row, in its order, or None.

    Yields:
        A ticker's rows with the fields log_price, features (F), variance (2) and daily_range, as
        `data.windows.PriceHistory` describes them, and drift (2), as `excess_drift` gives it.
    """
    parts = [slice(*ends) for ends in pairwise(first)]
    # A column of a slice of a table takes longer to get than most features to compute.
    columns = {name: prices[name].to_numpy() for name in (*OHLC, "Adj Close", "Volume")}
    dates = prices["Date"].to_numpy()
    start, stop = (date.astype("datetime64[D]") for date in (dates.min(), dates.max()))
    market = Market(int((stop - start).astype(int)) + 1)

    def moves(part: slice) -> tuple[Floats, NDArray[np.float32], NDArray[np.int64]]:
        log_price = np.log(columns["Adj Close"][part])
        returns = np.diff(log_price, prepend=np.nan).astype(np.float32)
        return log_price, returns, (dates[part].astype("datetime64[D]") - start).astype(np.int64)

    for part in parts:
        market.add(*moves(part)[1:])
    width = len(FEATURES) + (0 if news is None else len(NEWS_FEATURES))
    names = [("log_price", "f8"), ("features", "f4", width), ("variance", "f4", 2)]
    names += [("daily_range", "f4"), ("drift", "f4", 2)]
    dtype = np.dtype(names, align=True)
    for part in parts:
        log_price, returns, day = moves(part)
        counts = None if news is None else news.to_numpy(float)[part]
        others = market.without(returns, day)
        features, short, long, daily_range = daily_features(
            {name: values[part] for name, values in columns.items()}, others.astype(float), counts
        )
        rows = np.empty(len(log_price), dtype)
        rows["log_price"], rows["features"], rows["daily_range"] = log_price, features, daily_range
        rows["variance"] = np.stack([short, long], axis=1)
        rows["drift"] = excess_drift(returns, others)
        yield rows
