"""Which run answers: a link that moves in one step, and a history of who replaced whom."""

import fcntl
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.cli import verb
from core.files import PARTIAL, sync_folder
from core.plain import plain
from core.runs import load_run

logger = logging.getLogger(__name__)
CHAMPION = "champion"
HISTORY = "history.jsonl"


def champion(app: str, run: Path | None) -> Path:
    """The run to read: the given one, else `runs/<app>/champion`."""
    return run or Path("runs") / app / CHAMPION


def current(folder: Path) -> str | None:
    """The name of the run that is champion among those of a folder; None where there is none.

    Raises:
        ValueError: In the link's place stands a folder, as copying it through makes one.
    """
    link = folder / CHAMPION
    if link.exists() and not link.is_symlink():
        raise ValueError(
            f"{link}: is a copy and not a link to a run, so it cannot be moved; rename it, and "
            f"`rollback --run` or `ln -s` one of the runs beside it"
        )
    return os.readlink(link) if link.is_symlink() else None


def promote_first(run: Path, app: str) -> bool:
    """Make a run champion where its parent folder has none, or one that is gone.

    Returns:
        Whether it is the champion now because of this.
    """
    with _locked(run.parent):
        if (run.parent / CHAMPION).exists():
            return False
        _point(run, app, "the first run here", {})
    return True


def promote(run: Path, app: str, reason: str, scores: Mapping[str, Any], over: str | None) -> bool:
    """Point `champion` in the run's parent folder at it, in one atomic step.

    The line in `history.jsonl` comes first: a process that is killed in between leaves the old
    champion, and the next call moves the link without a second line.

    Args:
        run: A finished run.
        app: Whose.
        reason: For the history.
        scores: Of the old and the new run, likewise.
        over: The champion that there was when the run was compared; where another has taken its
            place meanwhile, nothing is moved.

    Returns:
        Whether the run is the champion now.

    Raises:
        ValueError: The run is not whole.
    """
    with _locked(run.parent):
        if current(run.parent) not in (over, run.name):
            return False
        _point(run, app, reason, scores)
    return True


def go_back(run: Path, app: str) -> dict[str, Any]:
    """Make an earlier champion the champion again.

    Args:
        run: That earlier champion; or a folder's `champion` link, for the one before it.
        app: Whose.

    Returns:
        `champion`, the run's path, and `replaced`, the name of the one before.

    Raises:
        FileNotFoundError: There is no such run.
        ValueError: It never was champion, is the champion, is not whole, or nothing came before.
    """
    folder = run.parent
    with _locked(folder):
        now, line = current(folder), lineage(folder)
        name = run.name
        if name == CHAMPION:
            if now is None:
                raise FileNotFoundError(f"{run}: no champion here to go back from; give --run")
            before = line[: line.index(now)] if now in line else line
            name = _last_whole(folder, before, app)
        elif name == now:
            raise ValueError(f"{run}: is the champion already; nothing to do")
        elif name not in {entry["run"] for entry in history(folder)}:
            known = ", ".join(sorted({e["run"] for e in history(folder)} - {now})) or "none"
            raise ValueError(f"{run}: never was champion; earlier champions: {known}")
        _point(folder / name, app, "rollback", {})
    return {"champion": str(folder / name), "replaced": now}


def _last_whole(folder: Path, names: list[str], app: str) -> str:
    """The newest of these runs that is there and whole; others are told of and passed over.

    Raises:
        ValueError: None is.
    """
    for name in reversed(names):
        try:
            load_run(folder / name, app)
        except (OSError, ValueError) as error:
            logger.warning("passed over: %s", error)
        else:
            return name
    raise ValueError(
        f"{folder / CHAMPION}: {HISTORY} beside it names no earlier champion that is there and "
        "whole; give --run one of the runs that were champion, or train"
    )


def history(folder: Path) -> list[dict[str, Any]]:
    """The lines of a folder's `history.jsonl`, oldest first.

    Each holds `time`, `run`, `replaced`, `reason`, `source_sha256` and `scores`.

    Raises:
        ValueError: A line, but for a last one that was cut off, is none of ours, or names a run
            outside the folder.
    """
    path = folder / HISTORY
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    found = []
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line) if line else None
        except (ValueError, RecursionError):
            if number == len(lines):
                continue  # a writer was killed
            raise ValueError(f"{path}: line {number} is not JSON; correct or remove it") from None
        if entry is None:
            continue
        name = entry.get("run") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name in ("", ".", "..") or "/" in name or "\0" in name:
            raise ValueError(f"{path}: line {number} names no run of this folder; remove it")
        found.append(entry)
    return found


def lineage(folder: Path) -> list[str]:
    """The champions that led to the present one, oldest first; what was rolled back is left out."""
    line: list[str] = []
    for entry in history(folder):
        name = entry["run"]
        line = line[: line.index(name)] if name in line else line
        line.append(name)
    return line


def rolled_back(result: Mapping[str, Any]) -> str:
    """What a rollback did, for people."""
    return f"champion: {result['champion']} (before: {result['replaced']})"


def rollback_of(app: str) -> Any:
    """The verb `rollback` of an app."""

    @verb(rolled_back)
    def rollback(run: Path | None = None) -> dict[str, Any]:
        """Make an earlier champion the champion again, in one atomic step; no run is changed.

        `history.jsonl` beside the runs tells who replaced whom, when, on which data and with which
        scores.

        Args:
            run: The earlier champion, or the `champion` link of a folder of runs to go back by
                one; left out: the link of the app's own runs.
        """
        return go_back(champion(app, run), app)

    return rollback


def _point(run: Path, app: str, reason: str, scores: Mapping[str, Any]) -> None:
    """Write the history's line, then move the link; only the lock's holder may."""
    folder = run.parent
    opened = load_run(run, app)
    old = current(folder)
    entry = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "run": run.name,
        "replaced": None if old == run.name else old,
        "reason": reason,
        "source_sha256": opened.manifest["source_sha256"],
        "scores": plain(scores),
    }
    known = history(folder)
    is_noted = bool(known) and known[-1]["run"] == run.name
    if not is_noted:
        _append(folder / HISTORY, json.dumps(entry, ensure_ascii=False))
    fresh = folder / f".{CHAMPION}{PARTIAL}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(run.name, target_is_directory=True)
    fresh.replace(folder / CHAMPION)
    sync_folder(folder)


def _append(path: Path, line: str) -> None:
    """Add a line; one that a killed writer left half-written is ended first."""
    with path.open("a+b") as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
        torn = bool(end) and file.read(1) != b"\n"
        if torn:
            content = path.read_bytes()
            file.truncate(content.rfind(b"\n") + 1)
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Nobody else moves the folder's link meanwhile; the system lets go of a dead holder's lock."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
