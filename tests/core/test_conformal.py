import numpy as np
import pytest
from scipy.stats import norm

from core.conformal import PRIOR, SHARE, WINDOW, misses, widen, width_factors
from core.nn.forecaster import LEVELS

FAN = norm.ppf(LEVELS)


def outcomes(days: int, tickers: int, scale: float, seed: int = 0) -> tuple:
    """Standard normal forecasts of one day ahead, outcomes `scale` times as wide."""
    generator = np.random.default_rng(seed)
    made = np.repeat(np.arange(days), tickers)
    target = scale * generator.standard_normal((len(made), 1))
    quantiles = np.broadcast_to(FAN, (len(made), 1, len(LEVELS)))
    return made, quantiles, target


def test_a_miss_is_one_at_the_ends_of_the_interval_and_zero_at_the_median():
    quantiles = np.broadcast_to(3 + 2 * FAN, (4, 1, len(LEVELS)))
    target = np.array([[3 + 2 * FAN[1]], [3.0], [3 + 2 * FAN[17]], [np.nan]])
    assert misses(quantiles, target, LEVELS)[:, 0] == pytest.approx([1, 0, 1, np.nan], nan_ok=True)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_the_factor_approaches_the_width_that_was_missing(scale):
    made, quantiles, target = outcomes(400, 20, scale)
    missed = misses(quantiles, target, LEVELS)
    (factor,) = width_factors(missed, made, made[:, None] + 1, np.array([400]), (1,))[0]
    shrunk = scale ** (WINDOW / (WINDOW + PRIOR))
    assert factor == pytest.approx(shrunk, rel=0.03)
    assert abs(factor - 1) <= abs(scale - 1) + 0.03


def test_calibrated_intervals_hold_what_they_say():
    made, quantiles, target = outcomes(900, 10, 1.6)
    missed = misses(quantiles, target, LEVELS)
    asked = np.arange(300, 900)
    factors = width_factors(missed, made, made[:, None] + 1, asked, (1,))
    rows = made >= 300
    wide = widen(quantiles[rows], factors[made[rows] - 300], LEVELS)
    for low, high, share in ((1, 17, 0.8), (0, 18, 0.9)):
        held = (target[rows, 0] >= wide[:, 0, low]) & (target[rows, 0] <= wide[:, 0, high])
        assert held.mean() == pytest.approx(share, abs=0.02)  # 0.70 and 0.81 before


def test_what_is_not_known_on_the_day_does_not_speak():
    made, quantiles, target = outcomes(400, 5, 1.0)
    changed = np.where(made[:, None] >= 300, 50.0, target)
    results = [
        width_factors(
            misses(quantiles, one, LEVELS), made, made[:, None] + 10, np.arange(250, 320), (10,)
        )
        for one in (target, changed)
    ]
    same = (results[0] == results[1])[:, 0]
    assert same[: 310 - 250].all()  # outcomes of day 300 are known at the close of day 310
    assert not same[310 - 250 :].any()


def test_without_a_known_outcome_the_width_stays():
    missed = np.full((10, 2), np.nan)
    made = np.arange(10)
    known = np.full((10, 2), 99)
    factors = width_factors(missed, made, known, np.array([0, 9]), (1, 60))
    assert (factors == 1).all()


def test_overlapping_outcomes_speak_less():
    made, quantiles, target = outcomes(400, 20, 2.0)
    missed = misses(quantiles, target, LEVELS)
    both = np.repeat(missed, 2, axis=1)
    known = made[:, None] + np.array([1, 60])
    factors = width_factors(both, made, known, np.array([400]), (1, 60))[0]
    for factor, days, horizon in zip(factors, (WINDOW, WINDOW - 59), (1, 60), strict=True):
        independent = days / horizon
        seen = missed[(made >= 400 - WINDOW) & (made < 400 - WINDOW + days), 0]
        wanted = np.quantile(seen, SHARE) ** (independent / (independent + PRIOR))
        assert factor == pytest.approx(wanted)
    assert 1 < factors[1] < factors[0]


def test_widening_keeps_the_median_and_the_order():
    quantiles = np.sort(np.random.default_rng(0).standard_normal((6, 2, len(LEVELS))), axis=-1)
    wide = widen(quantiles, np.full((6, 2), 1.7), LEVELS)
    middle = LEVELS.index(0.5)
    np.testing.assert_array_equal(wide[..., middle], quantiles[..., middle])
    assert (np.diff(wide, axis=-1) > 0).all()
    spans = [one[..., -1] - one[..., 0] for one in (wide, quantiles)]
    np.testing.assert_allclose(spans[0], 1.7 * spans[1])
    assert pytest.approx(0.8) == SHARE


def test_forecasts_older_than_the_window_do_not_speak():
    made, quantiles, target = outcomes(400, 5, 1.0)
    missed = misses(quantiles, target, LEVELS)
    known, asked = made[:, None] + 1, np.array([400])
    factor = width_factors(missed, made, known, asked, (1,))
    for first, is_same in ((400 - WINDOW, True), (400 - WINDOW + 1, False)):
        changed = np.where(made[:, None] < first, 50.0, missed)
        assert (width_factors(changed, made, known, asked, (1,)) == factor).all() == is_same


def test_the_order_of_earlier_forecasts_is_no_matter():
    made, quantiles, target = outcomes(400, 5, 1.0)
    missed = misses(quantiles, target * (1 + made[:, None] / 100), LEVELS)
    known, asked = made[:, None] + 1, np.arange(0, 400, 50)
    mixed = np.random.default_rng(0).permutation(len(made))
    found = width_factors(missed[mixed], made[mixed], known[mixed], asked, (1,))
    np.testing.assert_allclose(found, width_factors(missed, made, known, asked, (1,)))


def test_outcomes_on_the_median_leave_a_width():
    made, quantiles, _ = outcomes(400, 5, 1.0)
    missed = misses(quantiles, np.zeros((len(made), 1)), LEVELS)
    assert (width_factors(missed, made, made[:, None] + 1, np.array([400]), (1,)) > 0).all()
