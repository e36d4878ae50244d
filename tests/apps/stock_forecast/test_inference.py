import json

import pandas as pd
import pytest

from tests.conftest import write_prices


def forecast(command, *words):
    result = command("stock-forecast", "forecast", *words, "--json")
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_forecast_prints_every_key_and_rising_quantiles(stocks, command):
    result = forecast(command, "--run", stocks.run)
    assert result.keys() >= {"as_of", "run", "forecasts"}
    assert {item["ticker"] for item in result["forecasts"]} == {"A", "B"}
    last = pd.read_csv(stocks.data).groupby("Ticker")["Close"].last()
    for item in result["forecasts"]:
        assert item.keys() >= {"ticker", "horizon", "date", "price", "quantiles"}
        values = list(item["quantiles"].values())
        assert len(values) >= 11
        assert values == sorted(values)
        assert len(set(values)) == len(values)
        assert values[0] < item["price"] < values[-1]
        assert abs(item["price"] / last[item["ticker"]] - 1) < 0.2
        assert item["date"] > result["as_of"]


def test_a_series_of_every_day_is_forecast_for_every_day(stocks, tmp_path, command):
    rows = pd.read_csv(stocks.data)
    rows["Date"] = (
        rows.groupby("Ticker")
        .cumcount()
        .map(lambda day: pd.Timestamp("2015-01-05") + pd.Timedelta(days=day))
    )
    rows.to_csv(tmp_path / "daily.csv", index=False)
    result = forecast(command, "--run", stocks.run, "--data", tmp_path / "daily.csv")
    last = rows["Date"].max()
    assert {(item["horizon"], item["date"]) for item in result["forecasts"]} == {
        (days, str((last + pd.Timedelta(days=days)).date())) for days in (1, 5)
    }


def test_each_ticker_is_dated_by_its_own_weekdays(stocks, tmp_path, command):
    rows = pd.read_csv(stocks.data)
    every_day, weekdays = (rows[rows["Ticker"] == ticker].copy() for ticker in "AB")
    last = pd.Timestamp("2016-07-15")  # a Friday
    every_day["Date"] = pd.date_range(end=last, periods=len(every_day))
    weekdays = weekdays.iloc[-60:].copy()
    weekdays["Date"] = pd.bdate_range(end=last, periods=60)
    pd.concat([every_day, weekdays]).to_csv(tmp_path / "both.csv", index=False)
    result = forecast(command, "--run", stocks.run, "--data", tmp_path / "both.csv")
    dated = {(item["ticker"], item["horizon"]): item["date"] for item in result["forecasts"]}
    assert dated["A", 1] == "2016-07-16"
    assert dated["B", 1] == "2016-07-18"


def test_a_forecast_ends_at_the_last_day_given(stocks, tmp_path, command):
    rows = pd.read_csv(stocks.data)
    rows[rows["Date"] <= "2016-03-31"].to_csv(tmp_path / "cut.csv", index=False)
    result = forecast(command, "--run", stocks.run, "--data", tmp_path / "cut.csv")
    assert result["as_of"] == "2016-03-31"


def test_unseen_tickers_can_be_forecast(stocks, tmp_path, command):
    data = write_prices(tmp_path / "new.csv", "Z", seed=9)
    result = forecast(command, "--run", stocks.run, "--data", data, "--ticker", "Z")
    assert {item["ticker"] for item in result["forecasts"]} == {"Z"}


def test_an_unknown_ticker_is_named_with_what_there_is(stocks, command):
    result = command("stock-forecast", "forecast", "--run", stocks.run, "--ticker", "NOPE")
    assert result.code == 2
    assert "'NOPE'" in result.err
    assert "A, B" in result.err


def test_a_ticker_as_short_as_the_context_is_refused(stocks, tmp_path, command):
    young = pd.concat(
        [pd.read_csv(stocks.data), pd.read_csv(write_prices(tmp_path / "y.csv", "Y", days=10))]
    )
    young.to_csv(tmp_path / "all.csv", index=False)
    words = ["--run", stocks.run, "--data", tmp_path / "all.csv", "--ticker", "Y"]
    result = command("stock-forecast", "forecast", *words)
    assert result.code == 2
    assert "Y has 10" in result.err


@pytest.mark.parametrize("words", [[], ["--ticker", "A"]])
def test_the_people_table_has_a_line_per_horizon(stocks, command, words):
    out = command("stock-forecast", "forecast", "--run", stocks.run, *words).out
    assert out.count(" days ") == 2 * (1 if words else 2)
