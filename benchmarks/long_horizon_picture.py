"""The picture of `benchmarks.long_horizon`, as SVG: no browser is needed to write it."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.long_horizon_data import CONTEXTS
from benchmarks.long_horizon_report import FAN, FARTHEST, TRAILING, by_seed, lag_means
from core.comparison import interval
from core.plots import COLORS

SHOWN = ("gru", "rnn", "lstm")
WIDTH, HEIGHT, PANEL = 860, 360, 340  # of the picture, and the width of a panel
TOP, BOTTOM = 50, 290
SMALLEST = -12  # power of ten at the lower end of the left panel, where the curves are cut off
Point = tuple[float, float]


def draw(rows: Sequence[Mapping[str, Any]], fans: Mapping[str, Any], path: Path) -> None:
    """Draw the gradient by lag, and the CRPS by context.

    Args:
        rows: What `measure` gave.
        fans: CRPS of the baselines on the test part, by name and days ahead.
        path: The SVG file to write.
    """
    body = [gradients(rows, 60), scores(rows, fans, 490)]
    legend = [
        text((60 + 90 * number, HEIGHT - 12), name, COLORS[number], "start", "bold")
        for number, name in enumerate(SHOWN)
    ]
    legend.append(text((330, HEIGHT - 12), "dashed, left: before training", "#444", "start"))
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        + "\n".join([*body, *legend])
        + "</svg>\n"
    )


def gradients(rows: Sequence[Mapping[str, Any]], left: float) -> str:
    """The left panel: how much of the gradient is left so many days back."""
    longest = CONTEXTS[-1]

    def place(lag: int, share: float) -> Point:
        power = math.log10(max(share, 1e-300))
        return left + PANEL * lag / longest, scaled(power, SMALLEST, 2)

    parts = [title(left, f"gradient by lag over lag 1, {longest} days of context")]
    for power in range(SMALLEST, 3, 2):
        parts.append(rule(left, scaled(power, SMALLEST, 2), f"1e{power}"))
    parts += [
        text((left + PANEL * x / longest, BOTTOM + 18), str(x)) for x in (0, 50, 100, 150, 200)
    ]
    parts.append(text((left + PANEL / 2, BOTTOM + 36), "lag (trading days back)"))
    parts.append(
        f'<clipPath id="inside"><rect x="{left}" y="{TOP}" width="{PANEL}" '
        f'height="{BOTTOM - TOP}"/></clipPath><g clip-path="url(#inside)">'
    )
    for number, name in enumerate(SHOWN):
        for key, dash in (("lag_before", "5 4"), ("lag_after", "")):
            means = lag_means(rows, name, longest, key)
            parts.append(line([place(*point) for point in means.items()], COLORS[number], dash))
    return "\n".join([*parts, "</g>"])


def scores(rows: Sequence[Mapping[str, Any]], fans: Mapping[str, Any], left: float) -> str:
    """The right panel: CRPS of the farthest days over the untrained fan's, by context."""
    base = fans[FAN][FARTHEST]
    known = {
        (name, context): interval([value / base for value in found])
        for name in SHOWN
        for context in CONTEXTS
        if (found := list(by_seed(rows, name, context, f"test {FARTHEST}").values()))
    }
    trailing = fans[TRAILING][FARTHEST] / base
    ends = [mean + sign * half for mean, half in known.values() for sign in (-1, 1)]
    low, high = min([trailing, *ends]) - 0.005, max([1.0, *ends]) + 0.005
    parts = [title(left, f"CRPS {FARTHEST} days ahead over the untrained fan's")]
    for step in range(math.ceil(low * 50), math.floor(high * 50) + 1):
        parts.append(rule(left, scaled(step / 50, low, high), f"{step / 50:.2f}"))
    level = scaled(trailing, low, high)
    parts.append(line([(left, level), (left + PANEL, level)], "#444", "2 3"))
    parts.append(text((left + PANEL, level - 5), TRAILING, "#444", "end"))
    for spot, context in enumerate(CONTEXTS):
        parts.append(text((left + PANEL * (spot + 0.5) / 4, BOTTOM + 18), str(context)))
    parts.append(text((left + PANEL / 2, BOTTOM + 36), "context (trading days)"))
    for number, name in enumerate(SHOWN):
        points = []
        for spot, context in enumerate(CONTEXTS):
            if (name, context) in known:
                mean, half = known[name, context]
                x = left + PANEL * (spot + 0.5) / 4 + 8 * (number - 1)
                points.append((x, scaled(mean, low, high)))
                bar = [(x, scaled(mean + sign * half, low, high)) for sign in (-1, 1)]
                parts.append(line(bar, COLORS[number]))
        parts.append(line(points, COLORS[number]))
    return "\n".join(parts)


def scaled(value: float, low: float, high: float) -> float:
    """Height in the picture; larger values stand higher."""
    return BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low)


def title(left: float, words: str) -> str:
    """A panel's heading."""
    return text((left + PANEL / 2, TOP - 20), words, "black", weight="bold")


def rule(left: float, y: float, label: str) -> str:
    """A grid line with its value."""
    ruled = line([(left, y), (left + PANEL, y)], "#ddd")
    return ruled + text((left - 6, y + 4), label, "#444", "end")


def line(points: Sequence[Point], color: str, dash: str = "") -> str:
    """A line through points."""
    told = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{told}" fill="none" stroke="{color}" stroke-width="1.8" '
        f'stroke-dasharray="{dash or "none"}"/>'
    )


def text(
    spot: Point, words: str, color: str = "#444", anchor: str = "middle", weight: str = "normal"
) -> str:
    """Words at a place."""
    return (
        f'<text x="{spot[0]:.1f}" y="{spot[1]:.1f}" fill="{color}" text-anchor="{anchor}" '
        f'font-weight="{weight}">{words}</text>'
    )
