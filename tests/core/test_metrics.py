import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.metrics import mean_absolute_error, mean_pinball_loss

from core.metrics import (
    crps_from_quantiles,
    interval_width,
    is_covered,
    mase,
    pinball,
    pinball_loss,
    quantile_at,
)

LEVELS = torch.tensor([0.05, 0.1, 0.5, 0.9, 0.95])


def test_pinball_equals_sklearn_at_every_level() -> None:
    torch.manual_seed(0)
    target = torch.randn(50)
    quantiles = torch.randn(50, len(LEVELS))
    found = pinball(quantiles, target, LEVELS).mean(0)
    for column, level in enumerate(LEVELS.tolist()):
        expected = mean_pinball_loss(target, quantiles[:, column], alpha=level)
        assert float(found[column]) == pytest.approx(expected, rel=1e-5)
    assert float(pinball_loss(quantiles, target, LEVELS)) == pytest.approx(float(found.mean()))


def test_pinball_is_least_at_the_true_quantile() -> None:
    draws = torch.tensor(norm.ppf(np.linspace(0.0005, 0.9995, 1000)))
    level = torch.tensor([0.8], dtype=torch.double)
    guesses = torch.linspace(-2, 2, 401, dtype=torch.double)
    losses = [pinball_loss(guess.expand(1000, 1), draws, level) for guess in guesses]
    best = guesses[int(torch.stack(losses).argmin())]
    assert float(best) == pytest.approx(norm.ppf(0.8), abs=0.02)


@pytest.mark.parametrize("outcome", [-2.0, 0.0, 0.7, 3.0])
def test_crps_approaches_the_closed_form_of_a_normal(outcome: float) -> None:
    # Gneiting & Raftery 2007, eq. 21.
    exact = outcome * (2 * norm.cdf(outcome) - 1) + 2 * norm.pdf(outcome) - 1 / math.sqrt(math.pi)
    errors = []
    for count in (10, 100, 10_000):
        levels = torch.tensor((np.arange(count) + 0.5) / count)
        quantiles = torch.tensor(norm.ppf(levels.numpy()))
        found = crps_from_quantiles(quantiles, torch.tensor(outcome).double(), levels)
        errors.append(abs(float(found) - exact))
    assert errors[2] < 1e-3
    assert errors[2] < errors[1] < errors[0]


def test_crps_keeps_one_score_a_forecast_and_nan_where_the_outcome_is_unknown() -> None:
    quantiles = torch.arange(5.0).expand(2, 3, 5)
    target = torch.tensor([[0.0, 1.0, torch.nan], [4.0, 9.0, -9.0]])
    found = crps_from_quantiles(quantiles, target, LEVELS)
    assert found.shape == (2, 3)
    assert torch.equal(found.isnan(), target.isnan())


def test_a_given_level_is_read_and_others_lie_on_the_line_between() -> None:
    quantiles = torch.tensor([[1.0, 2.0, 4.0, 8.0, 16.0], [-5.0, -4.0, 0.0, 1.0, 2.0]])
    for column, level in enumerate((0.05, 0.1, 0.5, 0.9, 0.95)):
        torch.testing.assert_close(quantile_at(quantiles, LEVELS, level), quantiles[:, column])
    for level in np.linspace(0.05, 0.95, 37):
        expected = [np.interp(level, LEVELS, row) for row in quantiles]
        found = quantile_at(quantiles, LEVELS, float(level))
        torch.testing.assert_close(found, torch.tensor(expected).float(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("level", [0.04, 0.96, 0.0, 1.0])
def test_a_level_outside_the_given_ones_is_named(level: float) -> None:
    with pytest.raises(ValueError, match=f"level {level:g} lies outside 0.05 to 0.95"):
        quantile_at(torch.arange(5.0), LEVELS, level)


def test_an_interval_wider_than_the_levels_is_an_error() -> None:
    with pytest.raises(ValueError, match="lies outside"):
        is_covered(torch.arange(5.0), torch.tensor(2.0), LEVELS, 0.95)


def test_the_interval_holds_its_ends_and_what_lies_between() -> None:
    quantiles = torch.tensor([-3.0, -2.0, 0.0, 2.0, 3.0]).expand(6, 5)
    target = torch.tensor([-2.0, 2.0, 0.5, -2.01, 2.5, torch.nan])
    found = is_covered(quantiles, target, LEVELS, 0.8)
    assert found[:5].tolist() == [1, 1, 1, 0, 0]
    assert found[5].isnan()
    assert is_covered(quantiles, target, LEVELS, 0.9)[4] == 1


def test_the_width_is_the_distance_of_the_interval_ends() -> None:
    quantiles = torch.tensor([[-3.0, -2.0, 0.0, 2.0, 4.0], [0.0, 1.0, 1.0, 1.0, 5.0]])
    assert interval_width(quantiles, LEVELS, 0.8).tolist() == [4, 0]
    assert interval_width(quantiles, LEVELS, 0.9).tolist() == [7, 5]


def test_coverage_of_a_true_distribution_is_its_probability() -> None:
    torch.manual_seed(0)
    quantiles = torch.tensor(norm.ppf(LEVELS.double().numpy())).float().expand(20_000, 5)
    target = torch.randn(20_000)
    for share in (0.8, 0.9):
        found = float(is_covered(quantiles, target, LEVELS, share).mean())
        assert found == pytest.approx(share, abs=0.01)


def test_mase_is_the_ratio_of_mean_absolute_errors_without_the_unknown() -> None:
    outcome, forecast = np.array([1.0, 2.0, 4.0]), np.array([1.5, 1.0, 4.0])
    error = torch.tensor([*(outcome - forecast), math.nan])
    expected = mean_absolute_error(outcome, forecast) / 0.25
    assert float(mase(error, 0.25)) == pytest.approx(expected)
    assert float(mase(error, torch.tensor(0.25))) == pytest.approx(expected)
