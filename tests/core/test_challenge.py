import os
from pathlib import Path

import pytest

from core.challenge import LEAST_UNITS, Gain, beside, champion_before, check_options, decide
from core.runs import begin_run

BETTER, WORSE = Gain(2.0, (1.0, 3.0), 40, "days"), Gain(-2.0, (-3.0, -1.0), 40, "days")
LIKE = Gain(0.1, (-0.4, 0.6), 40, "days")


@pytest.mark.parametrize(
    ("old", "new", "promoted", "why"),
    [
        (LIKE, BETTER, True, "better on the new"),
        (BETTER, BETTER, True, "better on the new"),
        (WORSE, BETTER, False, "may be worse by 3.00, a margin of 1"),
        (LIKE, LIKE, False, "not better beyond chance"),
        (LIKE, WORSE, False, "not better beyond chance"),
        # The mean loses less than the margin, but the interval does not exclude more.
        (Gain(-0.5, (-1.5, 0.5), 40, "days"), BETTER, False, "may be worse by 1.50"),
        (
            LIKE,
            Gain(9.0, (8.0, 10.0), LEAST_UNITS - 1, "days"),
            False,
            "4 days held out of the new",
        ),
        (LIKE, Gain(9.0, (8.0, 10.0), LEAST_UNITS, "days"), True, "better on the new"),
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
        ((-0.1, 0.5), "margin=-0.1"),
        ((float("nan"), 0.5), "margin=nan"),
        ((1.0, 1.0), "old_share=1.0"),
        ((1.0, -0.5), "old_share=-0.5"),
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


def test_to_resume_the_newest_that_was_begun_is_found(tmp_path: Path) -> None:
    run = tmp_path / "a-retrained-1"
    with pytest.raises(FileNotFoundError, match="no retraining that was begun"):
        beside(run, resume=True)
    for number in (2, 3, 4):
        begin_run(tmp_path / f"a-retrained-{number}", {}, "ab")
    (tmp_path / "a-retrained-4" / "started.json").unlink()
    os.utime(tmp_path / "a-retrained-2", (1, 1))
    assert beside(run, resume=True) == tmp_path / "a-retrained-3"


def test_only_the_champions_heir_in_its_own_folder_may_take_its_place(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert champion_before(tmp_path / "a", tmp_path / "c") == {
        "champion_before": None,
        "rival": None,
    }
    (tmp_path / "champion").symlink_to("b")
    assert champion_before(tmp_path / "b", tmp_path / "c")["rival"] is None
    told = champion_before(tmp_path / "a", tmp_path / "c")
    assert told["champion_before"] == "b"
    assert "b is champion, and a, which it was compared with, is not" in str(told["rival"])
    told = champion_before(tmp_path / "b", tmp_path / "b" / "c")
    assert "another folder" in str(told["rival"])
