"""What an experiment hands to the verb `show`, and how several seeds become one sentence."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from core.comparison import mean_cell


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


def steps_taken(rows: Sequence[dict[str, Any]]) -> str:
    """The optimiser steps of every seed, by variant."""
    names = dict.fromkeys(row["variant"] for row in rows)
    told = (
        f"{name} {' / '.join(str(row['steps']) for row in rows if row['variant'] == name)}"
        for name in names
    )
    return ", ".join(told)
