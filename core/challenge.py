"""Whether a retrained model takes the champion's place: a paired test on old and on new data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from core.champions import promote
from core.runs import Run


class NothingNew(Exception):  # noqa: N818
    """The new data hold nothing that the run has not learned from already, or too little."""


LEAST_UNITS = 5  # units that a hold-out of new data needs: fewer resemble each other by chance


@dataclass(frozen=True)
class Gain:
    """How much better the new model is than the old one on one hold-out.

    Attributes:
        change: Of the score, in its unit; above 0 is better.
        interval: 95 %, of paired resamples of whole units: its lower and its upper end.
        num_units: How many units there are, such as dialogues or days.
    """

    change: float
    interval: tuple[float, float]
    num_units: int

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.change:+.2f} [{low:+.2f}, {high:+.2f}]"


def decide(score: str, old: Gain, new: Gain, margin: float) -> tuple[bool, str]:
    """Whether the new model is promoted, and why.

    It is where its whole interval on the new data lies above 0 (it is better there), and that on
    the old data above `-margin` (it is not worse there; a test of non-inferiority).

    Args:
        score: Its name and unit, for the reason.
        old: On the frozen hold-out of the old data.
        new: On that of the new data.
        margin: How much the old data may lose, 0 or more.
    """
    told = f"{score} {old} on the old hold-out, {new} on the new one"
    if new.num_units < LEAST_UNITS:
        return False, (
            f"{told}: {new.num_units} units of new data are too few to tell, "
            f"{LEAST_UNITS} are needed; wait for more"
        )
    if old.interval[0] < -margin:
        return False, f"{told}: the old may lose more than {margin:g}"
    if new.interval[0] <= 0:
        return False, f"{told}: the new is not better beyond chance"
    return True, f"{told}: better on the new, and the old loses no more than {margin:g}"


def settle(run: Run, app: str) -> dict[str, Any]:
    """Make a retrained run champion where its metrics say so; may be called again after a crash.

    Returns:
        `old`, `new`, `promoted`, `reason` and `run`, as `retrain` prints them.
    """
    told = run.metrics
    reason, promoted = told["reason"], bool(told["promoted"])
    if promoted:
        scores = {"old": told["old"], "new": told["new"]}
        promoted = promote(run.path, app, reason, scores, told["champion_before"])
        if not promoted:
            reason += "; but another run became champion meanwhile: retrain from that one"
    return {
        "old": told["old"],
        "new": told["new"],
        "promoted": promoted,
        "reason": reason,
        "run": str(run.path),
    }


def kept(run: Run, reason: Exception) -> dict[str, Any]:
    """What `retrain` gives where there is nothing to learn: no error, for it comes every night."""
    return {"old": {}, "new": {}, "promoted": False, "reason": str(reason), "run": str(run.path)}


def show_decision(result: Mapping[str, Any]) -> str:
    """The decision for people."""
    verdict = "promoted" if result["promoted"] else "kept the old run"
    return f"{verdict}: {result['reason']}\n{result['run']}"


def check_options(margin: float, old_share: float, resume: bool, out: Path | None) -> None:
    """Refuse what no retraining can do.

    Raises:
        ValueError: A negative margin, a share that leaves no room for the new, or a retraining to
            go on with that is not named.
    """
    if not margin >= 0:
        raise ValueError(f"margin={margin} must be 0 or more")
    if not 0 <= old_share < 1:
        raise ValueError(f"old_share={old_share} must lie in [0, 1); 0 trains on the new alone")
    if resume and out is None:
        raise ValueError("--resume needs --out: the folder of the retraining to go on with")


def beside(run: Path) -> Path:
    """A free folder `<run>-retrained-<number>` beside a run, also of one that has such a name."""
    name = re.sub(r"-retrained-\d+$", "", run.name)
    free = (run.parent / f"{name}-retrained-{number}" for number in count(1))
    return next(path for path in free if not path.exists())
