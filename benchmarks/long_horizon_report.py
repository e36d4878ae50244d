"""The tables of `benchmarks.long_horizon`, and its finding in words that follow from them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.long_horizon_data import CONTEXTS, GROUPS
from benchmarks.long_horizon_runs import LAGS, VARIANTS
from core.comparison import align, geometric_mean, interval

Row = Mapping[str, Any]
Cell = tuple[int, str]  # a context and a group of days ahead
Fans = Mapping[str, Mapping[str, float]]  # CRPS by baseline and group
REFERENCE, VANILLA = "gru", "rnn"
FAN, TRAILING = "untrained fan", "trailing volatility"
FARTHEST = list(GROUPS)[-1]
SHOWN_LAGS = (10, 59, 119, 249)
FAILURES = ("not finite", "no better in training", "no better on test")


def report(rows: Sequence[Row], fans: Mapping[str, Fans]) -> str:
    """Everything that is printed.

    Args:
        rows: What `measure` gave.
        fans: The baselines on the parts `train` and `test`.
    """
    parts = [
        "Test CRPS x 1,000 by days ahead, mean ± 95 % interval over the seeds",
        score_table(rows, fans["test"]),
        f"CRPS less the {REFERENCE}'s of the same seed, in per cent; below 0 is better",
        difference_table(rows),
        "Gradient by lag over that at lag 1, geometric mean of the seeds; an LSTM's cell state",
        gradient_table(rows),
        f"Training failures; no better than the {FAN} that every run starts from",
        failure_table(rows, fans),
        finding(rows, fans),
    ]
    return "\n\n".join(parts)


def by_seed(rows: Sequence[Row], name: str, context: int, key: str) -> dict[int, Any]:
    """A figure of one variant at one context, by seed, of the runs that have it."""
    own = (row for row in rows if (row["name"], row["context"]) == (name, context))
    return {row["seed"]: row[key] for row in own if key in row}


def differences(rows: Sequence[Row], name: str, context: int, key: str) -> list[float]:
    """A variant's CRPS less the GRU's of the same seed, in per cent of the GRU's."""
    own, reference = (by_seed(rows, one, context, key) for one in (name, REFERENCE))
    return [100 * (own[seed] / reference[seed] - 1) for seed in own if seed in reference]


def score_table(rows: Sequence[Row], fans: Fans) -> str:
    """CRPS by variant, context and days ahead, below the fans without a network."""
    lines = [["", "context", "seeds", *GROUPS]]
    for name, scores in fans.items():
        lines.append([name, "-", "-", *(f"{scores[group]:.3f}" for group in GROUPS)])
    for context in CONTEXTS:
        for name in VARIANTS:
            found = [list(by_seed(rows, name, context, f"test {g}").values()) for g in GROUPS]
            if found[0]:
                scores = [plus_minus(values, "{:.3f}") for values in found]
                lines.append([name, str(context), str(len(found[0])), *scores])
    return align(lines)


def difference_table(rows: Sequence[Row]) -> str:
    """Paired differences to the GRU."""
    lines = [["", "context", *GROUPS]]
    for context in CONTEXTS:
        for name in VARIANTS:
            gaps = [differences(rows, name, context, f"test {group}") for group in GROUPS]
            if name != REFERENCE and gaps[0]:
                lines.append([name, str(context), *(plus_minus(gap, "{:+.2f}") for gap in gaps)])
    return align(lines)


def plus_minus(values: Sequence[float], form: str) -> str:
    """Mean and half of its 95 % interval."""
    mean, half = interval(values)
    return f"{form.format(mean)} ±{form.format(half).lstrip('+')}"


def lag_means(rows: Sequence[Row], name: str, context: int, key: str) -> dict[int, float]:
    """The gradient at each lag over that at lag 1, the geometric mean of the seeds.

    Args:
        rows: What `measure` gave.
        name: The variant.
        context: Its context.
        key: `lag_before` or `lag_after` training.
    """
    found = [shares for shares in by_seed(rows, name, context, key).values() if shares]
    if not found:
        return {}
    lags = [lag for lag in LAGS if lag < context]
    means = geometric_mean([[one[str(lag)] for lag in lags] for one in found])
    return dict(zip(lags, means, strict=True))


def gradient_table(rows: Sequence[Row]) -> str:
    """How much of the gradient is left so many days back, before and after training."""
    keys = {"before": "lag_before", "after": "lag_after"}
    lines = [["", "context", *(f"{word}, lag {lag}" for word in keys for lag in SHOWN_LAGS)]]
    for context in CONTEXTS:
        for name in VARIANTS:
            means = [lag_means(rows, name, context, key) for key in keys.values()]
            if means[0]:
                cells = (f"{m[lag]:.0e}" if lag in m else "-" for m in means for lag in SHOWN_LAGS)
                lines.append([name, str(context), *cells])
    return align(lines)


def failure_table(rows: Sequence[Row], fans: Mapping[str, Fans]) -> str:
    """How many runs broke or did not beat the fan that they started from."""
    lines = [["", "runs", *FAILURES, "largest gradient norm", "over the median"]]
    for name in VARIANTS:
        own = [row for row in rows if row["name"] == name]
        if own:
            finite = [row for row in own if row["is_finite"]]
            peak = max((row["largest_norm"] for row in finite), default=float("nan"))
            ratio = max((row["largest_norm"] / row["median_norm"] for row in finite), default=1.0)
            counts = [str(count) for count in failures(own, fans)]
            lines.append([name, str(len(own)), *counts, f"{peak:.2f}", f"{ratio:.0f}"])
    return align(lines)


