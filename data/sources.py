"""Records of the sample, JSONL, CSV, Parquet or the Hugging Face hub, one after the other.

Everything streams: `datasets` would otherwise keep a copy of the raw text, personal data and all,
in its cache.
"""

import codecs
import hashlib
import json
import warnings
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from glob import escape
from pathlib import Path
from typing import Any

_KINDS = {".jsonl": "jsonl", ".jsonl.gz": "jsonl", ".csv": "csv", ".parquet": "parquet"}
_READ_ROWS = 256  # of a Parquet file at a time
_UNREADABLE = (
    *(OSError, ValueError, LookupError, TypeError, RuntimeError, EOFError, Warning),
    *(MemoryError, zlib.error),  # a broken file may claim to hold more than fits into memory
)


def records(source: str, text_columns: Collection[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every record with the place it stands at.

    Args:
        source: `sample`, a path (.jsonl, .jsonl.gz, .csv, .parquet, or a folder of them) or
            `hf:owner/name`.
        text_columns: Columns of a CSV whose cells stay text as they are written.

    Raises:
        FileNotFoundError: No such path.
        ValueError: Not readable; the message says what, in which file and line, and what to do.
    """
    if source == "sample":
        from data.support_sample import generate_dialogues

        for made in generate_dialogues():
            yield f"sample {made['dialogue_id']}", made
    elif source.startswith("hf:"):
        rows = _parquet_of_hub(source) or _stream(source[3:], {"split": "train"}, source)
        for number, row in enumerate(rows, 1):
            yield f"{source} row {number}", row
    else:
        for path in _files(source):
            yield from _RECORDS_OF[_kind(path)](path, text_columns)


def source_hash(source: str) -> str:
    """SHA-256 over the files of a source; of its name where it is not on this disk."""
    is_elsewhere = source == "sample" or source.startswith("hf:")
    digest = hashlib.sha256(source.encode() if is_elsewhere else b"")
    for path in () if is_elsewhere else _files(source):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _files(source: str) -> list[Path]:
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(f"{source}: no such file or folder; check --data")
    found = sorted(p for p in path.iterdir() if _kind(p)) if path.is_dir() else [path]
    if not found or not all(_kind(p) for p in found):
        raise ValueError(f"{source}: not a dialogue file; give .jsonl, .jsonl.gz, .csv or .parquet")
    for file in found:
        if file.stat().st_size == 0:
            raise ValueError(f"{file}: the file is empty; give one with dialogues")
    return found


def _kind(path: Path) -> str:
    """Of a file; empty where its name has no known ending."""
    return next((kind for ending, kind in _KINDS.items() if path.name.endswith(ending)), "")


def _jsonl(path: Path, _: Collection[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    options = {"data_files": escape(str(path)), "split": "train"}
    if path.suffix != ".gz":
        options["encoding"] = _encoding(path)
    for number, row in enumerate(_stream("text", options, str(path)), 1):
        if row["text"].strip():
            yield f"{path} line {number}", _json_line(row["text"], f"{path} line {number}")


def _csv(path: Path, text_columns: Collection[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    options: dict[str, Any] = {"data_files": escape(str(path)), "split": "train"}
    # Text stays as it is written: "NA" is a word and "007" no number.
    options |= {"converters": dict.fromkeys(text_columns, str), "keep_default_na": False}
    options |= {"index_col": False, "encoding": _encoding(path)}
    for number, row in enumerate(_stream("csv", options, str(path)), 1):
        yield f"{path} row {number}", row


def _parquet(path: Path, _: Collection[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, row in enumerate(_parquet_rows([path], str(path)), 1):
        yield f"{path} row {number}", row


def _parquet_of_hub(source: str) -> Iterator[Mapping[str, Any]] | None:
    """The rows of a data set that is kept as Parquet; None for other kinds."""
    import datasets
    from datasets.packaged_modules.parquet.parquet import Parquet

    try:
        builder = datasets.load_dataset_builder(source[3:])
    except _UNREADABLE as error:
        raise _cannot_read(source, error) from None
    files = (builder.config.data_files or {}).get("train")
    return _parquet_rows(files, source) if files and isinstance(builder, Parquet) else None


def _parquet_rows(files: Iterable[Any], place: str) -> Iterator[Mapping[str, Any]]:
    """A few rows at a time; `datasets` decodes a row group, often the whole file, at once."""
    import fsspec
    import pyarrow.parquet as pq

    try:
        for name in files:
            opened = name.open("rb") if isinstance(name, Path) else fsspec.open(name)
            with opened as stream, pq.ParquetFile(stream, buffer_size=1 << 20) as file:
                for batch in file.iter_batches(_READ_ROWS):
                    yield from batch.to_pylist()
    except _UNREADABLE as error:
        raise _cannot_read(place, error) from None


_RECORDS_OF = {"jsonl": _jsonl, "csv": _csv, "parquet": _parquet}


def _stream(builder: str, options: dict[str, Any], place: str) -> Iterator[Mapping[str, Any]]:
    import datasets

    datasets.disable_progress_bars()
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False  # a local file is nobody's business
    try:
        with warnings.catch_warnings():
            # A row with more cells than the header would lose the last ones with a warning alone.
            warnings.filterwarnings("error", message="Length of header or names")
            yield from datasets.load_dataset(builder, streaming=True, **options)
    except _UNREADABLE as error:
        raise _cannot_read(place, error) from None


def _cannot_read(place: str, error: Exception) -> ValueError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ValueError(f"{place}: cannot be read ({reason}); check the file or name")


def _json_line(line: str, place: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: not JSON ({error}); mend or delete the line") from None
    if not isinstance(row, dict):
        raise ValueError(
            f"{place}: a JSON object with 'turns' is expected, not {type(row).__name__}"
        )
    return row


def _encoding(path: Path) -> str:
    """UTF-16 by its mark, else UTF-8.

    Raises:
        ValueError: Neither; the message guesses what it is and says how to convert it.
    """
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        while block := file.read(1 << 20):
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                raise _wrong_encoding(path, block) from None
            if b"\0" in block and block.count(b"\0") > len(block) // 4:
                raise _wrong_encoding(path, block)
    return "utf-8"


def _wrong_encoding(path: Path, block: bytes) -> ValueError:
    """What bytes that are no UTF-8 seem to be: a guess by the share of zeros and high bytes."""
    high = sum(byte > 127 for byte in block)
    if block.count(b"\0") > len(block) // 4:
        guess, names = "UTF-16 without a byte order mark", "UTF-16LE"
    elif 4 * high < len(block):
        guess, names = "Latin-1 (Windows-1252)", "WINDOWS-1252"
    else:
        guess, names = (
            "an East Asian or Cyrillic code page",
            "EUC-KR (or SHIFT_JIS, GB18030, CP1251)",
        )
    return ValueError(
        f"{path}: cannot be read (not UTF-8; it seems to be {guess}); check the file or name, or "
        f"convert it: iconv -f {names} -t UTF-8 {path.name} > utf8-{path.name}"
    )
