"""Prices and news from Yahoo into the cache, a CSV file and a news archive."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.cli import verb
from data.yahoo import fetch_prices, refusal
from data.yahoo_news import fetch_news


def table(result: dict[str, Any]) -> str:
    """One line a ticker, of prices and then of news."""
    lines = [_line(report) for report in result["tickers"]]
    return "\n".join([*lines, *(_news_line(report) for report in result["news"])])


def _news_line(report: dict[str, Any]) -> str:
    line = f"{report['ticker']:<8} news: {report['added']} added, {report['archived']} archived"
    if report["unreadable"]:
        line += f", {report['unreadable']} without a date or a title left out"
    return line + (f" (Yahoo failed: {report['problem']})" if report["problem"] else "")


def _line(report: dict[str, Any]) -> str:
    problem = report["problem"]
    if not report["rows"]:
        return f"{report['ticker']:<8} failed: {problem}"
    told = [
        f"{report['rows']} rows, {report['first']} to {report['last']}",
        f"{report['origin']} of {report['downloaded'][:10]}",
        "adjusted" if report["adjusted"] else "adjusted close is the close",
        f"{report['gaps']} days missing" if report["gaps"] else "",
        f"looks split on {', '.join(report['splits'])}" if report["splits"] else "",
    ]
    line = f"{report['ticker']:<8} {', '.join(part for part in told if part)}"
    return f"{line} ({problem})" if problem else line


@verb(table)
def fetch(
    data: str, out: Path | None = None, news: Path | None = None, offline: bool = False
) -> dict[str, Any]:
    """Download daily prices, and news where asked, from Yahoo.

    Args:
        data: Symbols, such as yahoo:AAPL,MSFT; the prefix may be left out. Answers are kept in
            $XDG_CACHE_HOME/stock-forecast (by default ~/.cache/stock-forecast), where every
            command with --offline finds them.
        out: A CSV file to write, in the long form; left out: the cache alone.
        news: An archive (.jsonl) to which the latest news are added; Yahoo gives no older ones, so
            call this every few days.
        offline: Never ask Yahoo; tell what is cached and how old it is.

    Raises:
        ValueError: Not one of the tickers has prices.
    """
    tickers = data.removeprefix("yahoo:").split(",")
    archived = [] if news is None else fetch_news(tickers, news, offline)
    frame, reports = fetch_prices(tickers, offline=offline)
    if frame.empty:
        raise ValueError(refusal(reports, offline))
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = out.with_name(f".partial-{out.name}")
        frame.to_csv(partial, index=False)
        partial.replace(out)
    return {
        "tickers": [asdict(report) for report in reports],
        "news": [asdict(report) for report in archived],
        "out": out and str(out),
    }
