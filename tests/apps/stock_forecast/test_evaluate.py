import json

import pandas as pd

from apps.stock_forecast.baselines import BASELINES
from apps.stock_forecast.row_scores import METRICS
from tests.conftest import write_prices

FIXED = {"crps", "mae", "mase", "coverage_80", "coverage_90", "directional_accuracy"}


def evaluated(command, *words):
    result = command("stock-forecast", "evaluate", *words, "--json")
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_evaluate_prints_every_key_for_model_and_baselines(stocks, command):
    result = evaluated(command, "--run", stocks.run)
    assert result["horizons"] == [1, 5]
    assert result["baselines"].keys() == set(BASELINES)
    assert set(METRICS) >= FIXED
    for row in (result, *result["baselines"].values()):
        assert row.keys() >= set(METRICS)
        assert all(row[metric].keys() == {"1", "5"} for metric in METRICS)
    for key in ("dm", "crps_ratio"):
        assert result[key].keys() == set(BASELINES)
        assert all(found.keys() == {"1", "5"} for found in result[key].values())
    tests = [test for found in result["dm"].values() for test in found.values()]
    assert all(0 < test["p_value"] <= 1 for test in tests)
    assert result["by_ticker"].keys() == {"A", "B"}
    assert result["rank_ic"] == {"1": None, "5": None}  # two tickers have no ranks


def test_other_tickers_are_scored_after_the_training_and_validation_end(stocks, tmp_path, command):
    data = write_prices(tmp_path / "other.csv", "XYZ", seed=5)
    result = evaluated(command, "--run", stocks.run, "--data", data)
    assert 0 < result["crps"]["1"] < 0.05
    assert result["by_ticker"].keys() == {"X", "Y", "Z"}
    early = pd.read_csv(data).query("Date < '2016-01-01'")
    early.to_csv(tmp_path / "early.csv", index=False)
    words = ["--run", stocks.run, "--data", tmp_path / "early.csv"]
    refused = command("stock-forecast", "evaluate", *words)
    assert refused.code == 2
    assert "no date after" in refused.err


def test_the_people_table_names_the_best_baseline(stocks, command):
    told = command("stock-forecast", "evaluate", "--run", stocks.run)
    assert told.code == 0, told.err
    assert "the best baseline" in told.out


def test_a_single_day_of_new_prices_is_scored_without_a_test(stocks, tmp_path, command):
    prices = pd.read_csv(write_prices(tmp_path / "p.csv", "X"))
    known = evaluated(command, "--run", stocks.run)["num_days"]
    prices.iloc[: 400 - known + 1].to_csv(tmp_path / "few.csv", index=False)
    result = evaluated(command, "--run", stocks.run, "--data", tmp_path / "few.csv")
    assert result["num_days"] < 5
    assert result["dm"]["garch"]["1"]["p_value"] is None
    assert "needs at least 20" in result["dm"]["garch"]["1"]["reason"]
