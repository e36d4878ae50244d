"""Broken inputs: valid ones, changed in their bytes or in their values."""

import copy
import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

DEEP, LONG = "<as deep as this>", "<as many digits as this>"  # what `json` itself cannot write
TEXTS = (
    "",
    " ",
    "\0",
    "\ud800",
    "\ufeff",
    "\u2028",
    "nan",
    "NaT",
    "../outside.json",
    "/etc/hostname",
    "data/../../outside.json",
    "a\nb\tc",
    '"',
    "é\u0301\U0001f600",
    "x" * 300,
    "word " * 5000,
    DEEP,
    LONG,
)
NUMBERS = (0, 1, -1, 2, 7, 2**31, 2**63, 2**64, 10**6, 10**30, 10**400, -(10**400))
FLOATS = (float("nan"), float("inf"), float("-inf"), 0.5, -0.0, 1e308, 5e-324)
NESTED: tuple[Any, ...] = ([], {}, [[]], {"": {}}, [None], [1, "a"], {"a": 1}, [[0.5] * 3] * 2)
VALUES = st.one_of(
    st.sampled_from([None, True, False, *TEXTS, *NUMBERS, *FLOATS]),
    st.sampled_from(NESTED),
    st.integers(-100, 100),
    st.floats(),
    st.text(max_size=8),
)


def mostly(
    weight: int, often: SearchStrategy[Any], *others: SearchStrategy[Any]
) -> SearchStrategy[Any]:
    """One strategy so many times as often as each of the others; `one_of` takes all alike."""
    choices = [often] * weight + list(others)
    return st.integers(0, len(choices) - 1).flatmap(choices.__getitem__)


class ByteChange(NamedTuple):
    """What happens to the bytes at a place.

    Attributes:
        kind: One of BYTE_KINDS.
        place: From 0, the first byte, to 1.
        data: What is written there.
        length: How many bytes are concerned.
    """

    kind: str
    place: float
    data: bytes
    length: int


BYTE_KINDS = ("flip", "overwrite", "insert", "delete", "repeat", "cut")


def byte_changes(tokens: Sequence[bytes] = (), least: int = 1) -> SearchStrategy[list[ByteChange]]:
    """Some changes of bytes.

    Args:
        tokens: What means something in the format.
        least: How many at least.
    """
    data = st.binary(min_size=1, max_size=6)
    change = st.builds(
        ByteChange,
        st.sampled_from(BYTE_KINDS),
        st.floats(0, 1),
        (st.sampled_from(tokens) | data) if tokens else data,
        st.sampled_from((1, 1, 1, 4, 30, 300)),
    )
    return st.lists(change, min_size=least, max_size=4)


def with_bytes(content: bytes, changes: Sequence[ByteChange]) -> bytes:
    """Content after changes, one after the other."""
    for kind, place, data, length in changes:
        at = min(int(place * len(content)), max(len(content) - 1, 0))
        before, here, after = content[:at], content[at : at + length], content[at + length :]
        match kind:
            case "flip":
                here = bytes(byte ^ data[0] for byte in here)
            case "overwrite":
                here = data + here[len(data) :]
            case "insert":
                here = data + here
            case "delete":
                here = b""
            case "repeat":
                here *= 3
            case "cut":
                here = after = b""
        content = before + here + after
    return content


class ValueChange(NamedTuple):
    """What happens to one value of a document.

    Attributes:
        kind: One of VALUE_KINDS.
        place: Which child, from the top on, each modulo the number of children.
        value: What comes there, or what it is called from now on.
    """

    kind: str
    place: tuple[int, ...]
    value: Any


VALUE_KINDS = ("set", "set", "set", "delete", "rename", "repeat", "wrap")


def value_changes(least: int = 1) -> SearchStrategy[list[ValueChange]]:
    """Some changes of values; those near the top are the likeliest."""
    place = st.lists(st.integers(0, 499), min_size=1, max_size=5).map(tuple)
    change = st.builds(ValueChange, st.sampled_from(VALUE_KINDS), place, VALUES)
    return st.lists(change, min_size=least, max_size=3)


def with_values(document: Any, changes: Sequence[ValueChange]) -> Any:
    """A document of plain containers after changes, each in place."""
    for kind, place, value in changes:
        holder, key = _found(document, place)
        if holder is None:
            continue
        match kind:
            case "set":
                holder[key] = copy.deepcopy(value)  # the next change may go into it
            case "delete":
                del holder[key]
            case "wrap":
                holder[key] = [holder[key]]
            case "rename" if isinstance(holder, dict):
                holder[str(value)] = holder.pop(key)
            case "repeat" if isinstance(holder, list):
                holder.insert(key, holder[key])
    return document


def _found(document: Any, place: Sequence[int]) -> tuple[Any, Any]:
    """The container and the key of a place; None where there is nothing."""
    holder, key = None, None
    for step in place:
        if not isinstance(document, (dict, list)) or not document:
            break
        holder = document
        key = list(document)[step % len(document)] if isinstance(document, dict) else None
        key = step % len(document) if key is None else key
        document = holder[key]
    return holder, key


def as_json(value: Any) -> bytes:
    """A value as JSON, which may be none: NaN, half characters, a thousand brackets."""
    text = json.dumps(value, ensure_ascii=False)
    text = text.replace(json.dumps(DEEP), "[" * 3000 + "]" * 3000)
    return text.replace(json.dumps(LONG), "9" * 5000).encode("utf-8", "surrogatepass")


def as_lines(records: Sequence[Any]) -> bytes:
    """Records as JSONL."""
    return b"".join(as_json(record) + b"\n" for record in records)


def as_csv(rows: Sequence[Any]) -> bytes:
    """Rows of cells as CSV; what is no list is one cell."""
    written = io.StringIO()
    writer = csv.writer(written)
    for row in rows:
        writer.writerow([_cell(cell) for cell in (row if isinstance(row, list) else [row])])
    return written.getvalue().encode("utf-8", "surrogatepass")


def _cell(cell: Any) -> str:
    return cell if isinstance(cell, str) else json.dumps(cell)


def as_parquet(columns: Any) -> bytes:
    """Columns as Parquet; empty where they are no table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    written = io.BytesIO()
    try:
        table = pa.table(columns) if isinstance(columns, Mapping) else pa.Table.from_pylist(columns)
        pq.write_table(table, written)
    except (pa.ArrowException, OverflowError, TypeError, ValueError, AttributeError):
        return b""
    return written.getvalue()
