import json

import numpy as np
import pandas as pd
import pytest
import torch
from arch import arch_model
from scipy.stats import norm

from apps.stock_forecast.baselines import Baselines, fit_garch
from apps.stock_forecast.evaluate import score
from core.nn.forecaster import LEVELS
from data.prices import load_prices
from data.windows import build_history
from tests.conftest import write_prices

METRICS = {"crps", "mae", "mase", "coverage_80", "coverage_90", "directional_accuracy"}


def evaluated(command, *words):
    result = command("stock-forecast", "evaluate", *words, "--json")
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_evaluate_prints_every_key_for_model_and_baselines(stocks, command):
    result = evaluated(command, "--run", stocks.run)
    assert result["horizons"] == [1, 5]
    assert result["baselines"].keys() == {"random_walk", "ewma", "garch", "historical"}
    for row in (result, *result["baselines"].values()):
        assert row.keys() >= METRICS
        assert all(row[metric].keys() == {"1", "5"} for metric in METRICS)


def test_other_tickers_are_scored_after_the_training_and_validation_end(stocks, tmp_path, command):
    data = write_prices(tmp_path / "other.csv", "XYZ", seed=5)
    result = evaluated(command, "--run", stocks.run, "--data", data)
    assert 0 < result["crps"]["1"] < 0.05
    early = pd.read_csv(data).query("Date < '2016-01-01'")
    early.to_csv(tmp_path / "early.csv", index=False)
    words = ["--run", stocks.run, "--data", tmp_path / "early.csv"]
    refused = command("stock-forecast", "evaluate", *words)
    assert refused.code == 2
    assert "no date after" in refused.err


def test_the_people_table_names_the_best_baseline(stocks, command):
    assert "the best baseline" in command("stock-forecast", "evaluate", "--run", stocks.run).out


def test_scores_equal_a_plain_loop():
    generator = torch.Generator().manual_seed(0)
    quantiles = torch.randn(50, 1, len(LEVELS), generator=generator).double().sort(-1)[0]
    target = torch.randn(50, 1, generator=generator).double()
    found = score(quantiles, target, (7,), (0.5,))
    crps = []
    for forecast, outcome in zip(quantiles[:, 0].numpy(), target[:, 0].numpy(), strict=True):
        errors = outcome - forecast
        crps.append(
            2 * np.mean(np.maximum(np.array(LEVELS) * errors, (np.array(LEVELS) - 1) * errors))
        )
    assert found["crps"]["7"] == pytest.approx(np.mean(crps))
    middle = quantiles[:, 0, LEVELS.index(0.5)]
    mae = float((target[:, 0] - middle).abs().mean())
    assert found["mae"]["7"] == pytest.approx(mae)
    assert found["mase"]["7"] == pytest.approx(mae / 0.5)
    low, high = quantiles[:, 0, LEVELS.index(0.1)], quantiles[:, 0, LEVELS.index(0.9)]
    inside = (target[:, 0] >= low) & (target[:, 0] <= high)
    assert found["coverage_80"]["7"] == pytest.approx(float(inside.double().mean()))


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    path = write_prices(tmp_path_factory.mktemp("p") / "p.csv", "AB", days=700)
    return build_history(load_prices(str(path)))


def test_baselines_use_no_later_row(history, tmp_path):
    stop = np.datetime64("2016-12-01")
    rows = np.array([600, 650])
    before = Baselines(history, stop, (1, 5)).forecast(history, rows)
    table = load_prices(str(write_prices(tmp_path / "p.csv", "AB", days=700)))
    later = table["Date"] > pd.Timestamp(history.dates[650])
    table.loc[later, ["Open", "High", "Low", "Close", "Adj Close"]] *= 2
    after = Baselines(build_history(table), stop, (1, 5)).forecast(build_history(table), rows)
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


def test_random_walk_is_the_normal_of_the_training_volatility(history):
    stop = np.datetime64("2016-12-01")
    row = np.array([650])
    found = Baselines(history, stop, (1, 4)).forecast(history, row)["random_walk"][0]
    log_price = history.log_price[:700][history.dates[:700] < stop]
    deviation = np.sqrt(np.mean(np.diff(log_price) ** 2))
    np.testing.assert_allclose(found[0], deviation * norm.ppf(LEVELS))
    np.testing.assert_allclose(found[1], 2 * found[0])


def test_garch_tomorrow_equals_arch(history):
    stop = np.datetime64("2016-12-01")
    log_price = history.log_price[:700][history.dates[:700] < stop]
    returns = np.diff(log_price)
    parameters = fit_garch(returns)
    model = arch_model(100 * returns, mean="Zero", vol="GARCH", p=1, q=1, dist="t", rescale=False)
    values = [parameters.omega, parameters.alpha, parameters.beta, parameters.degrees]
    theirs = model.fix(values).forecast(horizon=5).variance.to_numpy()[0]
    row = np.array([int((history.dates[:700] < stop).sum()) - 1])
    found = Baselines(history, stop, (1, 5)).forecast(history, row)["garch"][0]
    from scipy.stats import t

    unit = t.ppf(0.9, parameters.degrees) * np.sqrt(1 - 2 / parameters.degrees)
    ours = (100 * found[0, LEVELS.index(0.9)] / unit) ** 2
    assert ours == pytest.approx(theirs[0], rel=0.02)
