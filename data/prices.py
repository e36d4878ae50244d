"""Daily prices from the sample, CSV files or Yahoo, validated, in one long table."""

import csv
import gzip
import hashlib
import importlib.util
import logging
import re
import warnings
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from data.price_checks import (
    NUMBER_COLUMNS,
    check_values,
    drop_unusable,
    first_row,
)

logger = logging.getLogger(__name__)

COLUMNS = ("Ticker", "Date", *NUMBER_COLUMNS)
SAMPLE_START, SAMPLE_END = "2000-03-01", "2013-03-01"
EMPTY_CELLS = ("", "null", "NULL", "nan", "NaN", "NA", "N/A", "n/a", "None")
ISO_DATE = re.compile(
    r"^(\d{4}-\d{2}-\d{2})(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?$"
)
DAYTIME = re.compile(r"[T ](?!00:00(?::00(?:\.0+)?)?(?:$|[Z+-]))")  # a zone alone shifts no day
CITED = 40  # letters of a wrong cell that a message shows
EXAMPLE_HEADER = "Date,Open,High,Low,Close,Adj Close,Volume"


def load_prices(source: str, cache_dir: Path | None = None, offline: bool = False) -> pd.DataFrame:
    """Read daily prices from any supported source.

    Args:
        source: `sample`, a CSV file (also .csv.gz), a folder of them, or `yahoo:AAPL,MSFT`. A CSV
            without a Ticker column is one ticker, named after the file.
        cache_dir: Where Yahoo's answers are kept; None for the user's cache folder.
        offline: Never ask Yahoo; read what the cache has.

    Returns:
        Columns Ticker, Date, Open, High, Low, Close, Adj Close, Volume; one row a ticker and
        trading day, sorted by both, without empty cells. A volume of 0 is unknown.

    Raises:
        FileNotFoundError: The file or folder does not exist.
        ValueError: The content is wrong; the message names the file and the line.
    """
    if source == "sample":
        return load_sample()
    if source.startswith("yahoo:"):
        from data.yahoo import load_yahoo

        frame = load_yahoo(source.removeprefix("yahoo:").split(","), cache_dir, offline)
        return drop_unusable(frame, source)
    path = Path(source).expanduser()
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.name.lower().endswith((".csv", ".csv.gz")))
        if not files:
            raise FileNotFoundError(f"{path} holds no .csv or .csv.gz file; give another folder")
    elif path.exists():
        files = [path]
    else:
        raise FileNotFoundError(
            f"{path} does not exist; give sample, a CSV file, a folder of them or yahoo:AAPL,MSFT"
        )
    return drop_unusable(_join([read_price_csv(file) for file in files], files), str(path))


def load_sample() -> pd.DataFrame:
    """Real daily prices that ship inside installed packages, 2000-03-01 to 2013-03-01.

    AAPL, FB, GOOG, IBM and MSFT from `bokeh_sampledata` (public domain), the S&P 500 and the
    Nasdaq from `arch`. The indices pay no dividend, so their adjusted close is the close.
    """
    stocks = pd.read_csv(_package_folder("bokeh_sampledata") / "_data" / "stocks.csv.gz")
    frames = [stocks.assign(Date=pd.to_datetime(stocks["Date"], format="%Y-%m-%d"))]
    for ticker, name in (("SP500", "sp500"), ("NASDAQ", "nasdaq")):
        index = pd.read_csv(_package_folder("arch") / "data" / name / f"{name}.csv.gz")
        dates = pd.to_datetime(index["Date"], format="%m/%d/%Y")
        frames.append(index.assign(Date=dates, Ticker=ticker))
    frame = pd.concat(frames, ignore_index=True)[list(COLUMNS)]
    frame = frame[frame["Date"].between(SAMPLE_START, SAMPLE_END)].astype({"Volume": float})
    return frame.sort_values(["Ticker", "Date"], ignore_index=True)


