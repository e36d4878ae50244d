import numpy as np
import pandas as pd
import pytest

from apps.stock_forecast.portfolio import (
    LONGEST_GAP,
    Earned,
    PortfolioConfig,
    Signals,
    nearest_horizon,
    rank_weights,
    simulate,
    trade,
)
from core.nn.forecaster import LEVELS


def test_a_hand_computed_case():
    targets = np.full((3, 2), 0.5)
    returns = np.array([[0.10, 0.0], [0.0, -0.10], [0.20, 0.20]])
    earned = simulate(targets, returns, np.array([True, False, True]), cost=0.01)
    # Bought for 1, which costs 1 %; drifts to 0.55/1.05 and 0.5/1.05, then to 0.55 and 0.45.
    np.testing.assert_allclose(earned.traded, [1.0, 0.0, 0.1])
    first, second, third = 0.99 * 1.05 - 1, -0.1 * 0.5 / 1.05, 0.999 * 1.2 - 1
    np.testing.assert_allclose(earned.returns, [first, second, third])
    found = earned.summary()
    assert found["annual_return"] == pytest.approx((1.0395 * (1 - 0.05 / 1.05) * 1.1988) ** 84 - 1)
    assert found["max_drawdown"] == pytest.approx(0.05 / 1.05)
    assert found["annual_turnover"] == pytest.approx(1.1 * 252 / 3)
    mean, deviation = np.mean([first, second, third]), np.std([first, second, third], ddof=1)
    assert found["annual_volatility"] == pytest.approx(deviation * 252**0.5)
    assert found["sharpe"] == pytest.approx(mean / deviation * 252**0.5)


def test_a_fall_on_the_first_day_counts():
    earned = Earned(np.array([-0.1, 0.05]), np.zeros(2))
    assert earned.summary()["max_drawdown"] == pytest.approx(0.1)


def test_a_short_position_loses_what_the_price_wins():
    earned = simulate(np.array([[0.5, -0.5]]), np.array([[0.1, 0.2]]), np.array([True]), cost=0.0)
    np.testing.assert_allclose(earned.returns, [-0.05])
    np.testing.assert_allclose(earned.traded, [1.0])


def test_what_is_lost_stays_lost():
    targets, returns = np.array([[0.5, -0.5]] * 2), np.array([[0.0, 4.0], [0.0, -0.5]])
    earned = simulate(targets, returns, np.array([True, True]), cost=0.0)
    np.testing.assert_array_equal(earned.equity(), [0.0, 0.0])


