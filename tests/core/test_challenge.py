from pathlib import Path

import pytest

from core.challenge import LEAST_UNITS, Gain, beside, check_options, decide

BETTER, WORSE = Gain(2.0, (1.0, 3.0), 40), Gain(-2.0, (-3.0, -1.0), 40)
LIKE = Gain(0.1, (-0.4, 0.6), 40)


@pytest.mark.parametrize(
    ("old", "new", "promoted", "why"),
    [
        (LIKE, BETTER, True, "better on the new"),
        (BETTER, BETTER, True, "better on the new"),
        (WORSE, BETTER, False, "the old may lose more than 1"),
        (LIKE, LIKE, False, "not better beyond chance"),
        (LIKE, WORSE, False, "not better beyond chance"),
        # The mean loses less than the margin, but the interval does not exclude more.
        (Gain(-0.5, (-1.5, 0.5), 40), BETTER, False, "may lose more"),
        (LIKE, Gain(9.0, (8.0, 10.0), LEAST_UNITS - 1), False, "too few to tell"),
        (LIKE, Gain(9.0, (8.0, 10.0), LEAST_UNITS), True, "better on the new"),
    ],
)
def test_promoted_is_what_is_better_on_the_new_and_not_worse_on_the_old(
    old: Gain, new: Gain, promoted: bool, why: str
) -> None:
    decided, reason = decide("chrF", old, new, 1.0)
    assert decided == promoted
    assert why in reason
    assert "chrF" in reason


def test_a_wider_margin_lets_the_old_lose_more() -> None:
    assert not decide("chrF", WORSE, BETTER, 2.9)[0]
    assert decide("chrF", WORSE, BETTER, 3.1)[0]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ((-0.1, 0.5, False, None), "margin=-0.1"),
        ((float("nan"), 0.5, False, None), "margin=nan"),
        ((1.0, 1.0, False, None), "old_share=1.0"),
        ((1.0, -0.5, False, None), "old_share=-0.5"),
        ((1.0, 0.5, True, None), "--resume needs --out"),
    ],
)
def test_options_that_no_retraining_can_follow_are_named(options: tuple, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        check_options(*options)


def test_a_retrained_run_gets_the_next_free_name_beside_the_old_one(tmp_path: Path) -> None:
    run = tmp_path / "a"
    assert beside(run) == tmp_path / "a-retrained-1"
    (tmp_path / "a-retrained-1").mkdir()
    assert beside(run) == tmp_path / "a-retrained-2"
    assert beside(tmp_path / "a-retrained-1") == tmp_path / "a-retrained-2"  # night after night
