"""What a run folder keeps in plain containers, checked and made again what it was."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from itertools import chain
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import torch
from torch import nn

from core.runs import Run

T = TypeVar("T")
LARGEST = 2**63 - 1  # of a whole number: more is none for numpy and torch
ROOM = 2**20  # parameters that are no matter, whatever the weights hold


def section(run: Run, name: str, kind: type[T]) -> T:
    """A part of a run's `config.yaml`.

    Args:
        run: The run.
        name: Such as `model`.
        kind: The dataclass that it was.

    Raises:
        ValueError: It is missing or no such thing; the message names the file and the option.
    """
    with naming(run.path / "config.yaml"):
        values = run.config.get(name) if isinstance(run.config, dict) else None
        return conformed(values, kind, name)


@contextmanager
def kept(run: Run, name: str) -> Iterator[Any]:
    """What `preprocessor/<name>.json` says; an error about it in the block names the file.

    Raises:
        ValueError: There is no such file, or the block refuses what it says.
    """
    with naming(run.path / "preprocessor" / f"{name}.json"):
        if name not in run.preprocessor:
            raise ValueError("not among the run's files")
        yield run.preprocessor[name]


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put a file's name before what the block refuses in it."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}; restore it or train again") from None


def conformed(value: Any, kind: type[T], name: str = "") -> T:
    """A value of JSON or YAML as what it was when it was written.

    Args:
        value: Plain containers.
        kind: A dataclass, a TypedDict, or what their fields may be: numbers (finite ones), texts,
            None, Literal, lists, and tuples, which JSON keeps as lists.
        name: What it is called, for the message.

    Raises:
        ValueError: It is of another kind.
    """
    return cast(T, _made(value, kind, name))


def _made(value: Any, kind: Any, name: str) -> Any:
    if is_dataclass(kind) or hasattr(kind, "__required_keys__"):
        return _made_fields(value, kind, name)
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        others = [other for other in get_args(kind) if other is not NoneType]
        if value is not None and len(others) == 1:
            return _made(value, others[0], name)
    if not _all_are([value], kind):
        wanted = getattr(kind, "__name__", "") if origin is None else str(kind)
        raise ValueError(f"{name} must be {wanted}, not {_told(value)}")
    return _tuples(value, kind) if origin is tuple else value


def _made_fields(value: Any, kind: Any, name: str) -> Any:
    hints = get_type_hints(kind)
    if not isinstance(value, dict):
        raise ValueError(f"{name or 'it'} must be a table, not {_told(value)}")
    if is_dataclass(kind):
        needed = {f.name for f in fields(kind) if f.default is f.default_factory is MISSING}
    else:
        needed = set(kind.__required_keys__)
    dot = f"{name}." if name else ""
    if strangers := sorted(str(key) for key in value.keys() - hints.keys()):
        raise ValueError(f"{dot}{strangers[0]} is unknown")
    if missing := sorted(needed - value.keys()):
        raise ValueError(f"{dot}{missing[0]} is missing")
    return kind(**{key: _made(item, hints[key], f"{dot}{key}") for key, item in value.items()})


def _all_are(values: Sequence[Any], kind: Any) -> bool:
    """Whether all values are of a kind; level by level, because some lists hold a million."""
    types = set(map(type, values))
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        are = all(any(_all_are([value], one) for one in inner) for value in values)
    elif origin is Literal:
        are = types <= set(map(type, inner)) and all(value in inner for value in values)
    elif origin in (list, tuple):
        is_list = types <= {list, tuple}
        are = is_list and _all_are(list(chain.from_iterable(values)), inner[0])
    elif kind is float:
        are = types <= {int, float} and all(map(_is_finite, values))
    elif kind is int:
        is_whole = types <= {int}
        are = is_whole and (not values or -LARGEST <= min(values) <= max(values) <= LARGEST)
    elif kind is str:
        are = types <= {str} and not any("\ud800" <= c <= "\udfff" for c in "".join(values))
    else:
        are = types <= {kind}
    return are


def _is_finite(value: float) -> bool:
    return -1e308 <= value <= 1e308 and math.isfinite(value)


def _tuples(value: Sequence[Any], kind: Any) -> tuple[Any, ...]:
    inner = get_args(kind)[0]
    return tuple(_tuples(item, inner) if get_origin(inner) is tuple else item for item in value)


def _told(value: Any) -> str:
    """A value as a message cites it: a short one itself, of others the type."""
    is_short = isinstance(value, (bool, float, NoneType)) or (
        isinstance(value, (str, int)) and len(str(value)[:40]) < 40
    )
    return repr(value) if is_short else type(value).__name__


def check_size(
    run: Run, sizes: Sequence[int], num_parts: int, build: Callable[[], nn.Module]
) -> None:
    """Refuse a network that is far larger than the run's weights, before it takes all memory.

    Args:
        run: The run.
        sizes: Units and widths that its configuration asks for.
        num_parts: Layers times networks.
        build: Makes the network.

    Raises:
        ValueError: It has more parameters than the weights.
    """
    with naming(run.path / "config.yaml"):
        held = (run.path / "model.safetensors").stat().st_size // 4
        if max(sizes) ** 2 * num_parts <= 16 * held + ROOM:
            return
        with torch.device("meta"):  # counts without memory; its first use takes two seconds
            wanted = sum(parameter.numel() for parameter in build().parameters())
        if wanted > held:
            raise ValueError(f"model asks for {wanted:,} parameters, the weights hold {held:,}")
