"""How far new prices lie from those that a forecaster learned from."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import ks_2samp

from apps.stock_forecast.datamodule import PriceDataModule
from data.windows import Rows

DAYS_A_YEAR = 252


def price_drift(before: PriceDataModule, after: PriceDataModule) -> dict[str, Any]:
    """How far the new examples lie from the old ones, in plain containers.

    Args:
        before: All that the run keeps.
        after: The same with the new rows, as `learning_again` left it.

    Returns:
        `examples`, `days` (first and last) and `volatility` (a year's, from the daily ranges, and
        the ratio), each `old` and `new`; `new_tickers`; `features`: the Kolmogorov-Smirnov
        distance, 0 to 1, of each feature's values.
    """
    old, new = before.rows("train"), np.union1d(after.new_examples(), after.new_test_rows())
    volatility = {"old": _volatility(before, old), "new": _volatility(after, new)}
    names = after.history.feature_names
    return {
        "examples": {"old": len(old), "new": len(new)},
        "days": {"old": _days(before, old), "new": _days(after, new)},
        "new_tickers": sorted(set(after.history.tickers) - set(before.history.tickers)),
        "volatility": {**volatility, "ratio": volatility["new"] / volatility["old"]},
        "features": {
            name: float(
                ks_2samp(before.history.features[old, f], after.history.features[new, f]).statistic
            )
            for f, name in enumerate(names)
        },
    }


def _volatility(datamodule: PriceDataModule, rows: Rows) -> float:
    return float(np.sqrt(DAYS_A_YEAR * np.mean(datamodule.history.daily_range[rows], dtype=float)))


def _days(datamodule: PriceDataModule, rows: Rows) -> list[str]:
    days = datamodule.history.dates[rows]
    return [str(days.min()), str(days.max())]


def drift_table(drift: Mapping[str, Any]) -> str:
    """A report of `price_drift` for people."""
    far = sorted(drift["features"].items(), key=lambda item: -item[1])[:3]
    volatility = drift["volatility"]
    rows = {
        "examples": " | ".join(
            f"{drift['examples'][side]:,} {side}, {' to '.join(drift['days'][side])}"
            for side in ("old", "new")
        ),
        "new tickers": ", ".join(drift["new_tickers"]) or "none",
        "volatility a year": f"{100 * volatility['old']:.1f} % old, "
        f"{100 * volatility['new']:.1f} % new, {volatility['ratio']:.2f} times",
        "features": "KS distance " + ", ".join(f"{name} {value:.2f}" for name, value in far),
    }
    width = max(map(len, rows)) + 2
    lines = [f"{name:<{width}}{text}" for name, text in rows.items()]
    return "\n".join(["How far the new data lie from the old:", *lines])
