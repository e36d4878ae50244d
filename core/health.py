"""Is a run fit to answer: intact, in time, fresh. For a monitor, with exit codes."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median
from typing import Any

logger = logging.getLogger(__name__)
HEALTHY, UNFIT, BROKEN = 0, 1, 2  # exit codes
INTACT = "intact"


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        name: `intact`, `answers` or `fresh`.
        ok: Whether all is well.
        measured: What was found, in the unit that `message` names; None where nothing could be.
        limit: What it must not exceed; None for no limit.
        message: For people: what was found, and what to do about it.
    """

    name: str
    ok: bool
    measured: float | None
    limit: float | None
    message: str


@dataclass(frozen=True)
class Opened:
    """A run that is intact.

    Attributes:
        answer: Answers a question by its number, as a customer would get it.
        newest: What the freshness is that of, and its day.
    """

    answer: Callable[[int], None]
    newest: Callable[[], tuple[str, date]]


def examine(
    run: Path,
    load: Callable[[], Opened],
    *,
    max_seconds: float,
    max_age_days: float,
    num_answers: int = 5,
    today: date | None = None,
) -> dict[str, Any]:
    """Look at a run; nothing is changed.

    Args:
        run: Its folder.
        load: Opens it and checks every checksum.
        max_seconds: The slowest of the answers may take so long, positive.
        max_age_days: Calendar days that the newest may lie back; 0 sets no limit.
        num_answers: How many are timed, after one that is not.
        today: Instead of the clock's day, UTC.

    Returns:
        `healthy`, `checks` (see `Check`; a run that is not intact has that one alone) and `run`.

    Raises:
        ValueError: A limit that makes no sense.
    """
    if not max_seconds > 0:
        raise ValueError(f"max_seconds={max_seconds} must be above 0")
    if not max_age_days >= 0:
        raise ValueError(f"max_age_days={max_age_days} must be 0 or more; 0 sets no limit")
    checks: list[Check] = []
    with _failing(INTACT, checks):
        opened = load()
        checks.append(Check(INTACT, True, None, None, "every file has its checksum"))
    if checks[0].ok:
        with _failing("answers", checks):
            checks.append(_timed(opened.answer, num_answers, max_seconds))
        with _failing("fresh", checks):
            checks.append(_fresh(*opened.newest(), max_age_days, today or datetime.now(UTC).date()))
    told = [asdict(check) for check in checks]
    healthy = all(check.ok for check in checks)
    return {"healthy": healthy, "checks": told, "run": str(run)}


@contextmanager
def _failing(name: str, checks: list[Check]) -> Iterator[None]:
    """Make a finding of whatever goes wrong: Python's own exit code 1 would say slow or stale."""
    try:
        yield
    except Exception as error:
        is_told = isinstance(error, (ValueError, OSError))  # as any command tells it
        text = " ".join(str(error).split())
        message = text if is_told else f"{type(error).__name__}: {text}; the log has its traceback"
        checks.append(Check(name, False, None, None, message))
        logger.error("%s: %s", name, message, exc_info=None if is_told else error)


def _timed(answer: Callable[[int], None], count: int, limit: float) -> Check:
    answer(0)  # what is slow once only
    took = []
    for number in range(count):
        started = time.perf_counter()
        answer(number)
        took.append(time.perf_counter() - started)
    slowest = max(took)
    ok = slowest <= limit
    told = (
        f"the slowest of {count} answers took {slowest:.3f} s (median {median(took):.3f}), "
        f"{limit:g} s are allowed"
    )
    advice = "" if ok else "; free the processor, or answer with --engine onnx"
    return Check("answers", ok, slowest, limit, told + advice)


def _fresh(what: str, newest: date, limit: float, today: date) -> Check:
    age = (today - newest).days
    ok = not limit or age <= limit
    allowed = f"{limit:g} days are allowed" if limit else "no limit is set (--max_age_days)"
    advice = "" if ok else "; retrain with newer data"
    message = f"{what} is of {newest}, {age} days ago; {allowed}{advice}"
    return Check("fresh", ok, age, limit or None, message)


def exit_code(result: Mapping[str, Any]) -> int:
    """0 where a run is healthy, 1 where it is slow or stale, 2 where it cannot answer."""
    failed: Sequence[Mapping[str, Any]] = [one for one in result["checks"] if not one["ok"]]
    if not failed:
        return HEALTHY
    return BROKEN if any(one["measured"] is None for one in failed) else UNFIT


def show(result: Mapping[str, Any]) -> str:
    """The findings for people."""
    lines = [
        f"{'ok  ' if check['ok'] else 'FAIL'}  {check['name']:<8} {check['message']}"
        for check in result["checks"]
    ]
    verdict = "healthy" if result["healthy"] else "not healthy"
    return "\n".join([*lines, f"{verdict}: {result['run']}"])
