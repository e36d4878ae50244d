"""The dates of a walk forward: learn, wait, forecast a block of days, and again from there."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.stock_forecast.datamodule import PriceDataModule
from data.windows import Rows, SplitDates, WindowConfig

Dates = NDArray[np.datetime64]


@dataclass(frozen=True)
class Fold:
    """What one training may see, and the days that it forecasts.

    training | validation | embargo | test, each up to the next one's first date. Examples of
    training and validation whose outcome reaches past their part are left out (purge), and no
    outcome of the embargo, as long as the longest horizon, is learned from (Lopez de Prado 2018,
    Advances in Financial Machine Learning, section 7.4).

    Attributes:
        number: From 1 on.
        train_start: First date that the training part sees, contexts included.
        validation_start: First date of validation.
        embargo_start: First date that nothing is learned from.
        test_start: First date that is forecast from.
        test_end: Last date that is forecast from.
    """

    number: int
    train_start: np.datetime64
    validation_start: np.datetime64
    embargo_start: np.datetime64
    test_start: np.datetime64
    test_end: np.datetime64


def walk_folds(dates: Dates, config: WindowConfig, refit: int, rolling: int) -> list[Fold]:
    """Cut a calendar into folds: the last `test_share` of the dates are walked over.

    Args:
        dates: Every date on which anything was traded, rising, (N,).
        config: Context, horizons and shares; the validation of each fold has `validation_share` of
            all dates.
        refit: Trading days between two trainings, at least 1; the last block may be shorter.
        rolling: Trading days of each training part, fewer where the data begin later; 0 for all
            that there are (expanding).

    Raises:
        ValueError: An option out of range, or too few dates for one fold.
    """
    longest, shortest = config.horizons[-1], config.horizons[0]
    needed = config.context_length + longest
    if refit < 1:
        raise ValueError(f"refit={refit} must be at least 1 trading day, such as 250 for a year")
    if rolling < 0 or 0 < rolling < needed:
        raise ValueError(
            f"rolling={rolling} must be 0 (all days so far) or at least {needed}, the context of "
            f"{config.context_length} days and the horizon of {longest}"
        )
    first = len(dates) - round(config.test_share * len(dates))  # of the first block
    length = round(config.validation_share * len(dates))
    parts = {
        "training": (first - longest - length, needed),
        "validation": (length, longest + 1),
        "walked": (len(dates) - first, shortest + 1),
    }
    for name, (found, least) in parts.items():
        if found < least:
            raise ValueError(
                f"too few days for one fold: of {len(dates)} dates the {name} part has "
                f"{max(found, 0)}, context_length={config.context_length} and horizons "
                f"{config.horizons} need at least {least}; change the shares or add data"
            )
    folds = []
    for number, test in enumerate(range(first, len(dates) - shortest, refit), start=1):
        embargo = test - longest
        validation = embargo - length
        start = max(validation - rolling, 0) if rolling else 0
        end = min(test + refit, len(dates)) - 1
        folds.append(Fold(number, *dates[[start, validation, embargo, test, end]]))
    return folds


def fold_data(table: pd.DataFrame, config: WindowConfig, fold: Fold) -> PriceDataModule:
    """The prices of one fold, with scaler, fan and scales fitted on its training part.

    Of each ticker it holds the days from the start of training to the outcome of the last day that
    is forecast from, and none before or after.

    Args:
        table: What `read_table` gives.
        config: Context and horizons.
        fold: The dates.
    """
    seen = table[table["Date"] >= pd.Timestamp(fold.train_start)]
    by_ticker = seen["Ticker"].astype(str)
    until_end = (seen["Date"] <= pd.Timestamp(fold.test_end)).groupby(by_ticker).transform("sum")
    place = seen.groupby(by_ticker).cumcount()
    is_needed = (until_end > 0) & (place < until_end + config.horizons[-1])
    return PriceDataModule(
        seen[is_needed],
        config,
        split=SplitDates(fold.validation_start, fold.embargo_start),
    )


def block_rows(datamodule: PriceDataModule, fold: Fold) -> Rows:
    """The rows that the fold forecasts from: all with a context and the shortest outcome."""
    rows = datamodule.rows_after(fold.test_start)
    return rows[datamodule.history.dates[rows] <= fold.test_end]
