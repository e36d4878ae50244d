"""What a run folder keeps of its prices, checked: a file may be another's, or spoilt."""

from pathlib import Path

import numpy as np
import pandas as pd

from apps.stock_forecast.fitted import Fitted
from core.runs import Run
from core.stored import kept, naming, section
from data.price_checks import FIRST_DAY, HIGHEST, NUMBER_COLUMNS
from data.prices import COLUMNS
from data.windows import WindowConfig

PARTS = ("train", "validation", "test")
LAST_DAY = pd.Timestamp("2200-01-01")  # a calendar of many more days would take all memory


def window_config(run: Run) -> WindowConfig:
    """The run's context, horizons and split.

    Raises:
        ValueError: The run's `config.yaml` says no such thing.
    """
    return section(run, "windows", WindowConfig)


def stored_fitted(run: Run) -> Fitted:
    """What the run's training part taught, of the sizes that its configuration asks for.

    Raises:
        ValueError: The run's `preprocessor/prices.json` says no such thing.
    """
    config = window_config(run)
    with kept(run, "prices") as value:
        fitted = Fitted.from_json(value)
        fitted.check_sizes(config)
        return fitted


def stored_table(run: Run, parts: tuple[str, ...] = PARTS) -> pd.DataFrame:
    """The rows that a run keeps, sorted by ticker and date.

    Raises:
        ValueError: A file is broken or holds no prices; the message names it.
    """
    frames = [_read_part(run.path / "data" / f"{part}.parquet") for part in parts]
    return pd.concat(frames).sort_values(["Ticker", "Date"], ignore_index=True)


def _read_part(path: Path) -> pd.DataFrame:
    with naming(path):
        try:
            frame = pd.read_parquet(path)
        except FileNotFoundError:
            raise
        except Exception as error:  # pandas and pyarrow raise anything at a broken file
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"cannot be read ({reason})") from None
        _check(frame)
        return frame


def _check(frame: pd.DataFrame) -> None:
    """Refuse what is no table of `load_prices`, with news or without.

    Raises:
        ValueError: The first column that is wrong.
    """
    if missing := [column for column in COLUMNS if column not in frame]:
        raise ValueError(f"has no column {missing[0]}")
    if not frame.columns.is_unique:
        raise ValueError("has a column twice")
    for column in ("Ticker", "Texts"):
        if column in frame and not _holds_texts(frame[column]):
            raise ValueError(f"{column} must hold texts")
    if not pd.api.types.is_datetime64_dtype(frame["Date"]):
        raise ValueError("Date must hold dates")
    for column in (*NUMBER_COLUMNS, *(("News",) if "News" in frame else ())):
        if not pd.api.types.is_float_dtype(frame[column]):
            raise ValueError(f"{column} must hold numbers")
    if frame.empty:
        return
    dates = frame["Date"]
    if dates.hasnans or not FIRST_DAY <= dates.min() <= dates.max() < LAST_DAY:
        raise ValueError(f"Date must lie between {FIRST_DAY.date()} and {LAST_DAY.date()}")
    for column in NUMBER_COLUMNS:
        values = frame[column].to_numpy()
        least = 0.0 if column == "Volume" else np.finfo(float).tiny
        most = np.finfo(float).max if column == "Volume" else HIGHEST
        if not (least <= values.min() and values.max() <= most):  # false where one is NaN
            raise ValueError(f"{column} must lie between {least:g} and {most:g}")
    if "News" in frame and not (frame["News"].to_numpy() >= 0).all():
        raise ValueError("News must hold counts")


def _holds_texts(column: pd.Series) -> bool:
    kind = pd.api.types.infer_dtype(column, skipna=False)
    return kind in ("string", "empty") and not column.hasnans
