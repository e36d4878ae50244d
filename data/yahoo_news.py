"""News from Yahoo through yfinance, added to a growing archive: Yahoo gives the latest alone."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.news import load_news, read_time
from data.yahoo import symbols_of
from data.yahoo_download import ask_patiently, is_rate_limit

NEWS_COUNT = 100  # the latest items asked for; Yahoo may give fewer


@dataclass(frozen=True)
class NewsReport:
    """What became of one ticker's news.

    Attributes:
        ticker: Its symbol.
        received: Items that Yahoo gave.
        added: Of them, those that were new to the archive.
        unreadable: Of them, those left out for want of a date or a title.
        archived: Its items in the archive now.
        problem: Why Yahoo gave none; empty where it did or was not asked.
    """

    ticker: str
    received: int
    added: int
    unreadable: int
    archived: int
    problem: str


def fetch_news(tickers: list[str], archive: Path, offline: bool = False) -> list[NewsReport]:
    """Add the latest news of the given tickers to an archive; what it holds stays as it is.

    An item that Yahoo changes after it was archived keeps its first wording, which is what was
    known at its time.

    Args:
        tickers: Symbols, such as AAPL.
        archive: A .jsonl file as `data.news.load_news` reads it; made where there is none.
        offline: Never ask Yahoo; tell what the archive has.

    Returns:
        One report per ticker.

    Raises:
        ValueError: No symbol, or the archive is no news file; then Yahoo was not asked.
    """
    symbols = symbols_of(tickers)
    kept = _read_archive(archive)
    counts = {symbol: sum(item["ticker"] == symbol for item in kept) for symbol in symbols}
    if offline:
        return [NewsReport(symbol, 0, 0, 0, counts[symbol], "") for symbol in symbols]
    known = {_key(item) for item in kept}
    reports: list[NewsReport] = []
    added: list[dict[str, Any]] = []
    problem = ""
    for symbol in symbols:
        answer: list[Any] = []
        if not is_rate_limit(problem):  # once patience ran out, the others would wait in vain
            problem = next(iter(ask_patiently(_asking(symbol, answer))), "")
        items = [_read_item(symbol, item) for item in answer]
        new = {_key(item): item for item in items if item is not None and _key(item) not in known}
        known |= new.keys()
        added += new.values()
        unreadable = sum(item is None for item in items)
        total = counts[symbol] + len(new)
        reports.append(NewsReport(symbol, len(answer), len(new), unreadable, total, problem[:120]))
    if added:
        _append(archive, added)
    return reports


def _read_archive(archive: Path) -> list[dict[str, Any]]:
    if archive.suffix != ".jsonl":
        raise ValueError(f"{archive} is no .jsonl file; name the news archive like news.jsonl")
    if not archive.exists() or not archive.stat().st_size:
        return []
    load_news(archive)  # refuses a wrong line by its number
    lines = archive.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line.strip()]


def _key(item: dict[str, Any]) -> tuple[str, str]:
    """What makes an item the same one: Yahoo's id, or the text where there is none."""
    return item["ticker"], str(item.get("id") or item["text"])


def _asking(symbol: str, answer: list[Any]) -> Callable[[], None]:
    """One request that puts its items into `answer`."""

    def ask() -> None:
        import yfinance

        answer[:] = yfinance.Ticker(symbol).get_news(count=NEWS_COUNT, tab="news")

    return ask


def _read_item(symbol: str, item: Any) -> dict[str, Any] | None:
    """An item in the archive's form; None where it has no readable date or no title."""
    content = item.get("content") if isinstance(item, dict) else None
    if not isinstance(content, dict):
        return None
    title, summary, date = (content.get(name) or "" for name in ("title", "summary", "pubDate"))
    if not all(isinstance(part, str) for part in (title, summary, date)):
        return None
    time = read_time(date)
    text = " ".join(f"{title}\n{summary}".split())
    if time is None or not title.strip():
        return None
    stamp = f"{time:%Y-%m-%dT%H:%M:%SZ}"
    return {"ticker": symbol, "published_at": stamp, "text": text, "id": item.get("id")}


def _append(archive: Path, items: list[dict[str, Any]]) -> None:
    """Add lines; a stop half-way leaves the archive as it was."""
    before = archive.read_text(encoding="utf-8") if archive.exists() else ""
    if before and not before.endswith("\n"):
        before += "\n"
    archive.parent.mkdir(parents=True, exist_ok=True)
    partial = archive.with_name(f".partial-{archive.name}")
    lines = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
    partial.write_text(before + lines, encoding="utf-8", errors="replace")
    partial.replace(archive)
