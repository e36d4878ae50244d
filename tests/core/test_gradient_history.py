"""The bounded sample of gradient norms."""

import numpy as np
import pytest

from core.clipping import Clipping
from core.gradient_history import FIRST_NORMS, MOST_NORMS, GradientHistory, options


def history(norms: list[float], limit: float = 0.0) -> GradientHistory:
    made = GradientHistory()
    for norm in norms:
        made.add(norm, 0 < limit < norm)
    return made


def test_a_long_training_keeps_evenly_spaced_norms() -> None:
    count = 5 * MOST_NORMS + 17
    made = history([float(number) for number in range(count)])
    assert MOST_NORMS // 2 <= len(made.norms) <= MOST_NORMS
    assert set(np.diff(made.norms)) == {float(made.stride)}
    assert made.norms[0] == 0
    assert made.norms[-1] > count - 1 - made.stride
    assert made.first == [float(number) for number in range(FIRST_NORMS)]
    assert made.summary()["norm_median"] == pytest.approx(count / 2, rel=0.01)


def test_what_is_not_finite_leaves_the_others_evenly_spaced() -> None:
    made = GradientHistory()
    for number in range(3 * MOST_NORMS):
        made.add(float(number), is_clipped=False)
        made.add(float("nan"), is_clipped=False)
    assert set(np.diff(made.norms)) == {float(made.stride)} == {4.0}
    assert len(made.first) == FIRST_NORMS


def test_a_norm_that_is_not_finite_is_counted_but_not_kept() -> None:
    made = history([1.0, float("nan"), 3.0, float("inf")], limit=2.0)
    assert (made.steps, made.nonfinite, made.clipped) == (4, 2, 1)
    assert made.norms == made.first == [1.0, 3.0]
    assert made.clipped_share == 0.25
    assert made.words(Clipping(norm=2.0)) == [
        "gradient norm: median 2, 90 % quantile 2.8; 25 % of 4 steps clipped by "
        "--trainer.clip_norm 2",
        "2 of 4 steps had a gradient that is not finite and were left out; lower "
        "--optim.learning_rate",
    ]


def test_ten_steps_suggest_a_threshold_and_nine_do_not() -> None:
    assert history([2.0] * 9).suggested_clip_norm() is None
    assert history([2.0] * 10).suggested_clip_norm() == 2.0
    (line,) = history([2.0] * 10).words(Clipping())
    assert line.endswith("clipping was off; the first 10 steps suggest --trainer.clip_norm 2")


def test_no_step_says_nothing() -> None:
    assert GradientHistory().words(Clipping(norm=1.0)) == []
    assert GradientHistory().summary()["norm_median"] is None
    assert GradientHistory().clipped_share == 0.0


def test_the_thresholds_that_are_on_are_named_as_on_the_command_line() -> None:
    assert options(Clipping()) == ""
    assert options(Clipping(norm=1.0, adaptive=0.01)) == (
        "--trainer.clip_norm 1, --trainer.clip_adaptive 0.01"
    )
