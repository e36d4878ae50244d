"""How often tests and intervals for forecasts err, on made-up losses of which the truth is known.

Differences without a mean: white; sums of so many shocks as the horizon has days, which is what
overlapping outcomes do; the same of shocks that depend on each other (AR 0.5) or whose volatility
wanders. A plain t test (Newey-West, a lag of one horizon) stands beside each.
"""

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.stats import t as student_t
from statsmodels.stats.sandwich_covariance import S_hac_simple

from benchmarks.record import record, standing
from core.block_bootstrap import mean_interval
from core.comparison import align
from core.diebold_mariano import diebold_mariano

DECIDES = (
    "core/diebold_mariano.py",
    "core/block_bootstrap.py",
    "core/bootstrap.py",
    "benchmarks/difference_tests.py",
)
DAYS, HORIZONS = (250, 650, 1200), (1, 5, 20, 60)
KINDS = ("white", "overlapping", "dependent", "volatile")
BURN_IN = 200
STANDARD_ERRORS = 3.0  # size of the difference that power is measured at; a z test finds 85 %
COLUMNS = ("plain_t", "rejected", "power", "interval_holds")


def differences(kind: str, days: int, horizon: int, num_series: int) -> NDArray[np.float64]:
    """Loss differences without a mean, (num_series, days).

    Args:
        kind: One of KINDS.
        days: Length.
        horizon: Shocks that are summed up; 1 for white ones.
        num_series: How many.
    """
    generator = np.random.default_rng([days, horizon, KINDS.index(kind)])
    shocks = generator.standard_normal((num_series, days + horizon - 1 + BURN_IN))
    if kind == "dependent":
        shocks = lfilter([1.0], [1.0, -0.5], shocks, axis=1)
    if kind == "volatile":
        wander = lfilter([1.0], [1.0, -0.97], generator.standard_normal(shocks.shape), axis=1)
        shocks *= np.exp(0.12 * wander)
    length = 1 if kind == "white" else horizon
    kept = shocks[:, -(days + length - 1) :]
    return np.lib.stride_tricks.sliding_window_view(kept, length, axis=1).sum(-1)


def measure(kind: str, days: int, horizon: int, num_series: int) -> dict[str, Any]:
    """Rates of one kind of differences; `power` is of overlapping ones alone."""
    series = differences(kind, days, horizon, num_series)
    rejected = [diebold_mariano(one, horizon).p_value <= 0.05 for one in series]
    ones = np.ones(days)
    ends = [mean_interval(np.stack([one, ones], axis=1), horizon, 400) for one in series[::4]]
    row = {
        "differences": kind,
        "days": days,
        "horizon": horizon,
        "series": num_series,
        "plain_t": round(float(np.mean([plain_t(one, horizon) for one in series])), 3),
        "rejected": round(float(np.mean(rejected)), 3),
        "interval_holds": round(float(np.mean([low <= 0 <= high for low, high in ends])), 3),
    }
    if kind == "overlapping":
        moved = series + STANDARD_ERRORS * horizon / np.sqrt(days)
        found = [diebold_mariano(one, horizon).p_value <= 0.05 for one in moved]
        row["power"] = round(float(np.mean(found)), 3)
    return row


def plain_t(losses: NDArray[np.float64], horizon: int) -> bool:
    """Whether Newey-West with a lag of one horizon and t critical values rejects at 5 %."""
    variance = S_hac_simple(losses - losses.mean(), horizon).item() / len(losses) ** 2
    return bool(abs(losses.mean()) / np.sqrt(variance) > student_t.ppf(0.975, len(losses) - 1))


def table(rows: list[dict[str, Any]]) -> str:
    """One line a kind, length and horizon, in per cent."""
    lines = [["differences", "days", "horizon", *COLUMNS]]
    for row in rows:
        cells = [f"{100 * row[name]:.1f}" if name in row else "-" for name in COLUMNS]
        lines.append([row["differences"], str(row["days"]), str(row["horizon"]), *cells])
    return align(lines)


def main() -> None:
    """Measure what is not on record, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=2000, help="series a row, at least 100")
    num_series = parser.parse_args().series
    known = [row for row in standing("difference_tests", DECIDES) if row["series"] == num_series]
    for days in DAYS:
        for horizon in HORIZONS:
            for kind in KINDS:
                key = (kind, days, horizon)
                if key not in [(r["differences"], r["days"], r["horizon"]) for r in known]:
                    row = measure(kind, days, horizon, num_series)
                    record("difference_tests", [row], DECIDES)
                    known.append(row)
    order = {kind: number for number, kind in enumerate(KINDS)}
    known.sort(key=lambda row: (order[row["differences"]], row["days"], row["horizon"]))
    error = 100 * np.sqrt(0.05 * 0.95 / num_series)
    print(f"\n{table(known)}\nper cent; nominal 5 % and 95 %, one standard error {error:.1f}")


if __name__ == "__main__":
    main()
