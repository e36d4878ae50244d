"""The days on which a series will have its next rows."""

import numpy as np
from numpy.typing import NDArray

Dates = NDArray[np.datetime64]

RECENT = 250  # rows that tell which weekdays a series keeps


def day_ahead(dates: Dates, rows: int) -> np.datetime64:
    """The day of a row to come, on the weekdays that a series keeps; holidays are not known.

    A weekday is kept where the recent rows have it at least half as often as the most frequent
    one: Monday to Friday in New York, Sunday to Thursday in Riyadh, every day for BTC-USD.

    Args:
        dates: Days of the series so far, rising; at least one.
        rows: How many rows after the last one, at least 1.
    """
    recent = dates[-RECENT:].astype("datetime64[D]")
    counts = np.bincount((recent.astype(np.int64) + 3) % 7, minlength=7)  # 1970 began on a Thursday
    kept = counts * 2 >= counts.max()
    return np.busday_offset(recent[-1], rows, roll="backward", weekmask=kept)
