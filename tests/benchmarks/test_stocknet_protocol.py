"""The benchmark compares all models on the same windows, and trains on none of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from apps.stock_forecast.datamodule import PriceDataModule
from benchmarks.protocol import CONTEXT, HORIZONS, Forecast, Protocol, Scored, normal_fan
from benchmarks.stocknet_protocol import check_no_leak, own_data, same_windows
from data.windows import WindowConfig

DAYS, TEST_DAYS = 600, 240


@pytest.fixture
def protocol(tmp_path: Path) -> Protocol:
    """Two tickers on the same days, written as the price file."""
    dates = pd.bdate_range("2012-01-02", periods=DAYS)
    frames, windows = [], []
    for seed, ticker in enumerate(("AAA", "BBB")):
        steps = np.random.default_rng(seed).normal(0.0, 0.01, DAYS)
        price = np.exp(np.cumsum(steps) + 4)
        columns = dict.fromkeys(("Open", "High", "Low", "Close", "Adj Close"), price)
        frames.append(pd.DataFrame({"Date": dates, "Ticker": ticker, **columns, "Volume": 1e6}))
        for cutoff in range(DAYS - TEST_DAYS - 1, DAYS - HORIZONS[-1], HORIZONS[-1]):
            moved = np.log(price[cutoff + 1 : cutoff + 21] / price[cutoff])
            windows.append((ticker, dates[cutoff], np.log(price[cutoff]), moved, steps.std()))
    path = tmp_path / "prices.csv"
    pd.concat(frames).to_csv(path, index=False)
    tickers, cutoffs, last, outcome, deviation = zip(*windows, strict=True)
    return Protocol(
        prices=path,
        tickers=np.array(tickers),
        cutoffs=np.array(cutoffs, "datetime64[D]"),
        last=np.array(last),
        outcome=np.stack(outcome),
        deviation=np.array(deviation),
        num_test_days=TEST_DAYS,
    )


def test_the_project_forecasts_the_same_windows_and_trains_before_them(protocol: Protocol):
    datamodule = own_data(protocol)
    rows = same_windows(datamodule, protocol)
    check_no_leak(datamodule, protocol)
    assert (datamodule.history.dates[rows] == protocol.cutoffs).all()


def test_another_outcome_is_refused(protocol: Protocol):
    other = replace(protocol, outcome=protocol.outcome + 0.01)
    with pytest.raises(ValueError, match="outcomes differ"):
        same_windows(own_data(protocol), other)


def test_training_on_test_days_is_refused(protocol: Protocol):
    datamodule = own_data(protocol)
    share = (TEST_DAYS - 1) / DAYS  # one day too few is held back
    windows = WindowConfig(context_length=CONTEXT, horizons=HORIZONS, test_share=share)
    with pytest.raises(ValueError, match="reach into the test days"):
        check_no_leak(PriceDataModule(datamodule.table, windows), protocol)


def test_a_model_does_not_differ_from_itself_on_any_resample(protocol: Protocol):
    scored = Scored.of(Forecast(normal_fan(protocol)[None], ""), protocol)
    assert not scored.difference("crps", scored).resampled.any()
    assert scored.crossings == 0
    assert scored.mean("in_80") <= scored.mean("in_90")


def test_the_true_range_is_covered_as_often_as_it_says(protocol: Protocol):
    scored = Scored.of(Forecast(normal_fan(protocol)[None], ""), protocol)
    low, high = np.quantile(scored.difference("in_80", None).resampled, [0.005, 0.995])
    assert low < 0.8 < high
