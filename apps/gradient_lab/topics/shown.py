"""What an experiment hands to the verb `show`, and how several seeds become one sentence."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from core.comparison import mean_cell

PASSES = 5  # of which the fastest is told


class Shown(NamedTuple):
    """A topic's picture and what it says.

    Attributes:
        figure: Its axes have names and units.
        lines: One to three sentences of what was measured.
        values: The numbers behind them, as JSON has them.
    """

    figure: go.Figure
    lines: list[str]
    values: dict[str, Any]


def means(values: Mapping[str, Sequence[float]]) -> str:
    """Name and mean with its 95 % interval over the seeds, one after the other."""
    return ", ".join(f"{name} {mean_cell(seeds)}" for name, seeds in values.items())


def each(values: Mapping[str, Sequence[float]]) -> str:
    """Name and the value of every seed: where some seeds learn and others do not, a mean lies."""
    told = (
        f"{name} {' / '.join(f'{value:.2f}' for value in seeds)}" for name, seeds in values.items()
    )
    return ", ".join(told)


def shares_right(rows: Sequence[dict[str, Any]], steps: int) -> str:
    """The share right of every seed on temporal order, by variant.

    Args:
        rows: What `run_job` tells of each training, and its `variant`.
        steps: At most so many were made.
    """
    scores: dict[str, list[float]] = {}
    for row in rows:
        scores.setdefault(row["variant"], []).append(row["score"] or 0.0)
    return f"Share right after at most {steps} steps, each seed (a guess: 0.25): {each(scores)}."


def milliseconds(work: Callable[[], object]) -> float:
    """The fastest of several calls: what else runs only slows them."""
    fastest = float("inf")
    for _ in range(PASSES):
        started = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - started)
    return 1000 * fastest


def steps_taken(rows: Sequence[dict[str, Any]]) -> str:
    """The optimiser steps of every seed, by variant."""
    names = dict.fromkeys(row["variant"] for row in rows)
    told = (
        f"{name} {' / '.join(str(row['steps']) for row in rows if row['variant'] == name)}"
        for name in names
    )
    return ", ".join(told)
