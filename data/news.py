"""Dated texts per ticker, cut at the market's close."""

import gzip
import json
import logging
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

logger = logging.getLogger(__name__)

EXAMPLE = '{"ticker": "AAPL", "published_at": "2014-02-11T18:58:49Z", "text": "..."}'
MARKET_CLOSE = pd.Timedelta(hours=16)  # New York; early closes are few and are not modelled
MARKET_ZONE = "America/New_York"


def load_news(path: Path) -> pd.DataFrame:
    """Read dated texts.

    Args:
        path: A .jsonl or .jsonl.gz file with the keys ticker, published_at and text; others are
            ignored, and a time without a zone is UTC.

    Returns:
        Columns ticker, published_at (UTC) and text, by time. Empty texts are dropped and counted.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is not JSON, lacks a key or has no readable date.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give a news file of lines like {EXAMPLE}")
    rows = [_parse_line(text, f"{path} line {line}") for line, text in _lines(path)]
    frame = pd.DataFrame(rows, columns=["ticker", "published_at", "text"])
    if frame.empty:
        raise ValueError(f"{path} is empty; it needs lines like {EXAMPLE}")
    is_empty = frame["text"].str.strip() == ""
    if is_empty.any():
        logger.warning("%s: dropped %d empty texts", path, int(is_empty.sum()))
    return frame[~is_empty].sort_values("published_at", kind="stable", ignore_index=True)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Non-blank lines with their numbers."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error):
        raise ValueError(f"{path} is not whole UTF-8 text or gzip; save it again") from None


def _parse_line(text: str, where: str) -> tuple[str, pd.Timestamp, str]:
    try:
        item = json.loads(text)
    except (ValueError, RecursionError):  # the first also at a number of 5,000 digits
        raise ValueError(f"{where}: not JSON; it must look like {EXAMPLE}") from None
    keys = ("ticker", "published_at", "text")
    if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in keys):
        raise ValueError(f"{where}: needs the texts ticker, published_at and text, like {EXAMPLE}")
    time = read_time(item["published_at"])
    if time is None:
        written = item["published_at"]
        raise ValueError(f"{where}: published_at {written!r} is no date; write it as ISO 8601")
    # Half of a surrogate pair is valid JSON but no Unicode text, which no file format takes.
    text = item["text"].encode("utf-8", "replace").decode("utf-8")
    return item["ticker"], time, text


def read_time(written: str) -> pd.Timestamp | None:
    """A time in UTC; None where it cannot be read."""
    try:
        time = datetime.fromisoformat(written)
        return pd.Timestamp((time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC))
    except (ValueError, OverflowError):  # the year 1 in a zone east of Greenwich overflows
        return None


def trading_rows(news: pd.DataFrame, prices: pd.DataFrame) -> np.ndarray:
    """The row of `prices` at whose close each text first counts.

    That is the ticker's first trading day whose close, 16:00 in New York, is not before the
    publication: what comes later counts for the next trading day.

    Args:
        news: The table of `load_news`.
        prices: The table of `data.prices.load_prices`, sorted by ticker and date.

    Returns:
        Row numbers, (number of texts,); -1 where the ticker is unknown, the text is later than
        its last close, or it is older than the day before its first close.
    """
    dates = pd.DatetimeIndex(prices["Date"])
    closes = (dates + MARKET_CLOSE).tz_localize(MARKET_ZONE).tz_convert("UTC").as_unit("s")
    close_seconds = closes.asi8
    published = pd.DatetimeIndex(news["published_at"]).tz_convert("UTC").as_unit("us").asi8 / 1e6
    rows = np.full(len(news), -1, np.int64)
    texts_of = news.groupby("ticker").indices
    for ticker, days in prices.groupby("Ticker", observed=True).indices.items():
        texts = texts_of.get(ticker)
        if texts is None:
            continue
        after = np.searchsorted(close_seconds[days], published[texts], side="left")
        is_inside = (after < len(days)) & (published[texts] > close_seconds[days[0]] - 86_400)
        rows[texts[is_inside]] = days[after[is_inside]]
    return rows


def news_by_day(news: pd.DataFrame, prices: pd.DataFrame) -> pd.DataFrame:
    """What is known of the news at each row of `prices`, in its order.

    Args:
        news: The table of `load_news`.
        prices: The table of `data.prices.load_prices`, sorted by ticker and date.

    Returns:
        News, the number of texts that first count at the row's close, and Texts, these texts by
        time, one a line.
    """
    rows = trading_rows(news, prices)
    known = set(prices["Ticker"].unique())
    strangers = sorted(set(news["ticker"]) - known)
    if strangers:
        logger.warning("news: ignored %d tickers without prices: %s", len(strangers), strangers[:5])
    is_known = rows >= 0
    logger.info("news: %d of %d texts fall on a trading day", int(is_known.sum()), len(rows))
    counts = np.bincount(rows[is_known], minlength=len(prices))
    lines = news["text"][is_known].str.split().str.join(" ")  # a text's own line breaks go
    texts = np.full(len(prices), "", object)
    for row, line in zip(rows[is_known], lines, strict=True):
        texts[row] = f"{texts[row]}\n{line}" if texts[row] else line
    return pd.DataFrame({"News": counts.astype(float), "Texts": texts}, index=prices.index)
