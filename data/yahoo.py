"""Prices from Yahoo through yfinance, with a Parquet cache that stands in when Yahoo fails."""

import logging
import os
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd

from data.prices import COLUMNS, NUMBER_COLUMNS, Location, check_values

logger = logging.getLogger(__name__)

FIRST_DATE = "2000-01-01"
WAITS = (2.0, 8.0)  # seconds before each further attempt; yfinance does not retry a rate limit
RATE_LIMIT = ("Too Many Requests", "RateLimit", "429")
MARKET_ZONE = ZoneInfo("America/New_York")
CLOSING_HOUR = 17  # an hour after the close the day's row is final


@dataclass(frozen=True)
class TickerReport:
    """What became of one ticker.

    Attributes:
        ticker: Its symbol.
        rows: Trading days received or found in the cache.
        first: First day, ISO, empty without rows.
        last: Last day, ISO.
        origin: `yahoo`, `cache` or `none`.
        problem: Why Yahoo did not answer; empty where it did.
    """

    ticker: str
    rows: int
    first: str
    last: str
    origin: str
    problem: str


def default_cache_dir() -> Path:
    """`$XDG_CACHE_HOME/stock-forecast`, by default in the user's `.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "stock-forecast"


def load_yahoo(tickers: list[str], cache_dir: Path | None = None) -> pd.DataFrame:
    """Daily prices of the given tickers, from Yahoo or, where it fails, from the cache.

    Args:
        tickers: Symbols, such as AAPL.
        cache_dir: Where answers are kept; None for `default_cache_dir`.

    Returns:
        The table of `data.prices.load_prices`.

    Raises:
        ValueError: No symbol, or one that neither Yahoo nor the cache knows.
    """
    frame, reports = fetch_prices(tickers, cache_dir)
    missing = [report for report in reports if not report.rows]
    if missing:
        names = ", ".join(report.ticker for report in missing)
        raise ValueError(
            f"yahoo:{names}: {missing[0].problem}, and nothing is cached; "
            "check the symbol and the connection"
        )
    return frame


def fetch_prices(
    tickers: list[str], cache_dir: Path | None = None
) -> tuple[pd.DataFrame, list[TickerReport]]:
    """Download, keep in the cache, and report on each ticker.

    Args:
        tickers: Symbols.
        cache_dir: As for `load_yahoo`.

    Returns:
        The rows of all tickers that have any, and one report per ticker.

    Raises:
        ValueError: No symbol, or wrong numbers in an answer.
    """
    symbols = list(dict.fromkeys(name.strip().upper() for name in tickers if name.strip()))
    if not symbols:
        raise ValueError("yahoo: names no ticker; write yahoo:AAPL,MSFT")
    for symbol in symbols:
        if not re.fullmatch(r"[A-Z0-9.^=-]+", symbol) or symbol.startswith("."):
            raise ValueError(f"yahoo:{symbol}: no ticker symbol; write yahoo:AAPL,MSFT")
    folder = cache_dir or default_cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    answers, problem = _download_patiently(symbols, folder)
    frames, reports = [], []
    for symbol in symbols:
        path = folder / f"{symbol}.parquet"
        if symbol in answers:
            frame, origin, reason = answers[symbol], "yahoo", ""
            partial = path.with_suffix(".partial")
            frame.to_parquet(partial, index=False)
            partial.replace(path)
        elif path.exists():
            frame, origin, reason = pd.read_parquet(path), "cache", problem
            logger.warning("%s: %s; using the cache, %s old", symbol, problem, _age(path))
        else:
            frame, origin, reason = pd.DataFrame(columns=list(COLUMNS)), "none", problem
        first, last = (str(frame["Date"].iloc[i].date()) if len(frame) else "" for i in (0, -1))
        reports.append(TickerReport(symbol, len(frame), first, last, origin, reason))
        if len(frame):
            frames.append(frame)
    empty = pd.DataFrame(columns=list(COLUMNS))
    joined = pd.concat(frames, ignore_index=True) if frames else empty
    return joined.sort_values(["Ticker", "Date"], ignore_index=True), reports


def _age(path: Path) -> str:
    hours = (time.time() - path.stat().st_mtime) / 3600
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"


def _download_patiently(symbols: list[str], folder: Path) -> tuple[dict[str, pd.DataFrame], str]:
    """Ask again after a rate limit, later each time; also the reason of the first failure."""
    import yfinance  # noqa: F401 - it sets warning filters, which ours must come after

    answers: dict[str, pd.DataFrame] = {}
    problem = ""
    for wait in (0.0, *WAITS):
        missing = [symbol for symbol in symbols if symbol not in answers]
        if not missing:
            break
        time.sleep(wait)
        with _caught_log() as messages:
            try:
                answers |= _download(missing, folder)
            except ValueError:
                raise
            except Exception as error:  # the network, Yahoo and yfinance fail in many classes
                messages.append(f"{type(error).__name__}: {error}")
        # The first message names the cause, such as a rate limit; later ones follow from it.
        cause = " ".join(messages[0].split())[:120] if messages else "it has no prices"
        problem = problem or f"Yahoo failed: {cause}"
        if not any(word in " ".join(messages) for word in RATE_LIMIT):
            break
    return answers, problem


@contextmanager
def _caught_log() -> Iterator[list[str]]:
    """Collect what yfinance logs: it tells of a failed ticker that way alone."""
    messages: list[str] = []

    class Collector(logging.Handler):
        """Keeps the text of errors."""

        def emit(self, record: logging.LogRecord) -> None:
            """Keep one."""
            if record.levelno >= logging.ERROR:
                messages.append(record.getMessage())

    library, collector = logging.getLogger("yfinance"), Collector()
    before = library.propagate
    library.addHandler(collector)
    library.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*inplace keyword.*")  # inside yfinance
            yield messages
    finally:
        library.removeHandler(collector)
        library.propagate = before


def _download(symbols: list[str], folder: Path) -> dict[str, pd.DataFrame]:
    """One request; the tickers that came, normalised and validated."""
    import yfinance

    yfinance.set_tz_cache_location(str(folder / "time_zones"))
    wide = yfinance.download(
        symbols,
        start=FIRST_DATE,
        end=_end_date(datetime.now(UTC)),
        auto_adjust=False,
        actions=False,
        group_by="ticker",
        progress=False,
        multi_level_index=True,
    )
    answers: dict[str, pd.DataFrame] = {}
    if wide is None or wide.empty:
        return answers
    for symbol in symbols:
        if symbol not in wide.columns.get_level_values(0):
            continue
        # All tickers share the union of their days, so a day that one did not trade is empty.
        frame = wide[symbol].dropna(how="all").dropna(subset=list(NUMBER_COLUMNS))
        if frame.empty:
            continue
        frame = frame[list(NUMBER_COLUMNS)].astype(float).reset_index(names="Date")
        frame["Date"] = pd.to_datetime(frame["Date"]).dt.tz_localize(None).dt.normalize()
        frame.columns.name = None
        frame.insert(0, "Ticker", symbol)
        frame = frame[list(COLUMNS)].sort_values("Date", ignore_index=True)
        check_values(frame, _location(symbol, frame))
        answers[symbol] = frame
    return answers


def _location(symbol: str, frame: pd.DataFrame) -> Location:
    return lambda row: f"yahoo:{symbol} {frame['Date'][row].date()}"


def _end_date(now: datetime) -> str:
    """The exclusive end that leaves out a trading day still under way."""
    local = pd.Timestamp(now).tz_convert(MARKET_ZONE)
    day = local.normalize() + pd.Timedelta(days=int(local.hour >= CLOSING_HOUR))
    return f"{day:%Y-%m-%d}"
