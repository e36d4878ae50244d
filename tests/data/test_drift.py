import numpy as np
import pandas as pd
import pytest

from data.drift import FEWEST_DAYS, FEWEST_TICKERS, DriftPrior, ExcessDrift
from data.windows import PriceHistory, build_history

DAYS = 600
STOP = np.datetime64("2012-01-02")


def market(drifts: np.ndarray, days: int = DAYS, seed: int = 0) -> pd.DataFrame:
    """Tickers that share the market's moves and have drifts per day of their own."""
    generator = np.random.default_rng(seed)
    common = 0.01 * generator.standard_normal(days)
    frames = []
    for number, drift in enumerate(drifts):
        moves = common + drift + 0.01 * generator.standard_normal(days)
        close = 100 * np.exp(np.cumsum(moves))
        frames.append(
            pd.DataFrame(
                {
                    "Date": pd.bdate_range("2010-01-04", periods=days),
                    "Open": close,
                    "High": close * 1.005,
                    "Low": close * 0.995,
                    "Close": close,
                    "Adj Close": close,
                    "Volume": 1000.0,
                    "Ticker": f"T{number:03d}",
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def history() -> PriceHistory:
    return build_history(market(np.linspace(-0.002, 0.002, 12)))


def test_the_mean_is_that_of_the_returns_beyond_the_others(history):
    drift = ExcessDrift.of(history)
    prices = history.log_price.reshape(12, DAYS)
    returns = np.diff(prices, axis=1)
    excess = returns - (returns.sum(0) - returns) / 11
    for ticker, day in ((0, 1), (3, 250), (11, DAYS - 1)):
        row = ticker * DAYS + day
        seen = excess[ticker, :day]
        assert drift.mean[row] == pytest.approx(seen.mean(), abs=1e-7)
        if day > 1:
            expected = seen.var(ddof=1) / day
            assert drift.error[row] == pytest.approx(expected, rel=1e-3)


def test_a_ticker_is_believed_once_it_has_shown_something(history):
    drift = ExcessDrift.of(history)
    prior = DriftPrior.fit(history, drift, STOP)
    rows = np.array([11 * DAYS, 11 * DAYS + 1, 11 * DAYS + 20, 12 * DAYS - 1])
    moved = prior.location(drift, rows, (1, 20))
    assert (moved[:2] == 0).all()
    share = moved[2:, 0] / drift.mean[rows[2:]]
    assert 0 < share[0] < share[1] < 1
    np.testing.assert_allclose(moved[:, 1], 20 * moved[:, 0], rtol=1e-6)


def test_the_prior_finds_how_far_drifts_lie_apart():
    generator = np.random.default_rng(1)
    for spread in (0.0005, 0.002):
        tickers = build_history(market(spread * generator.standard_normal(150)))
        prior = DriftPrior.fit(tickers, ExcessDrift.of(tickers), STOP)
        assert prior.variance**0.5 == pytest.approx(spread, rel=0.35)


def test_where_all_drift_alike_next_to_nothing_is_believed():
    alike = build_history(market(np.full(80, 0.001)))
    drift = ExcessDrift.of(alike)
    prior = DriftPrior.fit(alike, drift, STOP)
    rows = alike.first[1:] - 1
    believed = np.abs(prior.location(drift, rows, (1,))[:, 0]).mean()
    assert believed < 0.3 * np.abs(drift.mean[rows]).mean()


@pytest.mark.parametrize(
    ("tickers", "days"), [(FEWEST_TICKERS - 1, DAYS), (FEWEST_TICKERS, FEWEST_DAYS)]
)
def test_too_little_to_tell_believes_nothing(tickers, days):
    small = build_history(market(np.linspace(-0.01, 0.01, tickers), days))
    drift = ExcessDrift.of(small)
    prior = DriftPrior.fit(small, drift, np.datetime64("2100-01-01"))
    assert prior.variance == 0
    assert not prior.location(drift, np.arange(10), (1, 5)).any()


def test_later_days_change_neither_the_prior_nor_an_earlier_location():
    table = market(np.linspace(-0.002, 0.002, 12))
    changed = table.copy()
    later = changed["Date"] >= pd.Timestamp(STOP)
    changed.loc[later & (changed["Ticker"] == "T003"), "Adj Close"] *= 2.0
    found = []
    for one in (table, changed):
        history = build_history(one)
        drift = ExcessDrift.of(history)
        prior = DriftPrior.fit(history, drift, STOP)
        rows = np.flatnonzero(history.dates < STOP)
        found.append((prior.variance, prior.location(drift, rows, (1, 60))))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-8)