def failures(rows: Sequence[Row], fans: Mapping[str, Fans]) -> list[int]:
    """Count the runs of each kind of FAILURES; the last two on the mean of the days ahead."""
    finite = [row for row in rows if row["is_finite"]]
    lost = [
        sum(ratio_to(row, fans[part][FAN], part) >= 1 for row in finite)
        for part in ("train", "test")
    ]
    return [len(rows) - len(finite), *lost]


def ratio_to(row: Row, fan: Mapping[str, float], part: str) -> float:
    """Mean over the days ahead of a run's CRPS over a fan's."""
    return float(np.mean([row[f"{part} {group}"] / fan[group] for group in GROUPS]))


def finding(rows: Sequence[Row], fans: Mapping[str, Fans]) -> str:
    """Whether the GRU forecasts further ahead than the vanilla RNN, and what the gradients say."""
    known = {
        (context, group): interval(gaps)
        for context in CONTEXTS
        for group in GROUPS
        if len(gaps := differences(rows, VANILLA, context, f"test {group}")) > 1
    }
    if not known:
        return "Finding: none; it takes two seeds of the GRU and of the vanilla RNN."
    worse = [cell for cell, (mean, half) in known.items() if mean - half > 0]
    better = [cell for cell, (mean, half) in known.items() if mean + half < 0]
    lines = [
        f"Finding: a GRU forecasts further ahead than a vanilla RNN: {verdict(worse, better)}. "
        f"{FARTHEST} days ahead the vanilla RNN is worse than the GRU at {contexts_of(worse)} of "
        f"context, better at {contexts_of(better)}. Of all {len(known)} pairs of context and days "
        f"ahead it is worse in {len(worse)}, better in {len(better)}, and within the interval over "
        f"the seeds in {len(known) - len(worse) - len(better)}.",
        *(context_line(rows, name) for name in (REFERENCE, VANILLA)),
        fit_line(rows),
        memory_line(rows),
        failure_line(rows, fans),
    ]
    return "\n".join(lines)


def verdict(worse: Sequence[Cell], better: Sequence[Cell]) -> str:
    """The claim stands or falls with the farthest days, at most of the contexts."""
    most = len(CONTEXTS) / 2
    if len(farthest(worse)) > most:
        return "it holds here"
    if len(farthest(better)) > most:
        return "here it is the other way round"
    return "these data do not bear it out"


def farthest(cells: Sequence[Cell]) -> list[int]:
    """The contexts among the pairs whose days ahead are the farthest."""
    return [context for context, group in cells if group == FARTHEST]


def contexts_of(cells: Sequence[Cell]) -> str:
    """The contexts of the farthest days, as a sentence has them."""
    found = farthest(cells)
    return f"{', '.join(map(str, found))} days" if found else "no length"


def context_line(rows: Sequence[Row], name: str) -> str:
    """What a longer context gives a variant, seed by seed."""
    short, long = (by_seed(rows, name, c, f"test {FARTHEST}") for c in (CONTEXTS[0], CONTEXTS[-1]))
    gains = [100 * (long[seed] / short[seed] - 1) for seed in short if seed in long]
    if len(gains) < 2:
        return f"{name}: not measured at the shortest and the longest context."
    return (
        f"{name}: {CONTEXTS[-1]} days of context instead of {CONTEXTS[0]} change its CRPS "
        f"{FARTHEST} days ahead by {plus_minus(gains, '{:+.2f}')} %."
    )


def fit_line(rows: Sequence[Row]) -> str:
    """Whether what the GRU learns at the longest context is true beyond the training days."""
    gaps = {
        part: differences(rows, VANILLA, CONTEXTS[-1], f"{part} {FARTHEST}")
        for part in ("train", "test")
    }
    told = [f"{plus_minus(gap, '{:+.2f}')} % on {part} days" for part, gap in gaps.items() if gap]
    return (
        f"{VANILLA} less {REFERENCE} with {CONTEXTS[-1]} days of context, {FARTHEST} days ahead: "
        f"{', '.join(told) or 'not measured'}."
    )


def memory_line(rows: Sequence[Row]) -> str:
    """How far back the two cells remember at the longest context."""
    told = []
    for name in (REFERENCE, VANILLA):
        before, after = (
            lag_means(rows, name, CONTEXTS[-1], key).get(59, float("nan"))
            for key in ("lag_before", "lag_after")
        )
        told.append(f"{name} {before:.0e} before and {after:.0e} after training")
    return f"Gradient 59 days back over that of 1 day, {CONTEXTS[-1]} days of context: " + (
        "; ".join(told) + "."
    )


def failure_line(rows: Sequence[Row], fans: Mapping[str, Fans]) -> str:
    """Failures, and how the networks stand to the fan that is told the volatility."""
    counts = dict(zip(FAILURES, failures(rows, fans), strict=True))
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    beaten = sum(
        ratio_to(row, fans["test"][TRAILING], "test") < 1 for row in rows if row["is_finite"]
    )
    return (
        f"Of {len(rows)} runs: {told}; {beaten} beat the fan of trailing volatility, which is "
        "told what they must remember."
    )
