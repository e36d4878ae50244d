import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from apps.stock_forecast import predicting
from apps.stock_forecast.datamodule import PriceDataModule
from apps.stock_forecast.inference import StockForecaster
from apps.stock_forecast.predicting import past_rows, predict, raw_quantiles
from core.conformal import WINDOW
from core.nn.forecaster import LEVELS
from data.drift import DriftPrior


@pytest.fixture(scope="module")
def forecaster(stocks):
    return StockForecaster.load(stocks.run)


@pytest.fixture(scope="module")
def datamodule(forecaster):
    return PriceDataModule.from_run(forecaster.run)


def test_a_day_is_forecast_alike_alone_and_among_others(forecaster, datamodule):
    rows = datamodule.rows("test")
    together = predict(forecaster.model, datamodule, rows)
    for position in (0, len(rows) // 2, len(rows) - 1):
        alone = predict(forecaster.model, datamodule, rows[[position]])
        torch.testing.assert_close(alone[0], together[position], rtol=1e-4, atol=1e-7)


def test_calibration_moves_widths_and_no_median(forecaster, datamodule):
    rows = datamodule.rows("test")
    wide = predict(forecaster.model, datamodule, rows)
    raw = raw_quantiles(forecaster.model, datamodule, rows)
    middle = LEVELS.index(0.5)
    assert wide[..., middle].equal(raw[..., middle])
    assert not torch.allclose(wide, raw)
    assert (wide.diff(dim=-1) > 0).all()


def test_no_training_day_is_calibrated_by_what_it_was_trained_on(forecaster, datamodule):
    rows = datamodule.rows("train")
    raw = raw_quantiles(forecaster.model, datamodule, rows)
    assert predict(forecaster.model, datamodule, rows).equal(raw)
    day = np.unique(datamodule.history.dates, return_inverse=True)[1]
    past = past_rows(datamodule, day, datamodule.rows("test"))
    assert datamodule.history.dates[past].min() >= datamodule.fitted.validation_start


def test_a_tickers_own_drift_moves_every_quantile_alike(forecaster, datamodule):
    rows = datamodule.rows("test")
    still = raw_quantiles(forecaster.model, datamodule, rows)
    moved = copy.copy(datamodule)
    moved.fitted = replace(datamodule.fitted, drift=DriftPrior(1e-4))
    location = torch.from_numpy(moved.location(rows))
    assert (location != 0).any()
    assert (datamodule.location(rows) == 0).all()  # two tickers tell nothing about drifts
    found = raw_quantiles(forecaster.model, moved, rows)
    torch.testing.assert_close(found, still + location[..., None])


def test_every_horizon_has_its_own_scale(forecaster, datamodule):
    rows = datamodule.rows("test")
    with torch.inference_mode():
        units = forecaster.model(datamodule.batch(rows).inputs)  # (B, P, Q)
    scale = torch.from_numpy(datamodule.scale(rows))[..., None]
    torch.testing.assert_close(raw_quantiles(forecaster.model, datamodule, rows), units * scale)


def test_a_network_fresh_from_training_forecasts_without_dropout(forecaster, datamodule):
    rows = datamodule.rows("test")
    wanted = raw_quantiles(forecaster.model, datamodule, rows)
    assert raw_quantiles(forecaster.model.train(), datamodule, rows).equal(wanted)


def test_of_many_tickers_each_speaks_in_turn(datamodule, monkeypatch):
    day = np.unique(datamodule.history.dates, return_inverse=True)[1]
    rows = datamodule.rows("test")[-1:]
    every = past_rows(datamodule, day, rows)
    tickers = len(datamodule.history.tickers)
    monkeypatch.setattr(predicting, "MOST_PAST", WINDOW * tickers // 4)
    past = past_rows(datamodule, day, rows)
    assert len(past) == pytest.approx(len(every) / 4, abs=tickers)
    for ticker in range(tickers):
        own = day[past[datamodule.history.ticker[past] == ticker]]
        assert (np.diff(own) == 4).all()
    assert np.unique(day[past]).size == len(past)  # never all on the same day
