"""Tickers that end early, start late, keep another calendar or were never seen."""

import json

import numpy as np
import pandas as pd
import pytest

from apps.stock_forecast.datamodule import PriceDataModule, read_table
from data.windows import WindowConfig, target_of
from tests.conftest import TINY_PRICES, write_prices

CONTEXT = 20  # of TINY_PRICES
SMALL = WindowConfig(context_length=CONTEXT, horizons=(1, 5))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A is whole, B is delisted, C is young, D keeps the holidays of another exchange."""
    path = tmp_path_factory.mktemp("mixed") / "mixed.csv"
    prices = pd.read_csv(write_prices(path, "ABCD", days=500))
    day = prices.groupby("Ticker").cumcount()
    is_kept = (
        (prices["Ticker"] == "A")
        | (prices["Ticker"] == "B") & (day < 300)
        | (prices["Ticker"] == "C") & (day >= 500 - CONTEXT)
        | (prices["Ticker"] == "D") & (day % 25 != 7)
    )
    prices[is_kept].to_csv(path, index=False)
    return path


def test_a_horizon_counts_each_tickers_own_trading_days(mixed):
    datamodule = PriceDataModule.from_source(str(mixed), None, SMALL)
    history, table = datamodule.history, datamodule.table
    rows = datamodule.rows("test")
    assert {history.tickers[k] for k in history.ticker[rows]} == {"A", "D"}
    ahead = target_of(history, rows, SMALL.horizons)[:, 1]
    for ticker in ("A", "D"):
        close = np.log(table.loc[table["Ticker"] == ticker, "Adj Close"].to_numpy())
        own = np.flatnonzero(np.array(history.tickers)[history.ticker[rows]] == ticker)
        place = history.position()[rows[own]]
        known = place + 5 < len(close)
        moved = close[place[known] + 5] - close[place[known]]
        np.testing.assert_allclose(ahead[own][known], moved, atol=1e-6)
        assert np.isnan(ahead[own][~known]).all()


def test_a_delisted_ticker_trains_and_a_young_one_waits(mixed):
    datamodule = PriceDataModule.from_source(str(mixed), None, SMALL)
    history = datamodule.history
    trained = {history.tickers[k] for k in history.ticker[datamodule.rows("train")]}
    assert trained == {"A", "B", "D"}
    assert np.isfinite(history.features).all()


def test_the_young_and_the_foreign_are_forecast_and_the_delisted_is_named(
    stocks, mixed, command, caplog
):
    words = ["--run", stocks.run, "--data", mixed, "--json"]
    result = command("stock-forecast", "forecast", *words)
    assert result.code == 0, result.err
    found = {item["ticker"] for item in json.loads(result.out)["forecasts"]}
    assert found == {"A", "C", "D"}
    assert "last traded over 10 days before" in caplog.text
    assert caplog.text.rstrip().endswith("B")


def test_a_delisted_ticker_is_forecast_from_its_own_last_day_where_asked_for(
    stocks, mixed, command
):
    words = ["--run", stocks.run, "--data", mixed, "--ticker", "B", "--json"]
    result = json.loads(command("stock-forecast", "forecast", *words).out)
    last = read_table(str(mixed), None).query("Ticker == 'B'")["Date"].max()
    assert result["as_of"] == str(last.date())
    assert {item["ticker"] for item in result["forecasts"]} == {"B"}


def test_a_run_on_mixed_tickers_trains_and_scores_unseen_ones(mixed, tmp_path, command):
    run = tmp_path / "runs" / "mixed"
    trained = command("stock-forecast", "train", "--data", mixed, "--run", run, *TINY_PRICES)
    assert trained.code == 0, trained.err
    unseen = write_prices(tmp_path / "unseen.csv", "XY", days=500, seed=4)
    words = ["--run", run, "--data", unseen, "--json"]
    result = command("stock-forecast", "evaluate", *words)
    assert result.code == 0, result.err
    assert all(np.isfinite(value) for value in json.loads(result.out)["crps"].values())
