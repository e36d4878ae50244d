"""Every score against a plain loop, and groups against the rows that they are made of."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from apps.stock_forecast.datamodule import PriceDataModule
from apps.stock_forecast.row_scores import (
    METRICS,
    REGIMES,
    ROW_METRICS,
    Outcomes,
    mean_scores,
    rank_correlations,
    row_scores,
    score,
)
from apps.stock_forecast.score_report import report
from apps.stock_forecast.score_table import table
from core.diebold_mariano import diebold_mariano
from core.nn.forecaster import LEVELS
from data.prices import load_prices
from data.windows import WindowConfig
from tests.conftest import write_prices

HORIZONS = (1, 7)
NUM_DAYS, TICKERS = 80, ["A", "B", "C", "D"]


def made_up(num_days: int = NUM_DAYS, seed: int = 0) -> tuple[torch.Tensor, Outcomes]:
    """Forecasts and outcomes of four tickers; the last days' outcome 7 days ahead is unknown."""
    generator = np.random.default_rng(seed)
    shape = (num_days * len(TICKERS), len(HORIZONS))
    target = generator.standard_normal(shape)
    day = np.tile(np.arange(num_days), len(TICKERS))
    target[day >= num_days - 7, 1] = np.nan
    outcomes = Outcomes(
        target=target,
        naive_mae=np.broadcast_to([0.5, 2.0], shape),
        day=np.datetime64("2020-01-01") + day,
        ticker=np.repeat(TICKERS, num_days),
        regime=generator.integers(0, 3, len(day)),
    )
    quantiles = np.sort(generator.standard_normal((*shape, len(LEVELS))), axis=-1)
    return torch.from_numpy(quantiles), outcomes


def test_scores_equal_a_plain_loop():
    quantiles, outcomes = made_up()
    found = score(quantiles, outcomes, HORIZONS)
    assert tuple(found) == ROW_METRICS
    levels = np.array(LEVELS)
    for p, horizon in enumerate(HORIZONS):
        expected = {metric: [] for metric in ROW_METRICS}
        for forecast, outcome in zip(quantiles[:, p].numpy(), outcomes.target[:, p], strict=True):
            if np.isnan(outcome):
                continue
            error = outcome - forecast
            pinball = np.mean(np.maximum(levels * error, (levels - 1) * error))
            middle = forecast[LEVELS.index(0.5)]
            expected["crps"].append(2 * pinball)
            expected["pinball"].append(pinball)
            expected["mae"].append(abs(outcome - middle))
            expected["mase"].append(abs(outcome - middle) / outcomes.naive_mae[0, p])
            expected["directional_accuracy"].append((outcome > 0) == (middle > 0))
            for share in (50, 80, 90):
                ends = [0.5 - share / 200, 0.5 + share / 200]
                low, high = (forecast[LEVELS.index(round(end, 2))] for end in ends)
                expected[f"coverage_{share}"].append(low <= outcome <= high)
                expected[f"width_{share}"].append(high - low)
        for metric, values in expected.items():
            assert found[metric][str(horizon)] == pytest.approx(np.mean(values)), metric


def test_a_median_of_zero_has_no_direction():
    quantiles, outcomes = made_up()
    found = score(torch.zeros_like(quantiles), outcomes, HORIZONS)
    assert found["directional_accuracy"] == {"1": 0.5, "7": 0.5}


def test_the_rank_ic_of_a_day_is_scipys_over_its_tickers():
    quantiles, outcomes = made_up()
    found = rank_correlations(quantiles, outcomes)
    assert found.shape == (NUM_DAYS, 2)
    for number, day in enumerate(np.unique(outcomes.day)):
        rows = outcomes.day == day
        middle = quantiles[rows, :, LEVELS.index(0.5)].numpy()
        for p in range(2):
            outcome = outcomes.target[rows, p]
            expected = np.nan if np.isnan(outcome).any() else spearmanr(middle[:, p], outcome)[0]
            np.testing.assert_allclose(found[number, p], expected)


def test_ranks_of_two_tickers_or_of_equal_medians_say_nothing():
    quantiles, outcomes = made_up()
    assert np.isnan(rank_correlations(torch.zeros_like(quantiles), outcomes)).all()
    few = outcomes.ticker < "C"
    names = ("target", "naive_mae", "day", "ticker", "regime")
    pair = Outcomes(**{name: getattr(outcomes, name)[few] for name in names})
    assert np.isnan(rank_correlations(quantiles[few], pair)).all()


def test_joined_parts_score_as_their_rows_together():
    parts = [made_up(seed=seed) for seed in (0, 1)]
    joined = Outcomes.join([outcomes for _, outcomes in parts])
    together = row_scores(torch.cat([quantiles for quantiles, _ in parts]), joined)
    apart = [row_scores(*part) for part in parts]
    for metric in ROW_METRICS:
        expected = np.concatenate([scores[metric] for scores in apart])
        np.testing.assert_array_equal(together[metric], expected)


