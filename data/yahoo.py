"""Prices from Yahoo through yfinance, with a Parquet cache that stands in when Yahoo fails."""

import logging
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd

from data.price_cache import age_in_words, default_cache_dir, read_cache, write_cache
from data.price_checks import NUMBER_COLUMNS, PRICE_COLUMNS
from data.price_gaps import missing_days
from data.price_jumps import find_split_jumps
from data.prices import COLUMNS
from data.yahoo_download import ask_patiently

logger = logging.getLogger(__name__)

FIRST_DATE = "2000-01-01"
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
        downloaded: When Yahoo gave the rows, ISO in UTC, empty without rows.
        adjusted: Whether the adjusted close differs from the close on any day. It does not where
            there was no dividend or split, and where Yahoo does not know them.
        gaps: Trading days between first and last on which the others of its exchange have a row
            and it has none.
        splits: Days that look like a split which the adjusted close does not take out.
        problem: Why the rows are not Yahoo's own answer of now; empty where they are, and where
            the cache was asked for.
    """

    ticker: str
    rows: int
    first: str
    last: str
    origin: str
    downloaded: str
    adjusted: bool
    gaps: int
    splits: tuple[str, ...]
    problem: str


def load_yahoo(
    tickers: list[str], cache_dir: Path | None = None, offline: bool = False
) -> pd.DataFrame:
    """Daily prices of the given tickers, from Yahoo or, where it fails, from the cache.

    Args:
        tickers: Symbols, such as AAPL.
        cache_dir: Where answers are kept; None for `default_cache_dir`.
        offline: Read the cache alone.

    Returns:
        The table of `data.prices.load_prices`.

    Raises:
        ValueError: No symbol, or one that neither Yahoo nor the cache knows.
    """
    frame, reports = fetch_prices(tickers, cache_dir, offline)
    if missing := [report for report in reports if not report.rows]:
        raise ValueError(refusal(missing, offline))
    return frame


def refusal(missing: list[TickerReport], offline: bool) -> str:
    """One line on the tickers of which nothing is known.

    Args:
        missing: Their reports, at least one.
        offline: Whether only the cache was read.
    """
    names = ", ".join(report.ticker for report in missing)
    hint = "leave --offline out to download" if offline else "check the symbol and the connection"
    return f"yahoo:{names}: {missing[0].problem}; {hint}"


def fetch_prices(
    tickers: list[str], cache_dir: Path | None = None, offline: bool = False
) -> tuple[pd.DataFrame, list[TickerReport]]:
    """Download, keep in the cache, and report on each ticker.

    Args:
        tickers: Symbols.
        cache_dir: As for `load_yahoo`.
        offline: Read the cache alone.

    Returns:
        The rows of all tickers that have any, and one report per ticker.

    Raises:
        ValueError: No symbol.
    """
    symbols = symbols_of(tickers)
    folder = cache_dir or default_cache_dir()
    now = datetime.now(UTC)
    answers: dict[str, pd.DataFrame] = {}
    problems: list[str] = []
    if not offline:
        folder.mkdir(parents=True, exist_ok=True)

        def ask() -> None:
            missing = [symbol for symbol in symbols if symbol not in answers]
            answers.update(_download(missing, folder, now))

        problems = ask_patiently(ask)
    frames, reports = [], []
    for symbol in symbols:
        if symbol in answers:
            write_cache(folder, symbol, answers[symbol], now)
            frame, report = answers[symbol], _report(answers[symbol], symbol, "yahoo", now, "")
        else:
            problem = "" if offline else f"Yahoo failed: {_cause(symbol, problems)}"
            frame, report = _from_cache(folder, symbol, problem, now)
        frames.append(frame)
        reports.append(report)
    # A frame without rows would turn the others' numbers into objects.
    full = [frame for frame in frames if len(frame)] or frames[:1]
    joined = pd.concat(full).sort_values(["Ticker", "Date"], ignore_index=True)
    gaps = missing_days(joined)
    counted = [replace(report, gaps=len(gaps.get(report.ticker, ()))) for report in reports]
    return joined, counted


def symbols_of(tickers: list[str]) -> list[str]:
    """Upper case, once each; a symbol names a file of the cache, so its letters are checked."""
    symbols = list(dict.fromkeys(name.strip().upper() for name in tickers if name.strip()))
    if not symbols:
        raise ValueError("yahoo: names no ticker; write yahoo:AAPL,MSFT")
    for symbol in symbols:
        if not re.fullmatch(r"[A-Z0-9.^=-]+", symbol) or symbol.startswith("."):
            raise ValueError(f"yahoo:{symbol}: no ticker symbol; write yahoo:AAPL,MSFT")
    return symbols


def _cause(symbol: str, problems: list[str]) -> str:
    """Why a ticker has no rows: the problem that names it, else the first one."""
    told = [problem for problem in problems if "Failed download" not in problem]  # a bare count
    own = [problem for problem in told if f"'{symbol}'" in problem]
    cause = (own or told or ["it has no prices"])[0]
    cause = re.sub(r"^\['[^]]*'\]: ", "", cause)  # the tickers that share it
    return cause.partition(". See http")[0][:120]


def _from_cache(
    folder: Path, symbol: str, problem: str, now: datetime
) -> tuple[pd.DataFrame, TickerReport]:
    """What is kept of a ticker that Yahoo did not answer, or was not asked for."""
    cached = read_cache(folder, symbol)
    if cached is None:
        nothing = f"{problem}, and nothing is cached" if problem else f"not in the cache {folder}"
        report = TickerReport(symbol, 0, "", "", "none", "", False, 0, (), nothing)
        return pd.DataFrame(columns=list(COLUMNS)), report
    frame, downloaded = cached
    age = age_in_words(downloaded, now)
    if problem:
        logger.warning("%s: %s; using the cache, %s old", symbol, problem, age)
    else:
        logger.info("%s: from the cache, %s old", symbol, age)
    return frame, _report(frame, symbol, "cache", downloaded, problem)


def _report(
    frame: pd.DataFrame, symbol: str, origin: str, downloaded: datetime, problem: str
) -> TickerReport:
    first, last = (str(day.date()) for day in (frame["Date"].iloc[0], frame["Date"].iloc[-1]))
    stamp = downloaded.astimezone(UTC).isoformat(timespec="seconds")
    return TickerReport(
        ticker=symbol,
        rows=len(frame),
        first=first,
        last=last,
        origin=origin,
        downloaded=stamp,
        adjusted=bool((frame["Adj Close"] != frame["Close"]).any()),
        gaps=0,
        splits=tuple(f"{jump.date} ({jump.ratio})" for jump in find_split_jumps(frame)),
        problem=problem,
    )


def _download(symbols: list[str], folder: Path, now: datetime) -> dict[str, pd.DataFrame]:
    """One request; the tickers that came, normalised."""
    import yfinance

    yfinance.set_tz_cache_location(str(folder / "time_zones"))
    # Its threads would else make the cache at the same time, and one find its file locked.
    yfinance.cache.get_tz_cache().lookup(symbols[0])
    wide = yfinance.download(
        symbols,
        start=FIRST_DATE,
        end=_end_date(now),
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
        if symbol in wide.columns.get_level_values(0):
            frame = _normalize(symbol, wide[symbol])
            if len(frame):
                answers[symbol] = frame
    return answers


def _normalize(symbol: str, answer: pd.DataFrame) -> pd.DataFrame:
    """One ticker's answer in the project's form; days without a price are left out."""
    # All tickers share the union of their days, so a day that one did not trade is empty.
    frame = answer[list(NUMBER_COLUMNS)].dropna(how="all").astype(float)
    frame["Volume"] = frame["Volume"].fillna(0.0)
    frame = frame.dropna().rename_axis("Date").reset_index()
    frame["Date"] = pd.to_datetime(frame["Date"]).dt.tz_localize(None).dt.normalize()
    frame.columns.name = None
    frame.insert(0, "Ticker", symbol)
    is_valid = (frame[list(PRICE_COLUMNS)] > 0).all(axis=1) & (frame["Volume"] >= 0)
    is_valid &= ~frame["Date"].duplicated() & (frame["High"] >= frame["Low"])
    if wrong := int((~is_valid).sum()):
        day = frame["Date"][~is_valid].iloc[0].date()
        logger.warning(
            "yahoo:%s: left out %d days with a price of 0 or below, or high below low, first %s",
            symbol,
            wrong,
            day,
        )
    return frame[is_valid][list(COLUMNS)].sort_values("Date", ignore_index=True)


def _end_date(now: datetime) -> str:
    """The exclusive end that leaves out a trading day still under way."""
    local = pd.Timestamp(now).tz_convert(MARKET_ZONE)
    day = local.normalize() + pd.Timedelta(days=int(local.hour >= CLOSING_HOUR))
    return f"{day:%Y-%m-%d}"
