from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from core.health import BROKEN, HEALTHY, UNFIT, Opened, examine, exit_code, show

TODAY = date(2026, 11, 27)


def look(
    answer: Callable[[int], None] = lambda _: None,
    age: int = 3,
    max_age_days: float = 0.0,
    max_seconds: float = 60.0,
) -> dict:
    return examine(
        Path("run"),
        lambda: Opened(answer, lambda: ("the newest price", TODAY - timedelta(days=age))),
        max_seconds=max_seconds,
        max_age_days=max_age_days,
        today=TODAY,
    )


def test_a_run_that_answers_is_healthy() -> None:
    asked: list[int] = []
    found = look(asked.append)
    assert found["healthy"]
    assert exit_code(found) == HEALTHY
    assert [check["name"] for check in found["checks"]] == ["intact", "answers", "fresh"]
    assert asked == [0, 0, 1, 2, 3, 4]  # the first is not timed
    assert "3 days ago; no limit is set" in show(found)


def test_slow_and_stale_are_told_apart_from_broken() -> None:
    slow = look(max_seconds=1e-9)
    assert exit_code(slow) == UNFIT
    assert "free the processor" in show(slow)
    stale = look(max_age_days=2)
    assert exit_code(stale) == UNFIT
    assert "FAIL  fresh" in show(stale)
    assert exit_code(look(max_age_days=3)) == HEALTHY

    def refuse(_: int) -> None:
        raise ValueError("the weights\nare odd")

    broken = look(refuse, max_age_days=2)
    assert exit_code(broken) == BROKEN
    assert [check["name"] for check in broken["checks"]] == ["intact", "answers", "fresh"]
    assert broken["checks"][1] == {
        "name": "answers",
        "ok": False,
        "measured": None,
        "limit": None,
        "message": "the weights are odd",
    }


@pytest.mark.parametrize("limits", [{"max_seconds": 0}, {"max_age_days": -1}])
def test_limits_that_make_no_sense_are_named(limits: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(limits))):
        look(**limits)


def test_a_bug_while_answering_is_broken_and_not_pythons_exit_code_1(
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = look(lambda number: [][number])
    assert exit_code(found) == BROKEN
    assert "IndexError: list index out of range" in show(found)
    assert "Traceback" not in show(found)
    assert caplog.records[-1].exc_info  # the log has where


def test_what_fails_is_told_under_its_own_name() -> None:
    def nowhere() -> tuple[str, date]:
        raise OSError("Yahoo does not answer")

    found = examine(
        Path("run"), lambda: Opened(lambda _: None, nowhere), max_seconds=60, max_age_days=0
    )
    told = {check["name"]: check["ok"] for check in found["checks"]}
    assert told == {"intact": True, "answers": True, "fresh": False}
    assert exit_code(found) == BROKEN

    def spoilt() -> Opened:
        raise ValueError("model.safetensors: changed")

    found = examine(Path("run"), spoilt, max_seconds=60, max_age_days=0)
    assert [(check["name"], check["ok"]) for check in found["checks"]] == [("intact", False)]
    assert exit_code(found) == BROKEN