@pytest.fixture(scope="module")
def reported():
    """A report on made-up forecasts of which the model is the best: result, forecasts, outcomes."""
    quantiles, outcomes = made_up(num_days=150)
    truth = np.broadcast_to(
        np.sqrt(2) * torch.erfinv(2 * torch.tensor(LEVELS, dtype=torch.double) - 1).numpy(),
        quantiles.shape,
    )
    model = torch.from_numpy(truth.copy())
    forecasts = {"model": model, "random_walk": 3 * model, "garch": 2 * model, "same": model}
    return report(forecasts, outcomes, HORIZONS), forecasts, outcomes


def test_the_report_tests_daily_means_of_the_difference(reported):
    result, forecasts, outcomes = reported
    losses = {name: row_scores(found, outcomes)["crps"] for name, found in forecasts.items()}
    for name in ("random_walk", "garch"):
        for p, horizon in enumerate(HORIZONS):
            daily = [
                np.mean((losses["model"] - losses[name])[outcomes.day == day, p])
                for day in np.unique(outcomes.day)
            ]
            known = [value for value in daily if np.isfinite(value)]
            expected = diebold_mariano(known, horizon)
            found = result["dm"][name][str(horizon)]
            assert found["days"] == len(known)
            assert found["statistic"] == pytest.approx(expected.statistic)
            assert found["p_value"] == expected.p_value < 0.001
            assert found["lag"] >= horizon
    assert result["dm"]["same"]["1"]["p_value"] == 1


def test_the_report_divides_and_gives_intervals_around_what_it_reports(reported):
    result, _, _ = reported
    assert result["best_baseline"] == "same"
    for name, ratios in result["crps_ratio"].items():
        for horizon, found in ratios.items():
            low, high = found["interval"]
            crps = result["baselines"][name]["crps"][horizon]
            assert found["ratio"] == pytest.approx(result["crps"][horizon] / crps)
            assert low <= found["ratio"] <= high
        mean = result["crps_ratio_mean"][name]
        assert mean["ratio"] == pytest.approx(np.mean([r["ratio"] for r in ratios.values()]))
        assert mean["interval"][0] <= mean["ratio"] <= mean["interval"][1]
    assert result["crps_ratio"]["random_walk"]["1"]["interval"][1] < 1
    for metric in set(METRICS) - {"rank_ic"}:
        for horizon, value in result[metric].items():
            low, high = result["intervals"][metric][horizon]
            assert low <= value + 1e-9
            assert value <= high + 1e-9
    assert result["intervals"]["rank_ic"]["1"] is None  # all medians are equal


def test_groups_add_up_to_the_whole(reported):
    result, _, outcomes = reported
    assert result["by_ticker"].keys() == set(TICKERS)
    assert result["by_regime"].keys() == set(REGIMES)
    for groups in (result["by_ticker"], result["by_regime"]):
        counts = [group["num_rows"] for group in groups.values()]
        assert sum(counts) == result["num_rows"] == len(outcomes.day)
        values = [group["crps"]["1"] for group in groups.values()]
        assert np.average(values, weights=counts) == pytest.approx(result["crps"]["1"])


def test_the_table_shows_every_forecaster_horizon_and_regime(reported):
    text = table(reported[0])
    for words in ("model", "random_walk", "h=1", "h=7", "always up", "rank IC", *REGIMES):
        assert words in text
    assert "<.001*" in text
    assert "the best baseline, on the mean of the horizons: 1.0000 [1.0000, 1.0000]" in text
    assert max(map(len, text.splitlines())) < 150


def test_what_is_unknown_is_left_open():
    quantiles, outcomes = made_up(num_days=5)
    forecasts = {"model": quantiles, "random_walk": quantiles * 2}
    found = report(forecasts, outcomes, HORIZONS)
    assert np.isnan(found["crps"]["7"])
    assert found["intervals"]["crps"]["7"] is None
    assert found["crps_ratio_mean"]["random_walk"]["interval"] is None
    assert found["dm"]["random_walk"]["1"]["reason"] == "5 days, needs at least 20"
    assert " - " in table(found)


def test_regimes_are_thirds_of_the_training_volatility_whatever_comes_later(tmp_path):
    table_ = load_prices(str(write_prices(tmp_path / "p.csv", "AB")))
    windows = WindowConfig(context_length=20, horizons=(1, 5))
    whole = PriceDataModule(table_, windows)
    rows = whole.rows("train")
    found = np.bincount(Outcomes.of(whole, whole, rows).regime, minlength=3) / len(rows)
    assert found == pytest.approx([1 / 3] * 3, abs=0.05)
    later = table_["Date"].to_numpy() >= whole.fitted.validation_start
    changed = table_.copy()
    noise = np.exp(0.1 * np.random.default_rng(0).standard_normal((int(later.sum()), 1)))
    changed.loc[later, ["Open", "High", "Low", "Close", "Adj Close"]] *= noise
    rough = PriceDataModule(changed, windows)
    after = Outcomes.of(rough, whole, rows)
    np.testing.assert_array_equal(after.regime, Outcomes.of(whole, whole, rows).regime)
    assert Outcomes.of(rough, rough, rough.rows("test")).regime.mean() > 1.9


def test_a_mean_of_nothing_is_unknown():
    assert np.isnan(mean_scores({"crps": np.full((3, 1), np.nan)}, (1,))["crps"]["1"])
