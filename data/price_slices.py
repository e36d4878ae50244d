"""The rows of each ticker in a sorted table."""

from itertools import pairwise

import numpy as np
import pandas as pd


def ticker_slices(prices: pd.DataFrame) -> dict[str, slice]:
    """Where the rows of each ticker stand, without a copy of any.

    Args:
        prices: The table of `data.prices.load_prices`, sorted by ticker and date.
    """
    codes, names = pd.factorize(prices["Ticker"])  # by appearance, so the codes never fall
    bounds = np.searchsorted(codes, np.arange(len(names) + 1))
    return {
        str(name): slice(int(start), int(stop))
        for name, (start, stop) in zip(names, pairwise(bounds), strict=True)
    }
