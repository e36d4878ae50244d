import numpy as np
import pandas as pd
import pytest

from data.features import (
    FEATURES,
    FLOOR,
    LONG_WINDOW,
    NEWS_FEATURES,
    Market,
    average,
    daily_features,
    log_returns,
    market_returns,
    range_variance,
    trailing_variances,
    volume_surprise,
)

RETURN, MARKET = FEATURES.index("return"), FEATURES.index("market_return")


def prices(count, seed=0):
    generator = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(generator.normal(0, 0.02, count)))
    opening = close * np.exp(generator.normal(0, 0.01, count))
    high = np.maximum(opening, close) * np.exp(generator.uniform(0, 0.02, count))
    low = np.minimum(opening, close) * np.exp(-generator.uniform(0, 0.02, count))
    volume = generator.integers(0, 10**6, count).astype(float)
    names = ("Open", "High", "Low", "Close", "Adj Close", "Volume")
    return pd.DataFrame(dict(zip(names, (opening, high, low, close, close, volume), strict=True)))


def market(count, seed=1):
    return np.random.default_rng(seed).normal(0, 0.01, count)


def test_log_returns_start_at_zero_and_add_up():
    close = np.array([10.0, 11.0, 9.0, 9.0])
    returns = log_returns(close)
    assert returns[0] == 0
    np.testing.assert_allclose(np.exp(np.cumsum(returns)) * 10, close)


def test_the_market_is_the_mean_of_the_others_as_in_a_plain_loop():
    generator = np.random.default_rng(0)
    day = generator.integers(0, 30, 120)
    returns = generator.normal(0, 0.02, 120).astype(np.float32)
    returns[generator.random(120) < 0.1] = np.nan
    expected = []
    for row in range(120):
        others = [returns[o] for o in range(120) if o != row and day[o] == day[row]]
        known = [value for value in others if np.isfinite(value)]
        expected.append(np.mean(known) if known else 0.0)
    np.testing.assert_allclose(market_returns(returns, day), expected, atol=1e-8)


def test_the_market_is_zero_where_no_other_ticker_trades():
    returns = np.array([0.1, 0.2, np.nan, 0.3, -0.1], np.float32)
    day = np.array([0, 1, 1, 2, 2])
    # Day 0: alone. Day 1: the other is new, so its return is not known.
    np.testing.assert_allclose(market_returns(returns, day), [0, 0, 0.2, -0.1, 0.3], atol=1e-7)
    assert market_returns(returns, day)[:2].tolist() == [0, 0]


def test_the_market_does_not_see_the_own_return_nor_another_day():
    day = np.repeat(np.arange(20), 3)
    returns = np.random.default_rng(0).normal(0, 0.02, 60).astype(np.float32)
    before = market_returns(returns, day)
    for row in range(60):
        changed = returns.copy()
        changed[row] += 0.5
        differs = np.flatnonzero(np.abs(market_returns(changed, day) - before) > 1e-6)
        assert differs.tolist() == [r for r in np.flatnonzero(day == day[row]) if r != row]


def test_the_average_weighs_by_age():
    x = np.array([1.0, 4.0, 2.0, 8.0])
    weights = 0.9 ** np.arange(4)[::-1]
    assert average(x, 0.9)[-1] == pytest.approx((weights * x).sum() / weights.sum())
    assert average(x, 0.9)[0] == 1


