"""How many unadjusted splits `find_split_jumps` finds, and how often it cries wolf.

Into each ticker a split is put on a random day, in price and volume, as if nobody had adjusted for
it; the days are the same for every ratio, and the rule's limits were chosen on the same data.
Beside the rule stands the naive one: any day on which the adjusted close moves by a quarter or
more. `false_flags` counts days without a split, over the same altered tickers and the plain ones.
"""

import argparse
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pandas as pd

from benchmarks.record import record
from data.price_checks import PRICE_COLUMNS
from data.price_jumps import find_split_jumps
from data.prices import load_prices

RATIOS = ("2", "3", "3/2", "4/3", "5/2", "10", "1/2", "1/10")
Rule = Callable[[pd.DataFrame], set[str]]


def by_rule(days: pd.DataFrame) -> set[str]:
    """Dates that the project's rule flags in one ticker."""
    return {jump.date for jump in find_split_jumps(days)}


def by_size(days: pd.DataFrame) -> set[str]:
    """Dates on which one ticker's adjusted close moves by a quarter or more."""
    moves = days["Adj Close"].pct_change().abs()
    return {str(day.date()) for day in days["Date"][moves >= 0.25]}


def with_split(days: pd.DataFrame, place: int, ratio: float) -> pd.DataFrame:
    """One ticker's rows with a split before row `place`."""
    changed = days.copy()
    later = np.arange(len(days)) >= place
    changed.loc[later, list(PRICE_COLUMNS)] /= ratio
    changed.loc[later, "Volume"] *= ratio
    return changed


def measure(prices: pd.DataFrame, rule: Rule, ratio: str, draws: int) -> dict[str, int]:
    """Splits found, put in, and days flagged without one."""
    generator = np.random.default_rng(0)
    found = made = false_flags = 0
    for _, own in prices.groupby("Ticker"):
        days = own.reset_index(drop=True)
        false_flags += len(rule(days))
        for place in generator.integers(5, len(days) - 1, draws).tolist():
            flagged = rule(with_split(days, place, float(Fraction(ratio))))
            is_found = str(days["Date"][place].date()) in flagged
            found, made = found + is_found, made + 1
            false_flags += len(flagged) - is_found
    return {"found": found, "made": made, "false_flags": false_flags}


def main() -> None:
    """Measure both rules at each ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="sample", help="sample or a CSV of adjusted prices")
    parser.add_argument("--draws", type=int, default=3, help="splits per ticker and ratio")
    options = parser.parse_args()
    prices = load_prices(options.data)
    source = options.data.rpartition("/")[2]
    rules: dict[str, Rule] = {"ratio_range_volume": by_rule, "a_quarter": by_size}
    record(
        "split_jumps",
        [
            {"data": source, "rule": name, "ratio": ratio}
            | measure(prices, rule, ratio, options.draws)
            for name, rule in rules.items()
            for ratio in RATIOS
        ],
    )


if __name__ == "__main__":
    main()
