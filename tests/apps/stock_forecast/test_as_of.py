import numpy as np
import pandas as pd
import pytest

from apps.stock_forecast.as_of import (
    classical_forecasts,
    fit_baselines,
    forecast_rows,
    judge,
    known_on,
)
from apps.stock_forecast.datamodule import stored_table
from apps.stock_forecast.evaluate import evaluate
from apps.stock_forecast.inference import StockForecaster
from apps.stock_forecast.plots import fan_and_outcome, mark_news, overlay_ranges, quantile_fan
from core.nn.forecaster import LEVELS


@pytest.fixture(scope="module")
def forecaster(stocks):
    return StockForecaster.load(stocks.run)


@pytest.fixture(scope="module")
def table(forecaster):
    return stored_table(forecaster.run)


def test_the_future_changes_no_forecast_of_a_past_day(forecaster, table):
    day = table["Date"].iloc[300]
    spoilt = table.copy()
    later = spoilt["Date"] > day
    assert later.any()
    for column in ("Open", "High", "Low", "Close", "Adj Close"):
        spoilt.loc[later, column] *= 7.0
    baselines = fit_baselines(forecaster)
    for found in (
        lambda t: forecaster.forecast(known_on(t, day), ["A"])["forecasts"],
        lambda t: classical_forecasts(forecaster, baselines, known_on(t, day), "A"),
    ):
        assert found(table) == found(spoilt)


def test_the_newest_known_row_changes_it(forecaster, table):
    day = table["Date"].iloc[300]
    moved = table.copy()
    moved.loc[moved["Date"] == day, ["High", "Close", "Adj Close"]] *= 1.1
    before, after = (
        forecaster.forecast(known_on(t, day), ["A"])["forecasts"] for t in (table, moved)
    )
    assert before != after


def test_classical_forecasts_are_around_the_last_close(forecaster, table):
    found = classical_forecasts(forecaster, fit_baselines(forecaster), table, "B")
    close = float(table[table["Ticker"] == "B"]["Close"].iloc[-1])
    assert set(found) >= {"random_walk", "garch", "har", "ets"}
    for items in found.values():
        assert [item["horizon"] for item in items] == [1, 5]
        for item in items:
            prices = list(item["quantiles"].values())
            assert prices == sorted(prices)
            assert prices[0] < close < prices[-1]
    assert found["random_walk"][0]["price"] == pytest.approx(close)


def test_a_run_is_judged_as_evaluate_does(forecaster, stocks):
    found = judge(forecaster)
    scores = evaluate(stocks.run)
    assert found.scores["crps"] == scores["crps"]
    assert found.scores["baselines"]["har"]["crps"] == scores["baselines"]["har"]["crps"]
    for by_name in found.below.values():
        assert set(by_name) == {"model", *scores["baselines"]}
        for shares in by_name.values():
            assert len(shares) == len(LEVELS)
            assert all(np.diff(shares) >= 0)


def test_rows_for_a_file_have_every_quantile(forecaster, table):
    rows = forecast_rows(forecaster.forecast(table, ["A"]), "A")
    assert [row["horizon"] for row in rows] == [1, 5]
    assert {f"q{level:g}" for level in LEVELS} <= rows[0].keys()


def test_what_came_is_drawn_without_a_split(forecaster, table):
    day = table["Date"].iloc[300]
    halved = table.copy()
    later = halved["Date"] > day
    halved.loc[later, "Close"] /= 2  # traded at half the price; the adjusted close knows
    result = forecaster.forecast(known_on(halved, day), ["A"])
    figure = fan_and_outcome(halved, result["forecasts"], "A", result["as_of"])
    came = figure.data[-1]
    own = halved[halved["Ticker"] == "A"]
    start = float(own[own["Date"] == day]["Close"].iloc[0])
    assert abs(came.y[0] / start - 1) < 0.2


def test_other_models_have_a_pair_of_lines_each_and_one_name(forecaster, table):
    result = forecaster.forecast(table, ["A"])
    figure = quantile_fan(table, result["forecasts"], "A")
    before = len(figure.data)
    others = classical_forecasts(forecaster, fit_baselines(forecaster), table, "A")
    dates = [item["date"] for item in result["forecasts"]]
    overlay_ranges(figure, {"HAR": others["har"], "GARCH": others["garch"]}, dates)
    added = figure.data[before:]
    assert len(added) == 4
    assert [trace.name for trace in added if trace.showlegend] == ["HAR, 80 %", "GARCH, 80 %"]


def test_a_news_text_is_shown_letter_by_letter(table):
    own = table[table["Ticker"] == "A"].tail(5)
    own = own.assign(News=[0.0, 1.0, 0.0, 0.0, 2.0], Texts=["", "<b>up</b>", "", "", "a\nb"])
    figure = mark_news(quantile_fan_of(own), own)
    marks = figure.data[-1]
    assert len(marks.x) == 2
    assert "&lt;b&gt;up&lt;/b&gt;" in marks.text[0]


def quantile_fan_of(own):
    last = own["Date"].iloc[-1] + pd.Timedelta(days=1)
    quantiles = {f"{level:g}": 50.0 + level for level in LEVELS}
    item = {"ticker": "A", "horizon": 1, "date": str(last.date()), "price": 50.0}
    return quantile_fan(own, [{**item, "quantiles": quantiles}], "A")
