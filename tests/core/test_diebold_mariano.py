import numpy as np
import pytest
from scipy.stats import t as student_t
from statsmodels.stats.sandwich_covariance import S_hac_simple

from core.diebold_mariano import (
    NUM_DRAWS,
    NUM_STEPS,
    critical_value,
    diebold_mariano,
    null_statistics,
)

SERIES = 600
ERROR = np.sqrt(0.05 * 0.95 / SERIES)  # one standard error of a rate of 5 %


def overlapping(horizon: int, days: int, seed: int) -> np.ndarray:
    """Sums of `horizon` neighbouring shocks without a mean: MA(horizon - 1), (SERIES, days)."""
    shocks = np.random.default_rng(seed).standard_normal((SERIES, days + horizon - 1))
    return np.lib.stride_tricks.sliding_window_view(shocks, horizon, axis=1).sum(-1)


def rejected(series: np.ndarray, horizon: int) -> float:
    return float(np.mean([diebold_mariano(one, horizon).p_value <= 0.05 for one in series]))


# Rates measured on 4,000 series at a nominal 5 %: white and overlapping differences.
@pytest.mark.parametrize(
    ("days", "horizon", "white", "moving"),
    [
        (650, 1, 0.050, 0.050),
        (650, 5, 0.049, 0.059),
        (650, 20, 0.041, 0.061),
        (650, 60, 0.038, 0.061),
        (250, 20, 0.037, 0.059),
        (250, 60, 0.019, 0.070),
    ],
)
def test_rejections_are_about_as_frequent_as_promised(days, horizon, white, moving):
    for shape, measured in ((1, white), (horizon, moving)):
        rate = rejected(overlapping(shape, days, seed=days + horizon), horizon)
        assert rate == pytest.approx(measured, abs=4 * ERROR)


def test_a_lag_of_one_horizon_with_t_values_rejects_far_more():
    days, horizon = 250, 20
    series = overlapping(horizon, days, seed=270)
    deviations = [
        np.sqrt(S_hac_simple(one - one.mean(), horizon).item() / days**2) for one in series
    ]
    statistics = series.mean(1) / np.array(deviations)
    plain = np.mean(np.abs(statistics) > student_t.ppf(0.975, days - 1))
    assert plain > rejected(series, horizon) + 4 * ERROR


def test_critical_values_are_those_of_kiefer_and_vogelsang():
    # Econometric Theory 21 (2005), Table 1, Bartlett, 97.5 %.
    for share in (0.02, 0.1, 0.3, 0.5, 0.8, 1.0):
        published = 1.9600 + 2.9694 * share + 0.4160 * share**2 - 0.5324 * share**3
        assert critical_value(share) == pytest.approx(published, rel=0.04)
    assert len(null_statistics(NUM_STEPS)) == NUM_DRAWS


def test_the_statistic_is_the_mean_over_statsmodels_newey_west_error():
    series, horizon = np.random.default_rng(0).standard_normal(300) + 0.1, 5
    found = diebold_mariano(series, horizon)
    variance = S_hac_simple(series - series.mean(), found.lag).item() / 300**2
    corrected = (300 + 1 - 2 * horizon + horizon * (horizon - 1) / 300) / 300
    assert found.statistic == pytest.approx(series.mean() / np.sqrt(variance) * np.sqrt(corrected))
    assert found.lag >= horizon
    assert found.mean_difference == pytest.approx(series.mean())


def test_a_clear_difference_is_found_and_swapping_the_forecasts_changes_its_sign_alone():
    series = np.random.default_rng(0).standard_normal(400) - 0.5
    found, swapped = diebold_mariano(series, 5), diebold_mariano(-series, 5)
    assert 0 < found.p_value < 0.001
    assert found.statistic < 0
    assert (swapped.statistic, swapped.p_value) == (-found.statistic, found.p_value)


def test_equal_forecasts_have_p_one_and_what_cannot_be_tested_says_why():
    assert diebold_mariano(np.zeros(100), 5).p_value == 1
    constant = diebold_mariano(np.full(100, 0.1), 5)
    assert np.isnan(constant.p_value)
    assert constant.reason == "the same difference on every day"
    for days in (0, 1, 119):
        short = diebold_mariano(np.arange(float(days)), 60)
        assert np.isnan(short.p_value)
        assert short.reason == f"{days} days, needs at least 120"


@pytest.mark.parametrize("days", [20, 21, 121])
def test_p_is_a_probability_however_short_the_series(days):
    for horizon in (1, days // 2):
        for seed in range(20):
            found = diebold_mariano(np.random.default_rng(seed).standard_normal(days), horizon)
            assert 0 < found.p_value <= 1
            assert horizon <= found.lag < days


def test_wrong_input_is_refused_in_one_line():
    with pytest.raises(ValueError, match="horizon=0 must be at least 1"):
        diebold_mariano(np.ones(50), 0)
    with pytest.raises(ValueError, match="not finite"):
        diebold_mariano([0.0, np.nan], 1)
