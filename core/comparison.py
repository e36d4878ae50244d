"""compare(): the same data and budget for every candidate, several seeds, intervals."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from scipy.stats import t as student_t

from core.fan_out import Workers, fan_out

logger = logging.getLogger(__name__)
Row = dict[str, Any]
Name = TypeVar("Name", bound=str)


@dataclass(frozen=True)
class Candidate:
    """Something that can be scored.

    Attributes:
        name: Unique in a comparison.
        score: Given a seed, the number of trained parameters and the metrics by name; it can be
            pickled. `earlier_seconds` among them is the wall time of what an earlier call did.
        is_seeded: Whether the seed matters; if not, one row stands for all.
    """

    name: str
    score: Callable[[int], tuple[int, Mapping[str, Any]]]
    is_seeded: bool


def compare(
    candidates: Sequence[Candidate], num_seeds: int, workers: Workers, folder: Path
) -> list[Row]:
    """Score every candidate with seeds 0, 1, ...

    Args:
        candidates: At least one.
        num_seeds: Of the seeded ones, at least 1.
        workers: As for `fan_out`.
        folder: Likewise.

    Returns:
        One row per candidate and seed, in this order: `name, seed, parameters, seconds, metrics`;
        the seconds are the wall time of training and scoring together.

    Raises:
        ValueError: `num_seeds` below 1.
        ChildProcessError: A worker was killed.
    """
    if num_seeds < 1:
        raise ValueError(f"seeds={num_seeds} must be at least 1")
    by_name = {candidate.name: candidate for candidate in candidates}
    items = {
        f"{candidate.name}, seed {seed}": (candidate.name, seed)
        for candidate in candidates
        for seed in range(num_seeds if candidate.is_seeded else 1)
    }
    return fan_out(partial(_score, by_name), items, workers, folder)


def _score(candidates: Mapping[str, Candidate], item: tuple[str, int]) -> Row:
    name, seed = item
    logger.info("candidate %s, seed %d", name, seed)
    started = time.perf_counter()
    parameters, scored = candidates[name].score(seed)
    metrics = dict(scored)
    seconds = time.perf_counter() - started + metrics.pop("earlier_seconds", 0.0)
    return {
        "name": name,
        "seed": seed,
        "parameters": parameters,
        "seconds": round(seconds, 1),
        "metrics": metrics,
    }


def choose(available: Sequence[Name], wanted: str, what: str = "candidates") -> list[Name]:
    """Names from a comma-separated list; `all` takes every one.

    Args:
        available: All names that there are.
        wanted: The list.
        what: The option, for the error.

    Raises:
        ValueError: An unknown name.
    """
    if wanted == "all":
        return list(available)
    words = list(dict.fromkeys(name.strip() for name in wanted.split(",") if name.strip()))
    unknown = [word for word in words if word not in available]
    if unknown or not words:
        raise ValueError(
            f"{what}={wanted!r}: {', '.join(unknown) or 'none'} is unknown; choose from "
            f"{', '.join(available)}"
        )
    return [available[available.index(word)] for word in words]


def numbers(words: str, what: str) -> list[int]:
    """The whole numbers in a comma-separated list, each once.

    Args:
        words: The list.
        what: The option, for the error.

    Raises:
        ValueError: Something else than positive whole numbers.
    """
    found = [word.strip() for word in words.split(",") if word.strip()]
    if not found or not all(word.isdecimal() and int(word) > 0 for word in found):
        raise ValueError(f"{what}={words!r} must be whole numbers above 0, such as 50,100,200")
    return list(dict.fromkeys(int(word) for word in found))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and the half-width of its 95 % Student interval (0 for a single value)."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, 0.0
    spread = float(np.std(values, ddof=1)) / len(values) ** 0.5
    return mean, float(student_t.ppf(0.975, len(values) - 1)) * spread


def geometric_mean(curves: Sequence[Sequence[float]]) -> list[float]:
    """Mean of the logarithms over the seeds, point by point; a value of zero makes its mean zero.

    Args:
        curves: One of equal length per seed.
    """
    with np.errstate(divide="ignore"):
        logs = np.log(np.array(curves, float))  # (seeds, T)
    return [float(value) for value in np.exp(logs.mean(axis=0))]


def format_table(rows: Sequence[Row], metrics: Sequence[str], baseline: str, ratio: str) -> str:
    """A table for people: mean and 95 % interval over the seeds.

    A single seed has no such interval: where its metrics hold `intervals`, the metric's own is
    shown in brackets.

    Args:
        rows: What `compare` returned.
        metrics: Columns, by name.
        baseline: The row that the last column divides by.
        ratio: Which metric the last column compares.
    """
    names = list(dict.fromkeys(row["name"] for row in rows))
    grouped = {name: [row for row in rows if row["name"] == name] for name in names}
    base = _values(grouped.get(baseline, []), ratio)
    header = ["candidate", "seeds", "parameters", "seconds", *metrics, f"{ratio} / {baseline}"]
    lines = [header]
    for name, members in grouped.items():
        cells = [name, str(len(members))]
        cells.append(f"{members[0]['parameters']:,}" if members[0]["parameters"] else "-")
        cells.append(f"{np.mean([row['seconds'] for row in members]):.0f}")
        cells += [_metric_cell(members, metric) for metric in metrics]
        own = _values(members, ratio)
        cells.append(f"{np.mean(own) / np.mean(base):.3f}" if own and base else "-")
        lines.append(cells)
    return align(lines)


def align(lines: Sequence[Sequence[str]], num_names: int = 1) -> str:
    """Columns of equal width with a rule under the header.

    Args:
        lines: The header, then the rows.
        num_names: How many columns hold names, which stand at the left.
    """
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    ruled = [lines[0], ["-" * width for width in widths], *lines[1:]]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < num_names else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in ruled
    )


def mean_cell(values: Sequence[float]) -> str:
    """Mean and 95 % interval as a table shows them; a dash for no value."""
    if not values:
        return "-"
    mean, half = interval(values)
    return number_cell(mean) + (f" ±{half:.{_digits(mean)}f}" if len(values) > 1 else "")


def number_cell(value: float | None) -> str:
    """A number as a table shows it; a dash for none."""
    return "-" if value is None else f"{value:.{_digits(value)}f}"


def range_cell(ends: Sequence[float]) -> str:
    """An interval as a table shows it."""
    digits = _digits(max(ends, key=abs))
    return f"[{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"


def _digits(value: float) -> int:
    return 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 4


def _metric_cell(members: Sequence[Row], metric: str) -> str:
    values = _values(members, metric)
    ends = members[0]["metrics"].get("intervals", {}).get(metric)
    return (
        f"{mean_cell(values)} {range_cell(ends)}"
        if len(values) == 1 and ends
        else mean_cell(values)
    )


def _values(rows: Sequence[Row], metric: str) -> list[float]:
    found = [row["metrics"].get(metric) for row in rows]
    return [float(value) for value in found if value is not None]
