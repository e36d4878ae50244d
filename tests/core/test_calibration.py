import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from core.calibration import Calibrator, calibration_error
from core.stored import conformed


def drawn(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signals, outcomes, and the probabilities from which those were drawn."""
    generator = np.random.default_rng(seed)
    signals = generator.normal(size=(count, 2)) * [3.0, 0.1] + [5.0, -1.0]
    odds = (signals[:, 0] - 5) - 20 * (signals[:, 1] + 1)
    chance = 1 / (1 + np.exp(-odds))
    return signals, generator.random(count) < chance, chance


def test_the_true_probabilities_are_found_whatever_the_units():
    signals, is_right, _ = drawn(20_000)
    fresh, _, chance = drawn(500, seed=1)
    found = Calibrator.fit(("a", "b"), signals, is_right).probability(fresh)
    np.testing.assert_allclose(found, chance, atol=0.04)


def test_what_is_said_comes_true():
    signals, is_right, _ = drawn(4_000)
    fresh, came, _ = drawn(4_000, seed=1)
    said = Calibrator.fit(("a", "b"), signals, is_right).probability(fresh)
    assert calibration_error(said, came) < 0.03
    assert calibration_error(said**4, came) > 0.08


@pytest.mark.parametrize(("is_right", "low", "high"), [(True, 0.95, 1), (False, 0, 0.05)])
def test_where_all_is_right_or_nothing_one_share_is_said(is_right, low, high):
    signals = drawn(50)[0]
    found = Calibrator.fit(("a", "b"), signals, np.full(50, is_right)).probability(signals)
    assert len(set(found.tolist())) == 1
    assert low < found[0] < high


def test_a_signal_that_never_changes_does_no_harm():
    signals, is_right, _ = drawn(500)
    signals[:, 1] = 7
    found = Calibrator.fit(("a", "b"), signals, is_right).probability(signals)
    assert np.isfinite(found).all()
    assert found.std() > 0.1


def test_weights_count_examples():
    signals, is_right, _ = drawn(300)
    twice = Calibrator.fit(("a", "b"), signals, is_right, np.full(300, 2.0))
    doubled = Calibrator.fit(("a", "b"), np.repeat(signals, 2, 0), np.repeat(is_right, 2))
    np.testing.assert_allclose(twice.weights, doubled.weights, rtol=1e-3)


def test_it_survives_json():
    signals, is_right, _ = drawn(100)
    fitted = Calibrator.fit(("a", "b"), signals, is_right)
    assert conformed(json.loads(json.dumps(asdict(fitted))), Calibrator) == fitted
    assert fitted.is_whole


@pytest.mark.parametrize("change", [{"mean": (1.0,)}, {"scale": (0.0, 1.0)}, {"names": ()}])
def test_signals_without_their_mean_or_scale_are_not_whole(change):
    whole = Calibrator(("a", "b"), (0.0, 0.0), (1.0, 1.0), (1.0, 1.0), 0.0)
    assert whole.is_whole
    assert not replace(whole, **change).is_whole


def test_the_calibration_error_is_the_mean_gap():
    said = np.array([0.1, 0.1, 0.9, 0.9])
    came = np.array([False, True, True, True])
    assert calibration_error(said, came) == pytest.approx((2 * 0.4 + 2 * 0.1) / 4)
    assert calibration_error(np.ones(3), np.ones(3, bool)) == 0
