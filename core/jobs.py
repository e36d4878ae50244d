"""Work in the background, one at a time for each folder: a process that outlives who started it.

    start(Path("runs/chatbot/job"), "apps.chatbot.train:train", ["--data=sample"], "train")
    status(Path("runs/chatbot/job")).state  # running, and in the end done, failed or cancelled

The folder's lock is held by the process, from before it starts until it has ended in whatever way,
so that two servers, a reload or a crash can neither start a second one nor lose the first.
"""

import fcntl
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.plain import plain

VARIABLE = "RECURRENT_SUITE_PROGRESS"  # as core.progress_file reads it, which loads Lightning
SPEC, LOCK, LOG, OUTCOME, PROGRESS = "job.json", "lock", "log.txt", "outcome.json", "progress.json"
CANCELLED = "cancelled"
PATIENCE = 5.0  # seconds from the request to stop to the kill
PROBE = 0.2  # seconds after which a held lock is a job's, and not one who asks for it
State = Literal["none", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class JobStatus:
    """How a job stands.

    Attributes:
        state: `none` where no job was ever started in the folder.
        kind: What `start` was told that it is.
        words: The arguments of its function.
        progress: What `core.progress_file.ProgressFile` wrote; empty before the first step and
            where nothing is trained.
        message: Of a failed job, one line that tells why; of a running one, its last words.
        result: What the function of a job that is done returned, in plain containers.
        started: When, seconds since 1970.
    """

    state: State
    kind: str = ""
    words: tuple[str, ...] = ()
    progress: dict[str, Any] | None = None
    message: str = ""
    result: Any = None
    started: float = 0.0


def start(
    folder: Path, target: str, words: Sequence[str], kind: str, remove: Sequence[Path] = ()
) -> bool:
    """Start a job, unless one is running in the folder.

    Args:
        folder: Where its lock, log and outcome are kept; what the last job left there goes.
        target: The typed function, as `module:function`.
        words: Its arguments, as on a command line.
        kind: A word for what it is.
        remove: Files and empty folders that are to be gone when it ends in any way.

    Returns:
        Whether it was started; False where another one is running.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as lock:
        deadline = time.monotonic() + PROBE
        while not _take(lock.fileno(), fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        _remove(_read(folder / SPEC))  # of a job that was killed
        for name in (OUTCOME, PROGRESS, CANCELLED, LOG):
            (folder / name).unlink(missing_ok=True)
        spec = {
            "target": target,
            "words": list(words),
            "kind": kind,
            "remove": [str(path) for path in remove],
            "started": time.time(),
        }
        _write(folder / SPEC, spec)
        with (folder / LOG).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "core.jobs", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, VARIABLE: str(folder / PROGRESS)},
                pass_fds=[lock.fileno()],  # the lock is the process's from now on
                start_new_session=True,
            )
        _write(folder / SPEC, {**spec, "pid": process.pid})
    _children.append(process)
    return True


def is_running(folder: Path) -> bool:
    """Whether a job is running in the folder."""
    _children[:] = [child for child in _children if child.poll() is None]  # none stays a zombie
    try:
        with (folder / LOCK).open("a") as lock:
            return not _take(lock.fileno(), fcntl.LOCK_SH)  # askers do not see each other
    except OSError:
        return False


def status(folder: Path) -> JobStatus:
    """How the folder's last job stands."""
    spec = _read(folder / SPEC)
    if not spec:
        return JobStatus("none")
    known: dict[str, Any] = {
        "kind": str(spec.get("kind")),
        "words": tuple(spec.get("words", ())),
        "started": float(spec.get("started", 0.0)),
        "progress": _read(folder / PROGRESS),
    }
    if is_running(folder):
        return JobStatus("running", message=_last_line(folder / LOG), **known)
    outcome = _read(folder / OUTCOME)
    if (folder / CANCELLED).exists() and outcome.get("state") != "done":
        return JobStatus("cancelled", **known)
    if not outcome:
        words = "the process ended without a word: it was killed, or the machine was short of "
        outcome = {"state": "failed", "message": f"{words}memory; see {folder / LOG}"}
    return JobStatus(
        outcome["state"],
        message=str(outcome.get("message", "")),
        result=outcome.get("result"),
        **known,
    )


def cancel(folder: Path) -> None:
    """Stop the running job, if any, and wait until it has ended."""
    if not is_running(folder):
        return
    (folder / CANCELLED).touch()
    pid = int(_read(folder / SPEC).get("pid", 0))
    for number in (signal.SIGTERM, signal.SIGKILL):
        if pid:
            with suppress(ProcessLookupError):
                os.killpg(pid, number)
        deadline = time.monotonic() + PATIENCE
        while is_running(folder) and time.monotonic() < deadline:
            time.sleep(0.05)
    _remove(_read(folder / SPEC))  # it may have ended before it could


def forget(folder: Path) -> None:
    """Leave no word of the last job, whose outcome has been read."""
    if not is_running(folder):
        (folder / SPEC).unlink(missing_ok=True)


_children: list[subprocess.Popen[bytes]] = []


def _take(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _write(path: Path, value: Any) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(json.dumps(plain(value)), encoding="utf-8")
    temporary.replace(path)


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _work(folder: Path) -> None:
    """Do a folder's job: what the started process runs."""
    from core.cli import call

    spec = _read(folder / SPEC)
    signal.signal(signal.SIGTERM, _stop)
    os.nice(10)  # who asks the server something comes first
    outcome: dict[str, Any] = {"state": "failed"}
    try:
        module, name = spec["target"].split(":")
        function = getattr(importlib.import_module(module), name)
        outcome = {"state": "done", "result": call(function, spec["words"], name)}
    except (ValueError, OSError) as error:
        outcome["message"] = " ".join(str(error).split())
    except SystemExit:  # of a refused argument, told on standard error, or a stop
        outcome["message"] = _last_line(folder / LOG)
    except Exception as error:
        traceback.print_exc()
        outcome["message"] = f"{type(error).__name__}: {error}; see {folder / LOG}"
    finally:
        _remove(spec)
        _write(folder / OUTCOME, outcome)


def _remove(spec: Mapping[str, Any]) -> None:
    """Remove what a job was to leave nothing of."""
    for path in map(Path, spec.get("remove", ())):
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()


def _stop(*_: Any) -> None:
    sys.exit(143)


if __name__ == "__main__":
    _work(Path(sys.argv[1]))