def test_the_best_third_is_held_and_the_worst_sold():
    signal = np.array([[3.0, 1, 2, 6, 5, 4], [np.nan, 1, np.nan, np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(rank_weights(signal, False)[0], [0, 0, 0, 0.5, 0.5, 0])
    np.testing.assert_array_equal(rank_weights(signal, True)[0], [0, -0.25, -0.25, 0.25, 0.25, 0])
    np.testing.assert_array_equal(rank_weights(signal, False)[1], [0, 1, 0, 0, 0, 0])
    assert not rank_weights(signal, True)[1].any()


@pytest.fixture
def prices():
    random = np.random.default_rng(0)
    dates = pd.bdate_range("2015-01-05", periods=60)
    moves = 0.02 * random.standard_normal((60, 3))
    return pd.concat(
        pd.DataFrame({"Ticker": t, "Date": dates, "Adj Close": 50 * np.exp(moves[:, k].cumsum())})
        for k, t in enumerate("ABC")
    )


def signals_of(prices, first, last, middle):
    """Forecasts from the days first to last of every ticker."""
    rows = prices.groupby("Ticker").nth(list(range(first, last)))
    spread = 0.02 * (1 + (rows["Ticker"] == "C"))
    quantiles = spread.to_numpy()[:, None] * (np.array(LEVELS) - 0.5)
    return Signals(
        rows["Date"].to_numpy().astype("datetime64[D]"),
        rows["Ticker"].to_numpy(),
        quantiles + np.asarray(middle(rows))[:, None],
        spread.to_numpy(),
    )


def tomorrow(prices):
    ahead = prices.groupby("Ticker")["Adj Close"].shift(-1) / prices["Adj Close"] - 1
    return dict(zip(zip(prices["Ticker"], prices["Date"], strict=True), ahead, strict=True))


def test_weights_known_at_a_close_earn_the_return_to_the_next(prices):
    moves = tomorrow(prices)

    def clairvoyant(rows):
        return [moves[key] for key in zip(rows["Ticker"], rows["Date"], strict=True)]

    config = PortfolioConfig(rebalance="daily", cost=0.0)
    _, curves = trade([signals_of(prices, 20, 40, clairvoyant)], prices, 1, config)
    dates = sorted(set(prices["Date"]))[20:40]
    best = [max(moves[ticker, date] for ticker in "ABC") for date in dates]
    np.testing.assert_allclose(curves["long_only"], np.cumprod(1 + np.array(best)))
    assert list(curves.index) == dates


def test_no_later_price_changes_the_value_on_a_day(prices):
    signals = [signals_of(prices, 20, 30, lambda rows: rows["Adj Close"] * 1e-4),
               signals_of(prices, 30, 40, lambda rows: rows["Adj Close"] * 1e-4)]  # fmt: skip
    config = PortfolioConfig()
    _, curves = trade(signals, prices, 5, config)
    day = curves.index[8]
    other = prices.copy()
    other.loc[other["Date"] > day + pd.Timedelta(days=1), "Adj Close"] *= 3
    _, changed = trade(signals, other, 5, config)
    pd.testing.assert_frame_equal(curves.loc[:day], changed.loc[:day])
    assert not curves.equals(changed)


def test_where_the_median_says_nothing_the_narrow_forecasts_are_held(prices):
    scaled = signals_of(prices, 20, 40, lambda rows: 0.05 * 0.02 * (1 + (rows["Ticker"] == "C")))
    config = PortfolioConfig(rebalance="daily", cost=0.0)
    summary, curves = trade([scaled], prices, 1, config)
    assert summary["ranked_by"] == "inverse forecast width"
    moves = tomorrow(prices)
    held = [moves["A", date] for date in curves.index]
    np.testing.assert_allclose(curves["long_only"], np.cumprod(1 + np.array(held)))


def test_equal_weights_are_bought_once(prices):
    summary, curves = trade(
        [signals_of(prices, 20, 40, lambda rows: rows["Adj Close"])], prices, 1, PortfolioConfig()
    )
    close = prices.pivot_table("Adj Close", "Date", "Ticker")
    growth = (close.iloc[40] / close.iloc[20]).mean()
    assert curves["buy_and_hold"].iloc[-1] == pytest.approx(0.999 * growth)
    assert summary["buy_and_hold"]["annual_turnover"] == pytest.approx(252 / 20)


def test_a_ticker_that_ends_earns_nothing_and_is_left(prices):
    cut = prices[(prices["Ticker"] != "A") | (prices["Date"] <= sorted(set(prices["Date"]))[30])]
    signals = [signals_of(cut, 20, 31, lambda rows: (rows["Ticker"] == "A") * 0.1)]
    later = signals_of(
        cut[cut["Ticker"] != "A"], 31, 45, lambda rows: (rows["Ticker"] == "B") * 0.05
    )
    config = PortfolioConfig(rebalance="daily", cost=0.0)
    _, curves = trade([*signals, later], cut, 1, config)
    returns = curves["long_only"].pct_change()
    moves = tomorrow(prices)
    assert np.isfinite(curves.to_numpy()).all()
    held, left = returns.iloc[11 : 11 + LONGEST_GAP], returns.iloc[11 + LONGEST_GAP :]
    assert (held == 0).all()  # its last forecast, the highest, holds for so long
    assert left.tolist() == pytest.approx([moves["B", day] for day in left.index])


@pytest.mark.parametrize("wrong", [{"cost": -1}, {"cost": float("nan")}, {"rebalance": "hourly"}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PortfolioConfig(**wrong)


def test_the_horizon_follows_the_trading():
    assert nearest_horizon((1, 5, 20), PortfolioConfig(rebalance="daily")) == 0
    assert nearest_horizon((1, 5, 20), PortfolioConfig(rebalance="weekly")) == 1