@pytest.mark.parametrize("holes", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("decay", [0.8, 0.998])
def test_the_average_equals_that_of_pandas_also_over_holes(decay, holes):
    generator = np.random.default_rng(0)
    x = generator.lognormal(0, 3, 5000) * 1e-6
    x[generator.random(5000) < holes] = np.nan
    expected = pd.Series(x).ewm(alpha=1 - decay).mean()
    np.testing.assert_allclose(average(x, decay), expected, rtol=1e-10)


def test_the_market_is_the_same_whether_tickers_come_together_or_one_by_one():
    generator = np.random.default_rng(0)
    returns = generator.normal(0, 0.02, (7, 50)).astype(np.float32)
    returns[:, 0] = np.nan
    day, one_by_one = np.arange(50), Market(50)
    for own in returns:
        one_by_one.add(own, day)
    together = market_returns(returns.ravel(), np.tile(day, 7)).reshape(7, 50)
    for own, expected in zip(returns, together, strict=True):
        np.testing.assert_array_equal(one_by_one.without(own, day), expected)


def test_a_split_is_no_overnight_move():
    table = prices(10)
    returns = log_returns(table["Adj Close"].to_numpy())
    split = table.copy()
    split.loc[5:, ["Open", "High", "Low", "Close"]] /= 2  # the adjusted close already knows
    np.testing.assert_allclose(range_variance(split, returns), range_variance(table, returns))


def test_the_range_variance_estimates_the_variance_of_a_random_walk():
    steps = np.random.default_rng(0).normal(0, 0.01 / 20, (4000, 400))
    paths = np.exp(np.cumsum(steps, axis=1))  # a session from 1, with a deviation of 1 %
    ends = {"Open": 1.0, "High": np.maximum(paths.max(1), 1), "Low": np.minimum(paths.min(1), 1)}
    table = pd.DataFrame(ends | {"Close": paths[:, -1]})
    variance = range_variance(table, np.log(paths[:, -1]))
    assert variance.mean() == pytest.approx(0.01**2, rel=0.1)
    assert (variance >= 0).all()


def test_the_long_variance_is_the_mean_square_return_of_a_year():
    returns = np.random.default_rng(0).normal(0, 0.02, 400)
    _, long = trailing_variances(returns, returns**2)
    for row in (0, 10, 249, 250, 399):
        expected = np.mean(returns[max(0, row - LONG_WINDOW + 1) : row + 1] ** 2)
        assert long[row] == pytest.approx(max(expected, FLOOR**2))


def test_variances_are_positive_also_where_nothing_moves():
    short, long = trailing_variances(np.zeros(30), np.zeros(30))
    assert short.min() == long.min() == FLOOR**2


@pytest.mark.parametrize("news", [False, True])
def test_features_have_a_column_a_name_and_are_finite(news):
    counts = np.random.default_rng(0).integers(0, 9, 300).astype(float) if news else None
    features, short, long, _ = daily_features(prices(300), market(300), counts)
    names = FEATURES + NEWS_FEATURES * news
    assert features.shape == (300, len(names))
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert min(short.min(), long.min()) > 0


def test_a_flat_series_without_volume_is_finite():
    flat = pd.DataFrame(dict.fromkeys(("Open", "High", "Low", "Close", "Adj Close"), [10.0] * 40))
    features, *_ = daily_features(flat.assign(Volume=0.0), np.zeros(40), np.zeros(40))
    assert np.isfinite(features).all()


def test_one_day_is_enough():
    features, *_ = daily_features(prices(1), np.zeros(1), None)
    assert np.isfinite(features).all()


@pytest.mark.parametrize("column", ["Open", "High", "Low", "Close", "Adj Close", "Volume"])
def test_no_price_changes_the_features_of_an_earlier_day(column):
    table, returns, counts = prices(320), market(320), np.ones(320)
    before, *variances = daily_features(table, returns, counts)
    for row in (1, 20, 260, 319):
        changed = table.copy()
        changed.loc[row:, column] *= 1.3
        after, *later = daily_features(changed, returns, counts)
        np.testing.assert_array_equal(after[:row], before[:row])
        for one, other in zip(later, variances, strict=True):
            np.testing.assert_array_equal(one[:row], other[:row])
        assert (after[row:] != before[row:]).any()


@pytest.mark.parametrize("what", ["market", "news"])
def test_neither_market_nor_news_change_the_features_of_an_earlier_day(what):
    returns, counts = market(100), np.ones(100)
    before, *_ = daily_features(prices(100), returns, counts)
    (returns if what == "market" else counts)[50:] += 0.1
    after, *_ = daily_features(prices(100), returns, counts)
    np.testing.assert_array_equal(after[:50], before[:50])
    assert (after[50] != before[50]).any()


def test_returns_are_measured_by_the_volatility_of_the_evening_before():
    table = prices(100)
    crash = table.copy()
    crash.loc[99, ["Low", "Close", "Adj Close"]] *= 0.5
    calm, short, *_ = daily_features(table, np.zeros(100), None)
    wild, *_ = daily_features(crash, np.zeros(100), None)
    moved = np.log(0.5) / np.sqrt(short[98])
    assert wild[99, RETURN] - calm[99, RETURN] == pytest.approx(moved, rel=1e-4)


def test_price_level_and_volume_unit_do_not_matter():
    table = prices(300)
    scaled = table * [7, 7, 7, 7, 7, 1]
    np.testing.assert_allclose(
        daily_features(scaled, market(300), None)[0],
        daily_features(table, market(300), None)[0],
        atol=1e-4,
    )


def test_a_market_that_stands_still_has_no_return():
    features, *_ = daily_features(prices(50), np.zeros(50), None)
    assert not features[:, MARKET].any()


def test_an_unknown_volume_is_no_surprise():
    volume = np.array([100.0, 100.0, 0.0, 100.0, 300.0])
    surprise = volume_surprise(volume)
    assert surprise[[0, 1, 2, 3]].tolist() == [0, 0, 0, 0]
    assert surprise[4] > 1
    assert not volume_surprise(np.zeros(5)).any()
