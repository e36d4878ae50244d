"""What a comparison leaves in its folder: scores, quality by length, gradient by lag."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from core.comparison import Row, align, geometric_mean, mean_cell
from core.files import write_json
from core.plots import NamedCurve, lag_curves, quality_by_length
from core.reporting import Section, write_report

SHOWN_LAGS = (10, 20, 50)
LAG_TEXT = """\
Gradient by lag: how much the last output of a trained network's encoder depends on its state so
many steps before, on test inputs. It is the norm of d output[last] / d state[last - lag] over that
at lag 1, of the layer that reads the input, a geometric mean over the seeds. Dashed: the LSTM's
cell state. What has fallen to a thousandth hardly teaches any more. The curves leave out the other
ways to an early input: attention, and the backward direction of an encoder that reads both ways. A
Transformer has no curve."""


@dataclass(frozen=True)
class ByLength:
    """Quality by the length of the input, as an app measures it.

    It serves for other orders of parts as well, such as the turns of a dialogue.

    Attributes:
        measure: The score's name.
        length: What the lengths are, with unit.
        about: A paragraph for the report.
        values: Of a row: score by length, the shortest first; None where nothing was scored.
    """

    measure: str
    length: str
    about: str
    values: Callable[[Row], Mapping[str, float | None]]


def length_table(rows: Sequence[Row], by_length: ByLength) -> str:
    """Quality by length, mean and 95 % interval, and the gradient at a few lags over that at lag 1.

    Args:
        rows: What `core.comparison.compare` returned, with `gradient_by_lag` in the metrics of the
            recurrent networks.
        by_length: The app's measure.
    """
    scores = _seeds_by_length(rows, by_length)
    curves = mean_curves(rows)
    lengths = list(dict.fromkeys(key for found in scores.values() for key in found))
    header = [f"{by_length.measure} {length}" for length in lengths]
    lines = [["candidate", *header, *(f"lag {lag}" for lag in SHOWN_LAGS)]]
    for name, found in scores.items():
        quality = [mean_cell(found.get(length, [])) for length in lengths]
        own = {curve.state: _shares(curve) for curve in curves if curve.name == name}
        lines.append([name, *quality, *own.get("hidden", ["-"] * len(SHOWN_LAGS))])
        if "cell" in own:
            lines.append([f"{name}, cell state", *[""] * len(lengths), *own["cell"]])
    about = f"{by_length.measure} by {by_length.length}; gradient norm at a lag over that at lag 1"
    return f"{about}\n\n{align(lines)}"


def part_table(rows: Sequence[Row], by_length: ByLength) -> str:
    """Quality by length alone, mean and 95 % interval over the seeds.

    Args:
        rows: What `core.comparison.compare` returned.
        by_length: The app's measure.
    """
    scores = _seeds_by_length(rows, by_length)
    lengths = list(dict.fromkeys(key for found in scores.values() for key in found))
    lines = [["candidate", *lengths]]
    for name, found in scores.items():
        lines.append([name, *(mean_cell(found.get(length, [])) for length in lengths)])
    return f"{by_length.measure} by {by_length.length}\n\n{align(lines)}"


def part_section(title: str, rows: Sequence[Row], by_length: ByLength) -> Section:
    """A section of the report with the table and the figure of another measure.

    Args:
        title: Its heading.
        rows: As for `part_table`.
        by_length: The app's measure.
    """
    found = _seeds_by_length(rows, by_length)
    heading = f"{by_length.measure} by {by_length.length}"
    figure = quality_by_length(found, by_length.length, by_length.measure, heading)
    return Section(title, by_length.about, part_table(rows, by_length), [figure], found)


def mean_curves(rows: Sequence[Row]) -> list[NamedCurve]:
    """Each candidate's gradient by lag and state, a geometric mean over the seeds."""
    grouped: dict[tuple[str, str], list[Mapping[str, list[float]]]] = {}
    for row in rows:
        found = row["metrics"].get("gradient_by_lag", {})
        for state in [key for key in found if key != "lag"]:
            grouped.setdefault((row["name"], state), []).append(found)
    return [
        NamedCurve(
            name,
            state,
            [int(lag) for lag in members[0]["lag"]],
            geometric_mean([member[state] for member in members]),
        )
        for (name, state), members in grouped.items()
    ]


def lag_figures(rows: Sequence[Row]) -> list[go.Figure]:
    """Gradient by lag of the recurrent candidates; nothing where there is none."""
    curves = mean_curves(rows)
    return [lag_curves(curves, "Gradient by lag after training")] if curves else []


def write_comparison(
    folder: Path,
    title: str,
    rows: Sequence[Row],
    scores: str,
    by_length: ByLength,
    *,
    more: Sequence[Section] = (),
) -> None:
    """Write `compare.json`, the rows, and `compare.html`, tables and figures.

    Args:
        folder: The comparison's; made where missing.
        title: The report's heading.
        rows: As for `length_table`.
        scores: The table of the main scores.
        by_length: The app's measure.
        more: Sections below those that every app has.
    """
    write_json(folder / "compare.json", rows)
    found = _seeds_by_length(rows, by_length)
    heading = f"{by_length.measure} by length of the input"
    figure = quality_by_length(found, by_length.length, by_length.measure, heading)
    sections = [
        Section("Scores", table=scores),
        Section(
            "By length of the input",
            f"{by_length.about}\n\n{LAG_TEXT}",
            length_table(rows, by_length),
            [figure, *lag_figures(rows)],
            rows,
        ),
        *more,
    ]
    write_report(folder / "compare.html", title, sections)


def _seeds_by_length(rows: Sequence[Row], by_length: ByLength) -> dict[str, dict[str, list[float]]]:
    """The seeds' scores by candidate and length."""
    scores: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        own = scores.setdefault(row["name"], {})
        for length, value in by_length.values(row).items():
            own.setdefault(length, []).extend([] if value is None else [value])
    return scores


def _shares(curve: NamedCurve) -> list[str]:
    """The norm at the shown lags over that at lag 1; a dash past the end."""
    norm = np.asarray(curve.norm)
    shares = norm / norm[1] if norm[1] else np.zeros_like(norm)
    return [f"{shares[lag]:.0e}" if lag < len(norm) else "-" for lag in SHOWN_LAGS]
