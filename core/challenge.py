"""Whether a retrained model takes the champion's place: a paired test on old and on new data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from glob import escape
from itertools import count
from pathlib import Path
from typing import Any

from core.champions import CHAMPION, current, promote
from core.runs import Run, is_begun


class NothingNew(Exception):  # noqa: N818
    """The new data hold nothing that the run has not learned from already, or too little."""


LEAST_UNITS = 5  # units that a hold-out of new data needs: fewer resemble each other by chance


@dataclass(frozen=True)
class Gain:
    """How much better the new model is than the old one on one hold-out.

    Attributes:
        change: Of the score, in its unit; above 0 is better.
        interval: 95 %, of paired resamples of whole units: its lower and its upper end.
        num_units: How many units there are.
        unit: What they are: dialogues or days.
    """

    change: float
    interval: tuple[float, float]
    num_units: int
    unit: str

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
            f"{told}: {new.num_units} {new.unit} held out of the new data are too few to tell, "
            f"{LEAST_UNITS} are needed; wait until there are more"
        )
    if old.interval[0] < -margin:
        return False, (
            f"{told}: on the old data it may be worse by {-old.interval[0]:.2f}, a margin of "
            f"{margin:g} is allowed"
        )
    if new.interval[0] <= 0:
        return False, f"{told}: on the new data it is not better beyond chance"
    return True, f"{told}: better on the new data, and within the margin of {margin:g} on the old"


def settle(run: Run, app: str) -> dict[str, Any]:
    """Make a retrained run champion where its metrics say so; may be called again after a crash.

    Returns:
        `old`, `new`, `promoted`, `reason` and `run`, as `retrain` prints them.
    """
    told = run.metrics
    reason, promoted = told["reason"], bool(told["promoted"])
    before, rival = told["champion_before"], told["rival"]
    if promoted and rival is not None:
        promoted, reason = False, f"{reason}; but {rival}"
    if promoted:
        scores = {"old": told["old"], "new": told["new"]}
        promoted = promote(run.path, app, reason, scores, before)
        if not promoted:
            reason += "; but another run became champion meanwhile: retrain from that one"
    return {
        "old": told["old"],
        "new": told["new"],
        "promoted": promoted,
        "reason": reason,
        "run": str(run.path),
    }


def champion_before(old: Path, out: Path) -> dict[str, str | None]:
    """What a retraining notes before it begins, for `settle`.

    Args:
        old: The run that it goes on from.
        out: Where it writes.

    Returns:
        `champion_before`, the champion of the folder, and `rival`: why a run that is better than
        the old one is not promoted all the same, None where nothing is in its way.
    """
    now = current(old.parent)
    rival = None
    if out.resolve().parent != old.resolve().parent:
        rival = f"it lies in another folder than {old.parent / CHAMPION}, which it cannot become"
    elif now is not None and now != old.name:
        rival = (
            f"{now} is champion, and {old.name}, which it was compared with, is not: retrain with "
            f"--run {old.parent / CHAMPION}"
        )
    return {"champion_before": now, "rival": rival}


def kept(run: Run, reason: Exception) -> dict[str, Any]:
    """What `retrain` gives where there is nothing to learn: no error, for it comes every night."""
    return {"old": {}, "new": {}, "promoted": False, "reason": str(reason), "run": str(run.path)}


def show_decision(result: Mapping[str, Any]) -> str:
    """The decision for people."""
    verdict = "promoted" if result["promoted"] else "kept the old run"
    return f"{verdict}: {result['reason']}\n{result['run']}"


def check_options(margin: float, old_share: float) -> None:
    """Refuse what no retraining can do.

    Raises:
        ValueError: A negative margin, or a share that leaves no room for the new.
    """
    if not margin >= 0:
        raise ValueError(f"margin={margin} must be 0 or more")
    if not 0 <= old_share < 1:
        raise ValueError(f"old_share={old_share} must lie in [0, 1); 0 trains on the new alone")


def beside(run: Path, resume: bool = False) -> Path:
    """A free folder `<run>-retrained-<number>` beside a run, also of one that has such a name.

    Args:
        run: The run.
        resume: Take the newest that holds a retraining that was begun instead.

    Raises:
        FileNotFoundError: There is none to resume.
    """
    name = re.sub(r"-retrained-\d+$", "", run.name)
    numbered = (run.parent / f"{name}-retrained-{number}" for number in count(1))
    if not resume:
        return next(path for path in numbered if not path.exists())
    begun = [path for path in run.parent.glob(f"{escape(name)}-retrained-*") if is_begun(path)]
    if not begun:
        raise FileNotFoundError(
            f"{run.parent}: holds no retraining that was begun; leave --resume out, or give --out"
        )
    return max(begun, key=lambda path: path.stat().st_mtime)
