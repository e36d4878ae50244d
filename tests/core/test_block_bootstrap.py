import numpy as np
import pytest

from core.block_bootstrap import block_length, day_sums, mean_interval, resample_days


def with_ones(values: np.ndarray) -> np.ndarray:
    return np.stack([values, np.ones(len(values))], axis=1)


def overlapping(horizon: int, days: int, seed: int) -> np.ndarray:
    """Sums of `horizon` neighbouring shocks without a mean, (days,)."""
    shocks = np.random.default_rng(seed).standard_normal(days + horizon - 1)
    return np.convolve(shocks, np.ones(horizon), "valid")


@pytest.mark.parametrize(("days", "length"), [(10, 3), (12, 4), (5, 5), (7, 1)])
def test_sums_are_those_of_blocks_that_are_really_drawn(days, length):
    values = np.random.default_rng(1).standard_normal(days)
    found = resample_days(with_ones(values), length, num_resamples=6, seed=3)
    starts = np.random.default_rng(3).integers(0, days, (6, -(-days // length)))
    for one, drawn in zip(found, starts, strict=True):
        chosen = [(start + step) % days for start in drawn for step in range(length)][:days]
        assert one[0] == pytest.approx(values[chosen].sum())
        assert one[1] == pytest.approx(days)


def test_the_same_seed_draws_the_same_days_whatever_the_columns():
    values = np.random.default_rng(0).standard_normal((50, 3))
    whole = resample_days(values, 7, seed=2)
    np.testing.assert_array_equal(whole[:, [1]], resample_days(values[:, [1]], 7, seed=2))
    assert (whole != resample_days(values, 7, seed=3)).any()


def test_day_sums_add_up_what_happened_on_a_day_in_the_order_of_days():
    days = np.array(["2020-01-03", "2020-01-02", "2020-01-03"], "datetime64[D]")
    found = day_sums(np.array([[1.0, 1.0], [2.0, 1.0], [4.0, 1.0]]), days)
    assert found.tolist() == [[2.0, 1.0], [5.0, 2.0]]
    assert day_sums(np.empty((0, 2)), np.empty(0)).shape == (0, 2)


# Shares measured on 400 series; one standard error is 1.1 to 1.5 points.
@pytest.mark.parametrize(
    ("days", "horizon", "share"),
    [(650, 1, 0.94), (650, 5, 0.92), (650, 20, 0.93), (650, 60, 0.94), (250, 60, 0.90)],
)
def test_the_interval_holds_the_mean_of_overlapping_outcomes(days, horizon, share):
    held = []
    for seed in range(200):
        low, high = mean_interval(with_ones(overlapping(horizon, days, seed)), horizon, 400)
        held.append(low <= 0 <= high)
    assert np.mean(held) == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 200))


def test_single_days_would_give_intervals_far_too_narrow_for_overlapping_outcomes():
    values = with_ones(overlapping(20, 600, 0))
    single = np.ptp(np.quantile(resample_days(values, 1)[:, 0] / 600, [0.025, 0.975]))
    assert np.ptp(mean_interval(values, 20)) > 2 * single


def test_the_ratio_of_paired_losses_is_much_narrower_than_of_each_alone():
    generator = np.random.default_rng(0)
    losses = generator.exponential(size=500)
    better = losses * (0.9 + 0.02 * generator.standard_normal(500))
    low, high = mean_interval(np.stack([better, losses], axis=1), 1)
    assert 0.88 < low < 0.9 < high < 0.92
    assert np.ptp(mean_interval(with_ones(losses), 1)) > 5 * (high - low)


def test_the_mean_of_two_equal_ratios_has_their_interval_and_days_without_outcome_are_no_harm():
    generator = np.random.default_rng(0)
    other = generator.exponential(size=300)
    model = other * (0.9 + 0.1 * generator.standard_normal(300))
    one = mean_interval(np.stack([model, other], axis=1), 5)
    assert mean_interval(np.stack([model, model, other, other], axis=1), 5) == pytest.approx(one)
    known = np.arange(300) < 5  # most draws of 5 blocks have none of these days
    late = [model, model * known, other, other * known]
    low, high = mean_interval(np.stack(late, axis=1), 60)
    assert low < 0.5 * (model / other)[known].mean() + 0.45 < high


def test_a_block_holds_its_horizon_where_there_are_days_enough():
    for horizon in (1, 5, 20, 60):
        assert horizon <= block_length(horizon, 650) <= 650 // 3
    assert block_length(60, 2) == 1
    assert mean_interval(np.array([[3.0, 2.0]]), 60) == [1.5, 1.5]


@pytest.mark.parametrize("length", [0, 6])
def test_a_block_that_cannot_be_drawn_is_refused(length):
    with pytest.raises(ValueError, match=f"length={length} must be from 1 to the 5 days"):
        resample_days(np.ones((5, 2)), length)


def test_draws_without_a_known_outcome_are_left_out_of_the_interval():
    losses = np.random.default_rng(0).exponential(size=300) * (np.arange(300) < 5)
    units = np.stack([0.9 * losses, losses], axis=1)
    assert mean_interval(units, 60) == pytest.approx([0.9, 0.9])
