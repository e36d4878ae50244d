"""Feed the readers with broken input: success and an error of one line are all that may come.

    python -m benchmarks.fuzz --inputs 10000

An input that anything else comes of is kept, so that it can be read again:

    python -m benchmarks.fuzz --target prices --replay fuzz-failures/prices-0
"""

import argparse
import io
import logging
import os
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from benchmarks.fuzz_files import FILES, FOLDER, LINK, Files, Target
from benchmarks.fuzz_runs import run_target
from benchmarks.record import record
from core.cli import guarded
from core.progress import progress

NAME = "fuzz"
TARGETS: dict[str, Callable[[], Target]] = {**FILES, "runs": run_target}
INPUTS = 10_000
MOST_SECONDS = 10  # of CPU for one input; a reader that takes longer hangs
KEPT = 20  # failing inputs of a target


@dataclass
class Tally:
    """What came of a target's inputs.

    Attributes:
        accepted: Read.
        refused: Told in one line that names the file.
        failed: Each anything else, with how often it came.
        seconds: In all.
    """

    accepted: int = 0
    refused: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def inputs(self) -> int:
        """How many."""
        return self.accepted + self.refused + self.failed.total()


class TookTooLongError(BaseException):
    """A reader hangs; no reader may catch it."""


def feed(
    target: Target,
    count: int,
    keep: Path,
    advance: Callable[[int], None] | None = None,
) -> Tally:
    """Read broken inputs, always the same ones.

    Args:
        target: The reader and its inputs.
        count: How many.
        keep: Failing inputs go to `<keep>-0` and so on, each a folder; the one that is being read
            lies in `<keep>-now`.
        advance: Called with the number done since the last call.
    """
    tally, started = Tally(), time.perf_counter()
    folder = Path(f"{keep}-now")

    def one(files: Files) -> None:
        write(files, folder)
        told = outcome(target, folder)
        tally.accepted += told == "accepted"
        tally.refused += told == "refused"
        if told not in ("accepted", "refused"):
            if told not in tally.failed and len(tally.failed) < KEPT:
                shutil.rmtree(f"{keep}-{len(tally.failed)}", ignore_errors=True)
                shutil.copytree(folder, f"{keep}-{len(tally.failed)}", symlinks=True)
            tally.failed[told] += 1
        if advance is not None:
            advance(1)

    draw = 0
    while tally.inputs < count:
        options = settings(
            max_examples=count - tally.inputs,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        seed(draw)(options(given(target.inputs)(one)))()
        draw += 1
    shutil.rmtree(folder)
    tally.seconds = time.perf_counter() - started
    return tally


def write(files: Files, folder: Path) -> None:
    """Make a folder that holds an input and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content == FOLDER:
            path.mkdir()
        else:
            path.symlink_to(content.removeprefix(LINK))


def outcome(target: Target, folder: Path) -> str:
    """What comes of an input: `accepted`, `refused`, or in words what should not have been."""
    errors = io.StringIO()
    signal.signal(signal.SIGVTALRM, _give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    try:
        with redirect_stderr(errors):
            guarded(NAME, lambda: _discard(target.read(folder)))
    except SystemExit as ended:
        told = errors.getvalue()
        if ended.code == 0:
            return "accepted"
        if ended.code != 2:
            return f"exit code {ended.code}"
        if told.strip().count("\n"):
            return f"several lines:\n{told}"
        is_named = str(folder) in told or target.names_option
        return "refused" if is_named else f"names no file: {told}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if "/site-packages/" not in f.filename and f.name != "outcome"]
        last = own[-1] if own else frames[-1]
        return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}\n{error}"[:500]
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _discard(_: object) -> None:
    """What was read is not needed."""


def _give_up(_: int, __: FrameType | None) -> None:
    raise TookTooLongError


def main() -> None:
    """Feed, tell, record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=INPUTS, help="of each target")
    parser.add_argument("--target", choices=[*TARGETS, "all"], default="all")
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--replay", type=Path, help="a failing input that was kept")
    words = parser.parse_args()
    chosen = list(TARGETS) if words.target == "all" else [words.target]
    if words.replay is not None:
        if len(chosen) > 1:
            parser.error("--replay needs --target: which reader it is for")
        TARGETS[chosen[0]]().read(words.replay)
        return
    words.failures.mkdir(exist_ok=True)
    tallies = {name: fed_apart(name, words.inputs, words.failures / name) for name in chosen}
    record(NAME, [row(name, tally) for name, tally in tallies.items()])
    sys.exit(any(tally.failed for tally in tallies.values()))


def fed_apart(name: str, count: int, keep: Path) -> Tally:
    """`feed` in a process of its own, which a reader in C may kill; told what should not be."""
    context = get_context("spawn")
    done = context.Value("i", 0)
    # The bar is drawn here: what it writes must not mix with what a reader tells.
    with ProcessPoolExecutor(1, context, _share, (done,)) as pool, progress(name, count) as advance:
        fed, seen = pool.submit(_fed, name, count, keep), 0
        while not wait([fed], 0.5).done or seen < done.value:
            now = done.value
            advance(now - seen)
            seen = now
        try:
            tally = fed.result()
        except BrokenProcessPool:
            tally = Tally(failed=Counter({"the process died": 1}))
            Path(f"{keep}-now").rename(f"{keep}-0")
    for number, (what, times) in enumerate(tally.failed.items()):
        print(f"{keep}-{number}, {times} times: {what}", file=sys.stderr)
    return tally


_shared: dict[str, Any] = {}  # what a started process got


def _share(done: Any) -> None:
    _shared["done"] = done
    prepare()


def _fed(name: str, count: int, keep: Path) -> Tally:
    def advance(number: int) -> None:
        _shared["done"].value += number

    return feed(TARGETS[name](), count, keep, advance)


def prepare() -> None:
    """No log, every warning: a warning on standard error would be a second line."""
    os.environ["HF_DATASETS_OFFLINE"] = "1"
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("always")
    for unseen in (ResourceWarning, DeprecationWarning, PendingDeprecationWarning):
        warnings.simplefilter("ignore", unseen)


def row(name: str, tally: Tally) -> dict[str, str | int | float]:
    """A line of the table."""
    return {
        "target": name,
        "inputs": tally.inputs,
        "accepted": tally.accepted,
        "refused": tally.refused,
        "tracebacks": tally.failed.total(),
        "seconds": round(tally.seconds, 1),
    }


if __name__ == "__main__":
    main()
