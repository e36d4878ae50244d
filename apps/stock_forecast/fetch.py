"""Prices from Yahoo into the cache, and into a CSV file where asked."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.cli import verb
from data.yahoo import fetch_prices


def table(result: dict[str, Any]) -> str:
    """One line a ticker."""
    lines = []
    for report in result["tickers"]:
        span = f"{report['rows']} rows, {report['first']} to {report['last']}"
        failed = f" ({report['problem']})" if report["problem"] else ""
        lines.append(f"{report['ticker']:<8} {report['origin']:<6} {span}{failed}")
    return "\n".join(lines)


@verb(table)
def fetch(data: str, out: Path | None = None, cache_dir: Path | None = None) -> dict[str, Any]:
    """Download daily prices from Yahoo.

    Args:
        data: Symbols, such as yahoo:AAPL,MSFT; the prefix may be left out.
        out: A CSV file to write, in the long form; left out: the cache alone.
        cache_dir: Where Yahoo's answers are kept; left out: the user's cache folder.

    Raises:
        ValueError: Not one of the tickers has prices.
    """
    frame, reports = fetch_prices(data.removeprefix("yahoo:").split(","), cache_dir)
    if frame.empty:
        names = ", ".join(report.ticker for report in reports)
        raise ValueError(
            f"yahoo:{names}: {reports[0].problem}, and nothing is cached; "
            "check the symbols and the connection"
        )
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = out.with_name(f".partial-{out.name}")
        frame.to_csv(partial, index=False)
        partial.replace(out)
    return {"tickers": [asdict(report) for report in reports], "out": out and str(out)}