def _package_folder(name: str) -> Path:
    """Where a package lies, without importing it: importing it would parse the file twice."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"the sample needs the package {name}; install it: make setup")
    return Path(spec.origin).parent


def read_price_csv(path: Path) -> pd.DataFrame:
    """Read and validate one CSV file.

    Args:
        path: A .csv or .csv.gz file, with a Ticker column or named after its one ticker.

    Returns:
        The table of `load_prices`, plus the column `line`: where in the file a row stands.

    Raises:
        ValueError: Wrong content, with file and line.
    """
    raw = _read_text_table(path)
    names = {column: _canonical(column) for column in raw.columns}
    raw = raw.rename(columns=names)
    raw = raw.loc[:, ~raw.columns.duplicated()]
    needed = ["Date", "Open", "High", "Low", "Close"]
    missing = [column for column in needed if column not in raw.columns]
    if missing:
        raise ValueError(
            f"{path} line 1: no column {', '.join(missing)}; the header must be {EXAMPLE_HEADER}"
        )
    if "Adj Close" not in raw.columns:
        logger.warning("%s has no Adj Close: Close is used, splits and dividends stay in", path)
        raw["Adj Close"] = raw["Close"]
    if "Volume" not in raw.columns:
        raw["Volume"] = "0"
    if "Ticker" not in raw.columns:
        raw["Ticker"] = path.name.removesuffix(".gz").removesuffix(".csv")
    raw = raw[list(COLUMNS)].apply(lambda column: column.str.strip())
    blank = (raw.drop(columns=["Ticker", "Volume"]) == "").all(axis=1)  # an empty line
    table = raw.mask(raw.isin(EMPTY_CELLS) & (raw.columns != "Ticker") | (raw == ""))
    table["Volume"] = table["Volume"].fillna("0")  # unknown, which a price can do without
    whole = table.notna().all(axis=1)
    if dropped := int((~whole & ~blank).sum()):
        first = int(np.flatnonzero(~whole & ~blank)[0]) + 2
        logger.warning("%s: dropped %d rows with empty cells, first line %d", path, dropped, first)
    table = table[whole]
    if table.empty:
        raise ValueError(f"{path} has no complete row; it needs lines of {EXAMPLE_HEADER}")
    return _parse(table, path)


def _read_text_table(path: Path) -> pd.DataFrame:
    """The file as text cells; row i of the table stands on line i + 2."""
    try:
        with warnings.catch_warnings():
            # More cells than the header has: the last ones would be lost with a warning alone.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                path,
                dtype=str,
                keep_default_na=False,
                skip_blank_lines=False,
                index_col=False,
                encoding="utf-8-sig",
                quoting=csv.QUOTE_MINIMAL,
            ).fillna("")
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} is empty; it needs lines of {EXAMPLE_HEADER}") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        found = re.search(r"line (\d+)", str(error))
        line = f" line {found.group(1)}" if found else ""
        raise ValueError(f"{path}{line}: not a CSV row of the header's length; fix it") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text; save it as UTF-8 CSV") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise ValueError(f"{path} is not a whole gzip file; compress it again") from None


def _cited(cell: str) -> str:
    """A cell as a message cites it."""
    return repr(cell if len(cell) <= CITED else cell[:CITED] + "…")


def _canonical(column: str) -> str:
    known = {name.lower(): name for name in COLUMNS}
    return known.get(str(column).strip().lower().replace("_", " "), str(column))


def _parse(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Text cells to dates and numbers; the first wrong line ends it."""
    dates = table["Date"].str.extract(ISO_DATE, expand=False)
    parsed = pd.DataFrame({"Ticker": table["Ticker"].astype("category")})
    parsed["Date"] = pd.to_datetime(dates, format="%Y-%m-%d", errors="coerce")
    wrong: list[tuple[int, str]] = []
    if (row := first_row(parsed["Date"].isna())) is not None:
        wrong.append((row, f"Date {_cited(table['Date'][row])} is no date; write it as YYYY-MM-DD"))
    for column in NUMBER_COLUMNS:
        parsed[column] = pd.to_numeric(table[column], errors="coerce").astype(float)
        if (row := first_row(~np.isfinite(parsed[column]))) is not None:
            text = _cited(table[column][row])
            wrong.append((row, f"{column} {text} is no number; write it like 1234.5"))
    if (row := first_row(table["Date"].str.contains(DAYTIME))) is not None:
        logger.warning(
            "%s: dates carry a time, first line %d: %s; the day as written is taken",
            path,
            row + 2,
            table["Date"][row],
        )
    parsed["line"] = np.asarray(table.index) + 2
    if wrong:
        row, problem = min(wrong)
        raise ValueError(f"{path} line {row + 2}: {problem}")
    check_values(parsed, lambda row: f"{path} line {parsed['line'][row]}")
    return parsed


def hash_prices(prices: pd.DataFrame) -> str:
    """SHA-256 of the table's content, news among it, in hexadecimal: what a run was trained on."""
    news = [column for column in ("News", "Texts") if column in prices]
    rows = pd.util.hash_pandas_object(prices[[*COLUMNS, *news]], index=False)
    return hashlib.sha256(rows.to_numpy().tobytes()).hexdigest()


def _join(frames: list[pd.DataFrame], files: list[Path]) -> pd.DataFrame:
    """One sorted table of all files; a date that stands in two files is refused."""
    for frame, path in zip(frames, files, strict=True):
        backwards = frame.groupby("Ticker", observed=True)["Date"].diff() < pd.Timedelta(0)
        if (row := first_row(backwards)) is not None:
            line = frame["line"][row]
            logger.warning("%s: dates not in order from line %d on; sorted them", path, line)
    names = np.repeat([str(file) for file in files], [len(frame) for frame in frames])
    joined = pd.concat([frame.astype({"Ticker": str}) for frame in frames], ignore_index=True)
    if len(files) > 1:
        check_values(joined, lambda row: f"{names[row]} line {joined['line'][row]}")
    joined = joined.drop(columns="line")
    return joined.sort_values(["Ticker", "Date"], ignore_index=True)
