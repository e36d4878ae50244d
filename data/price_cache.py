"""What Yahoo answered, kept as Parquet with the time of the download."""

import logging
import os
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from data.prices import COLUMNS

logger = logging.getLogger(__name__)

STAMP = "downloaded_at"


def default_cache_dir() -> Path:
    """`$XDG_CACHE_HOME/stock-forecast`, by default in the user's `.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stock-forecast"


def write_cache(folder: Path, ticker: str, frame: pd.DataFrame, now: datetime) -> None:
    """Keep one ticker's answer in place of an older one.

    Args:
        folder: Where the cache lies; made where missing.
        ticker: Its symbol, which is the file's name.
        frame: Its rows, in the form of `data.prices.load_prices`.
        now: When they were downloaded, with a time zone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stamped = frame.copy(deep=False)
    stamped.attrs[STAMP] = now.astimezone(UTC).isoformat(timespec="seconds")
    path = folder / f"{ticker}.parquet"
    partial = path.with_suffix(".partial")
    stamped.to_parquet(partial, index=False)
    partial.replace(path)


def read_cache(folder: Path, ticker: str) -> tuple[pd.DataFrame, datetime] | None:
    """One ticker's rows and the time of their download; None where nothing usable is kept.

    A file of before the stamp has its own time instead. A broken one is told of in a warning.
    """
    path = folder / f"{ticker}.parquet"
    if not path.exists():
        return None
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError):  # pyarrow's own errors are of these
        logger.warning("%s: not a whole Parquet file; ignored, delete it", path)
        return None
    if not set(COLUMNS) <= set(frame.columns) or frame.empty:
        logger.warning("%s: has not the columns of prices; ignored, delete it", path)
        return None
    stamp = frame.attrs.pop(STAMP, None)
    if stamp is None:
        return frame, datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return frame, datetime.fromisoformat(str(stamp))


def age_in_words(since: datetime, now: datetime) -> str:
    """How long ago, in hours up to two days, then in days."""
    hours = (now - since).total_seconds() / 3600
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"
