"""What is known of a price series at each day's close, scaled by its own past."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

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
FLOOR = 1e-4  # a flat series still has a volatility of one basis point a day
MARKET_FLOOR = 1e-3  # the mean of many tickers moves at least 0.1 % on a usual day
OHLC = ("Open", "High", "Low", "Close")
LONG_WINDOW = 250  # trading days, about a year


def log_returns(adjusted_close: Floats) -> Floats:
    """Daily log returns, (N,); the first day, which has no past, is 0."""
    log_price = np.log(adjusted_close)
    return np.diff(log_price, prepend=log_price[:1])


def market_returns(returns: NDArray[np.float32], day: NDArray[np.int64]) -> NDArray[np.float32]:
    """Equal-weight mean return of the other tickers on the same day.

    Args:
        returns: Log return of each row, NaN on a ticker's first day, (N,).
        day: Number of each row's date, (N,).

    Returns:
        The mean without the row's own return, 0 where no other ticker traded, (N,).
    """
    own = np.isfinite(returns)
    known = np.where(own, returns, 0.0)
    others = np.bincount(day, weights=known)[day] - known
    count = np.bincount(day, weights=own)[day] - own
    return np.where(count > 0, others / np.maximum(count, 1), 0.0).astype(np.float32)


def average(x: Floats, decay: float) -> Floats:
    """Exponentially weighted mean of all values up to each day, (N,)."""
    return pd.Series(x).ewm(alpha=1 - decay).mean().to_numpy()


def log_average(square: Floats, decay: float) -> Floats:
    """Logarithm of an average variance, bounded below, (N,)."""
    return np.log(np.maximum(average(square, decay), FLOOR**2))


def range_variance(prices: pd.DataFrame, returns: Floats) -> Floats:
    """Variance of each day from its open, high, low and close, (N,).

    Garman & Klass (1980) for the session, plus the square of the overnight move, which is the
    adjusted return less the session's return, so that splits and dividends do not count.
    """
    opening, high, low, close = (np.log(prices[c].to_numpy()) for c in OHLC)
    session = close - opening
    overnight = returns - session
    overnight[:1] = 0.0
    klass = 0.5 * (high - low) ** 2 - (2 * np.log(2) - 1) * session**2
    return np.maximum(klass, 0.0) + overnight**2


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
    short = (average(square, 0.97) + average(square, 0.9) + average(daily_range, 0.9)) / 3
    long = pd.Series(square).rolling(LONG_WINDOW, min_periods=1).mean().to_numpy()
    return np.maximum(short, FLOOR**2), np.maximum(long, FLOOR**2)


def daily_features(
    prices: pd.DataFrame, market: Floats, news: Floats | None
) -> tuple[NDArray[np.float32], Floats, Floats]:
    """Features of one ticker.

    Args:
        prices: Its rows of `load_prices`, by date.
        market: `market_returns` of its days, (N,).
        news: Number of texts per day, (N,), or None.

    Returns:
        Features (N, F) in the order of FEATURES then NEWS_FEATURES, and the trailing variances,
        short and long, (N,). Row i uses rows up to i alone.
    """
    returns = log_returns(prices["Adj Close"].to_numpy())
    daily_range = range_variance(prices, returns)
    short, long = trailing_variances(returns, daily_range)
    before = np.sqrt(np.concatenate([short[:1], short[:-1]]))  # known the evening before
    high_low = np.log(prices["High"].to_numpy() / prices["Low"].to_numpy())
    log_volume = np.log1p(prices["Volume"].to_numpy())
    usual_volume = np.concatenate([log_volume[:1], average(log_volume, 0.95)[:-1]])
    market_short, market_long = average(market**2, 0.9), average(market**2, 0.99)
    market_before = np.sqrt(np.concatenate([market_short[:1], market_short[:-1]]))
    log_long, log_ever = np.log(long), log_average(returns**2, 0.998)
    columns = [
        returns / before,
        high_low / before,
        log_volume - usual_volume,
        market / np.maximum(market_before, MARKET_FLOOR),
        log_average(returns**2, 0.8) - log_long,
        log_average(returns**2, 0.95) - log_long,
        log_long - log_ever,
        log_average(daily_range, 0.8) - log_long,
        np.log(np.maximum(market_short, FLOOR**2) / np.maximum(market_long, FLOOR**2)),
        log_long,
    ]
    if news is not None:
        log_news = np.log1p(news)
        columns += [log_news, log_news - average(log_news, 0.95)]
    return np.stack(columns, axis=1).astype(np.float32), short, long
