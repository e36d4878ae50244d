"""From a network or an engine to calibrated quantiles of returns."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from apps.stock_forecast.datamodule import EVALUATION_BATCH, PriceDataModule
from core.conformal import WINDOW, misses, widen, width_factors
from core.nn.forecaster import LEVELS
from data.windows import Rows, example_rows, target_of

Compute = Callable[..., Tensor]  # called with what `ForecastBatch.seen` gives
MOST_PAST = 4096  # earlier forecasts a year that calibration looks at, evenly thinned


def predict(compute: Compute, datamodule: PriceDataModule, rows: Rows) -> Tensor:
    """Quantiles of the cumulative log return at LEVELS, calibrated day by day, (B, P, Q).

    The width of a day's forecast is corrected by what forecasts of the year before, none older
    than the run's training part, should have been (`core.conformal`); it uses what was known at
    that day's close alone. The median stays.

    Args:
        compute: A network, or an engine that does what it does.
        datamodule: The prices as the run sees them.
        rows: Days to forecast from.
    """
    quantiles = raw_quantiles(compute, datamodule, rows)
    day = np.unique(datamodule.history.dates, return_inverse=True)[1].astype(np.int64)
    past = past_rows(datamodule, day, rows)
    if not len(past):
        return quantiles
    horizons = datamodule.config.horizons
    target = target_of(datamodule.history, past, horizons)
    earlier = raw_quantiles(compute, datamodule, past).numpy()
    ends = past[:, None] + np.asarray(horizons)  # (N, P); past a ticker's last day target is NaN
    known = day[np.minimum(ends, len(day) - 1)]
    asked, position = np.unique(day[rows], return_inverse=True)
    missed = misses(earlier, target, LEVELS)
    factors = width_factors(missed, day[past], known, asked, horizons)[position]  # (B, P)
    wide = widen(quantiles.numpy(), factors.astype(np.float32), LEVELS)
    return torch.from_numpy(wide)


def past_rows(datamodule: PriceDataModule, day: NDArray[np.int64], rows: Rows) -> Rows:
    """Forecasts before the asked ones that may speak for them, at most about MOST_PAST a WINDOW.

    Which ones are taken depends on neither the asked days nor what comes after: a day's forecast
    is the same alone and among others. Of many tickers each speaks every few days, in turn.
    """
    history, config = datamodule.history, datamodule.config
    start = datamodule.fitted.validation_start
    every = example_rows(history, config, start=start, horizon=config.horizons[0])
    first, last = day[rows].min(), day[rows].max()
    every = every[(day[every] >= first - WINDOW) & (day[every] < last)]
    step = max(1, round(len(history.tickers) * WINDOW / MOST_PAST))
    return every[(day[every] + history.ticker[every]) % step == 0]


def raw_quantiles(compute: Compute, datamodule: PriceDataModule, rows: Rows) -> Tensor:
    """Quantiles as the network gives them, before calibration, (B, P, Q)."""
    if isinstance(compute, torch.nn.Module):
        compute.eval()
    pieces = np.split(rows, range(EVALUATION_BATCH, len(rows), EVALUATION_BATCH))
    batches = (datamodule.batch(piece) for piece in pieces)
    with torch.inference_mode():
        wide = torch.cat([compute(*batch.seen) * batch.scale[..., None] for batch in batches])
    return wide + torch.from_numpy(datamodule.location(rows))[..., None]
