"""Each classical forecast against a library or its closed form, and against later rows."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from arch import arch_model
from scipy.stats import norm, t
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from apps.stock_forecast.baselines import BASELINES, Baselines
from apps.stock_forecast.ets import fit_ets
from apps.stock_forecast.garch import fit_garch
from apps.stock_forecast.har import LEAST_DAY, log_variances
from core.nn.forecaster import LEVELS
from data.prices import load_prices
from data.windows import build_history
from tests.conftest import write_prices

STOP = np.datetime64("2016-12-01")
HORIZONS = (1, 4, 20)
UP = LEVELS.index(0.9)
PRICES = ["Open", "High", "Low", "Close", "Adj Close"]


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    """Two tickers of 700 days, calm and rough by turns: the table, its history, one's returns."""
    table = load_prices(str(write_prices(tmp_path_factory.mktemp("p") / "p.csv", "AB", days=700)))
    generator = np.random.default_rng(1)
    rough = np.where(np.arange(len(table)) // 40 % 2, 0.02, 0.002)
    moved = np.exp(np.cumsum(rough * generator.standard_normal(len(table))))
    table[PRICES] = table[PRICES].mul(moved, axis=0)
    table["High"] *= 1 + 0.01 * generator.exponential(size=len(table))
    table["Low"] *= 1 - 0.01 * generator.uniform(size=len(table))
    history = build_history(table)
    own = slice(0, 700)
    known = int((history.dates[own] < STOP).sum())
    returns = np.diff(history.log_price[own])
    return SimpleNamespace(
        table=table,
        history=history,
        num_known=known,
        returns=returns,
        known=returns[: known - 1],
        daily_range=history.daily_range[own].astype(float),
        baselines=Baselines(history, STOP, HORIZONS),
    )


def forecast(market, name, row):
    return market.baselines.forecast(market.history, np.array([row]))[name][0]  # (P, Q)


def test_every_baseline_gives_rising_quantiles_for_every_row_and_horizon(market):
    rows = np.array([30, 699, 700, 1200])
    found = market.baselines.forecast(market.history, rows)
    assert tuple(found) == BASELINES
    for quantiles in found.values():
        assert quantiles.shape == (4, 3, len(LEVELS))
        assert (np.diff(quantiles, axis=-1) > 0).all()


@pytest.mark.parametrize("name", BASELINES)
def test_no_later_row_changes_a_forecast(market, name):
    rows = np.array([600, 650])
    table = market.table.copy()
    later = table["Date"].to_numpy() > market.history.dates[650]
    table.loc[later, PRICES] *= 2
    changed = build_history(table)
    before = market.baselines.forecast(market.history, rows)[name]
    after = Baselines(changed, STOP, HORIZONS).forecast(changed, rows)[name]
    np.testing.assert_array_equal(before, after)
    moved = Baselines(changed, STOP, HORIZONS).forecast(changed, rows + 5)[name]
    same = np.array_equal(moved, market.baselines.forecast(market.history, rows + 5)[name])
    assert same == (name in ("random_walk", "historical"))  # which read nothing after training


def test_no_row_after_the_training_end_changes_a_parameter(market):
    table = market.table.copy()
    later = table["Date"].to_numpy() >= STOP
    jumps = 1 + 0.05 * np.random.default_rng(2).uniform(size=(int(later.sum()), 1))
    table.loc[later, PRICES] *= jumps
    changed = Baselines(build_history(table), STOP, HORIZONS)
    rows = np.array([500, 650, 1300])
    before = market.baselines.forecast(market.history, rows)
    for name, quantiles in changed.forecast(market.history, rows).items():
        np.testing.assert_array_equal(quantiles, before[name])


def test_a_ticker_without_training_days_takes_what_the_others_have_in_common(market, tmp_path):
    young = load_prices(str(write_prices(tmp_path / "y.csv", "Y", days=700, seed=7)))
    young = young[young["Date"].to_numpy() >= STOP]
    found = market.baselines.forecast(build_history(young), np.array([100]))
    pooled = [market.history.log_price[k * 700 :][: market.num_known] for k in (0, 1)]
    returns = np.concatenate([np.diff(one) for one in pooled])
    days = np.array(HORIZONS)
    middle = found["drift"][0, :, LEVELS.index(0.5)]
    np.testing.assert_allclose(middle, returns.mean() * days)
    walk = np.sqrt(np.mean(returns**2) * days) * norm.ppf(0.9)
    np.testing.assert_allclose(found["random_walk"][0, :, UP], walk)
    for quantiles in found.values():
        assert (np.diff(quantiles, axis=-1) > 0).all()


def test_random_walk_is_the_normal_of_the_training_volatility(market):
    found = forecast(market, "random_walk", 650)
    deviation = np.sqrt(np.mean(market.known**2))
    np.testing.assert_allclose(found[0], deviation * norm.ppf(LEVELS))
    np.testing.assert_allclose(found[1], 2 * found[0])


def test_drift_is_the_training_mean_with_the_deviation_of_sixty_days(market):
    found = forecast(market, "drift", 650)
    deviation = market.returns[590:650].std()
    for p, horizon in enumerate(HORIZONS):
        width = deviation * np.sqrt(horizon) * norm.ppf(LEVELS)
        np.testing.assert_allclose(found[p], market.known.mean() * horizon + width, rtol=1e-6)


def test_ewma_weighs_each_day_by_its_age(market):
    weights = 0.94 ** np.arange(651)[::-1]
    square = np.concatenate([[0.0], market.returns[:650] ** 2])
    deviation = np.sqrt(np.sum(weights * square) / weights.sum())
    np.testing.assert_allclose(forecast(market, "ewma", 650)[0], deviation * norm.ppf(LEVELS))


def test_historical_is_the_quantiles_of_the_training_returns(market):
    moves = np.lib.stride_tricks.sliding_window_view(market.known, 4).sum(-1)
    np.testing.assert_allclose(forecast(market, "historical", 650)[1], np.quantile(moves, LEVELS))


def test_garch_tomorrow_equals_arch(market):
    parameters = fit_garch(market.known)
    returns = 100 * market.known
    model = arch_model(returns, mean="Zero", vol="GARCH", p=1, q=1, dist="t", rescale=False)
    values = [parameters.omega, parameters.alpha, parameters.beta, parameters.degrees]
    theirs = model.fix(values).forecast(horizon=1).variance.to_numpy()[0, 0]
    found = forecast(market, "garch", market.num_known - 1)
    unit = t.ppf(0.9, parameters.degrees) * np.sqrt(1 - 2 / parameters.degrees)
    assert (100 * found[0, UP] / unit) ** 2 == pytest.approx(theirs, rel=0.02)


def test_har_is_the_least_squares_fit_of_statsmodels(market, tmp_path):
    table = market.table[market.table["Ticker"] == "A"].reset_index(drop=True)
    history = build_history(table)
    found = Baselines(history, STOP, (4,)).forecast(history, np.array([650]))["har"][0, 0]
    variance, known = market.daily_range, market.num_known

    def inputs(day):
        month = variance[max(day - 21, 0) : day + 1].mean()
        recent = max(variance[day], 0.05 * month), variance[max(day - 4, 0) : day + 1].mean()
        return [1.0, *np.log([*recent, month])]

    days = range(known - 4)
    ahead = [np.log(variance[day + 1 : day + 5].sum()) for day in days]
    fitted = sm.OLS(ahead, [inputs(day) for day in days]).fit()
    drift = 4 * market.known.mean()
    moved = np.array([market.returns[day : day + 4].sum() - drift for day in days])
    units = np.quantile(moved / np.exp(fitted.fittedvalues / 2), LEVELS)
    expected = drift + np.exp(fitted.predict(inputs(650)) / 2) * units
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_day_without_a_range_is_no_news_of_calm():
    daily_range = np.full(30, 4e-4)
    daily_range[-1] = 1e-9
    day, week, month = np.exp(log_variances(daily_range)[-1, 1:])
    assert month == pytest.approx(4e-4 * 21 / 22, rel=1e-4)
    assert week == pytest.approx(4e-4 * 4 / 5, rel=1e-4)
    assert day == pytest.approx(LEAST_DAY * month)


def test_ets_forecasts_are_those_of_statsmodels(market):
    parameters = fit_ets(market.known)
    log_price = np.concatenate([[0.0], np.cumsum(market.returns[:650])])
    model = ETSModel(pd.Series(log_price), error="add", trend="add", damped_trend=True)
    values = [parameters.alpha, parameters.beta, parameters.phi, log_price[0], 0.0]
    fixed = model.smooth(np.array(values))
    theirs = fixed.get_prediction(start=651, end=670)
    mean = np.asarray(theirs.predicted_mean) - log_price[-1]
    # The library's variance is that of its own residuals; ours is that of the training part.
    ratio = np.sqrt(np.asarray(theirs.forecast_variance) / np.mean(np.asarray(fixed.resid) ** 2))
    found = forecast(market, "ets", 650)
    for p, horizon in enumerate(HORIZONS):
        expected = mean[horizon - 1] + parameters.deviation * ratio[horizon - 1] * norm.ppf(LEVELS)
        np.testing.assert_allclose(found[p], expected, rtol=1e-4, atol=1e-7)


def test_ets_of_a_trend_that_damps_out_follows_it(market):
    days = np.arange(400)
    trending = 0.002 * days + 0.001 * np.random.default_rng(0).standard_normal(400)
    found = fit_ets(np.diff(trending))
    assert 0 < found.alpha < 0.5  # noise around a trend, not a random walk
    assert found.phi == pytest.approx(0.98, abs=0.02)


def test_a_flat_price_among_the_tickers_leaves_every_forecast_finite(market):
    table = market.table.copy()
    is_flat = table["Ticker"] == "B"
    table.loc[is_flat, PRICES] = 10.0
    history = build_history(table)
    found = Baselines(history, STOP, HORIZONS).forecast(history, np.array([0, 650, 700, 1350]))
    for name, quantiles in found.items():
        assert np.isfinite(quantiles).all(), name
        assert (np.diff(quantiles, axis=-1) >= 0).all(), name
