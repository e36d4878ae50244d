import numpy as np
import pandas as pd
import pytest

from data.prices import load_prices
from data.volatility import RIDGE, ScaleRegression, variance_ahead
from data.windows import (
    FeatureScaler,
    PriceHistory,
    WindowConfig,
    build_history,
    example_rows,
    scale_of,
    target_of,
)
from tests.conftest import write_prices

CONFIG = WindowConfig(context_length=20, horizons=(1, 5, 20))
STOP = np.datetime64("2016-01-01")


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> pd.DataFrame:
    return load_prices(str(write_prices(tmp_path_factory.mktemp("v") / "p.csv", "AB", days=500)))


@pytest.fixture(scope="module")
def history(table) -> PriceHistory:
    return build_history(table)


def fitted(history: PriceHistory) -> tuple[ScaleRegression, FeatureScaler]:
    scaler = FeatureScaler.fit(history, STOP)
    rows = example_rows(history, CONFIG, stop=STOP)
    return ScaleRegression.fit(history, rows, CONFIG.horizons, scaler), scaler


def test_the_variance_ahead_is_the_mean_of_the_days_that_follow(history):
    rows = example_rows(history, CONFIG)[[0, 7, -1]]
    found = variance_ahead(history, rows, CONFIG.horizons)
    for row, values in zip(rows, found, strict=True):
        for horizon, value in zip(CONFIG.horizons, values, strict=True):
            ahead = history.daily_range[row + 1 : row + 1 + horizon]
            assert value == pytest.approx(float(ahead.mean()), rel=1e-4)


def test_the_weights_solve_the_ridge_regression(history, monkeypatch):
    monkeypatch.setattr("data.windows.PIECE", 97)  # they are fitted piece by piece
    regression, scaler = fitted(history)
    rows = example_rows(history, CONFIG, stop=STOP)
    inputs = scaler.apply(history.features[rows]).astype(float)
    inputs = inputs - inputs.mean(0)
    trailing = scale_of(history, rows, CONFIG.horizons) ** 2 / np.asarray(CONFIG.horizons)
    target = np.log(variance_ahead(history, rows, CONFIG.horizons) / trailing)
    rest = target - target.mean(0) - inputs @ np.asarray(regression.weights).T
    slope = inputs.T @ rest / len(rows) - RIDGE * np.asarray(regression.weights).T
    assert np.abs(slope).max() < 1e-5  # the gradient of the penalised squares vanishes


def test_the_scale_follows_the_variance_ahead_better_than_the_trailing_one():
    """Variance that returns to its mean faster than the fixed persistence has it."""
    generator = np.random.default_rng(0)
    days = 3000
    log_variance = np.zeros(days)
    for day in range(1, days):
        log_variance[day] = 0.7 * log_variance[day - 1] + 0.5 * generator.standard_normal()
    returns = 0.01 * np.exp(log_variance / 2) * generator.standard_normal(days)
    close = 100 * np.exp(np.cumsum(returns))
    opening = np.concatenate([[100.0], close[:-1]])
    spread = 0.006 * np.exp(log_variance / 2)
    prices = pd.DataFrame(
        {
            "Date": pd.bdate_range("2005-01-03", periods=days),
            "Open": opening,
            "High": np.maximum(opening, close) * np.exp(spread),
            "Low": np.minimum(opening, close) * np.exp(-spread),
            "Close": close,
            "Adj Close": close,
            "Volume": 1000.0,
            "Ticker": "A",
        }
    )
    history = build_history(prices)
    scaler = FeatureScaler.fit(history, STOP)
    rows = example_rows(history, CONFIG)
    early, late = rows[: len(rows) // 2], rows[len(rows) // 2 + 20 :]
    regression = ScaleRegression.fit(history, early, CONFIG.horizons, scaler)
    ahead = np.log(variance_ahead(history, late, CONFIG.horizons))
    scales = (
        scale_of(history, late, CONFIG.horizons),
        regression.scale(history, late, CONFIG.horizons, scaler),
    )
    errors = [(ahead - 2 * np.log(scale)).std(axis=0) for scale in scales]
    assert (errors[1] < 0.95 * errors[0]).all()


def test_later_days_change_no_weight(table, history):
    later = table["Date"] >= pd.Timestamp(STOP)
    changed = table.copy()
    changed.loc[later, ["Open", "High", "Low", "Close", "Adj Close"]] *= 3.0
    changed.loc[later, "High"] *= 1.2
    other = build_history(changed)
    assert fitted(other)[0] == fitted(history)[0]
    assert not np.array_equal(other.daily_range, history.daily_range)


def test_scales_are_positive_and_of_the_size_of_returns(history):
    regression, scaler = fitted(history)
    rows = example_rows(history, CONFIG)
    scale = regression.scale(history, rows, CONFIG.horizons, scaler)
    assert (scale > 0).all()
    spread = np.nanstd(target_of(history, rows, CONFIG.horizons) / scale, axis=0)
    assert ((spread > 0.3) & (spread < 3)).all()


def test_the_scale_is_the_root_of_the_variance_that_the_weights_expect(history):
    scaler = FeatureScaler.fit(history, STOP)
    rows = example_rows(history, CONFIG)[::50]
    one = tuple([np.log(4.0)] + [0.0] * (len(scaler.mean) - 1))  # a variance four times as large
    scale = ScaleRegression((one,) * len(CONFIG.horizons)).scale(
        history, rows, CONFIG.horizons, scaler
    )
    first = scaler.apply(history.features[rows])[:, :1]
    trailing = scale_of(history, rows, CONFIG.horizons)
    np.testing.assert_allclose(scale, trailing * 2.0**first, rtol=1e-4)
