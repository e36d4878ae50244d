"""The same work on many things at once: in this process, in several, or on a Ray cluster.

Results are the same wherever the work is done with the same number of threads: sums of floating
point numbers depend on how many threads share them. Several local processes divide the threads of
this one (torch's, which OMP_NUM_THREADS sets); a worker on Ray has one CPU, so one thread, and no
GPU. With OMP_NUM_THREADS=1 all three agree to the bit.

A worker holds torch and one copy of what its tasks share, opened with its first task, beside what a
task takes; this process holds the same, pickled, until all is done.

On Ray a cluster is used where one is connected or the environment's RAY_ADDRESS names it; else one
is started on this machine for the time of the work. Nodes of a cluster need this package, installed
in the same version, and the run folder on a disk that they share under the same path. What tasks
share goes through Ray's memory, which it may write to its own folder where it is short: of the
chatbot, that is the test part with what stands behind its placeholders.
"""

import logging
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from logging.handlers import QueueHandler
from multiprocessing.resource_tracker import ensure_running
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

import torch
from joblib import Parallel, delayed, parallel_config, register_parallel_backend
from joblib.externals.loky import get_reusable_executor

from core.cli import PACKAGE
from core.jobs import VARIABLE
from core.progress import progress

logger = logging.getLogger(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")
Workers = int | str
RAY = "ray"


class _Pool(NamedTuple):
    """Workers that wait for tasks.

    Attributes:
        size: How many, at least 1.
        threads: Of each.
        parent: The process that they end with; 0 where Ray sees to their end.
        deaths: What is raised where one of them is killed.
    """

    size: int
    threads: int
    parent: int
    deaths: tuple[type[Exception], ...]


class _Shared(NamedTuple):
    """What all tasks have in common: the work, pickled, its hash, and the pool's choices."""

    pickled: bytes
    digest: bytes
    threads: int
    parent: int


class _Answer(NamedTuple):
    """What a task gives back, pickled: `result` and `said`, its log."""

    name: str
    pickled: bytes


def check_workers(workers: Workers) -> int | None:
    """How many processes `--workers` asks for; None for Ray.

    Raises:
        ValueError: Something else than `ray` and whole numbers above 0, or Ray is not installed.
    """
    if str(workers).isdecimal() and int(workers) > 0:
        return int(workers)
    if workers != RAY:
        raise ValueError(
            f"workers={workers!r} must be a whole number above 0 (processes on this machine) or ray"
        )
    if find_spec("ray") is None:
        raise ValueError(
            f"workers='ray': Ray is not installed; run pip install '{PACKAGE}[ray]', or give "
            "the number of processes on this machine"
        )
    return None


def fan_out(
    work: Callable[[Item], Result], items: Mapping[str, Item], workers: Workers, folder: Path
) -> list[Result]:
    """Do the same work on every item; the results are in the items' order.

    In this process nothing is pickled, and everything is shown as it comes. Of other processes the
    log is shown when a task ends and no bars but one over all tasks.

    Args:
        work: A function of a module, or a `partial` of one or a method; with what it holds it can
            be pickled.
        items: What to work on, by a name that people know it by.
        workers: `1` for this process, another number for so many on this machine, or `ray`.
        folder: Where the work leaves what calling again goes on from.

    Raises:
        ChildProcessError: A worker was killed.
        ValueError: As `check_workers` says; and what the work raises comes out as it is.
    """
    asked = check_workers(workers)
    if asked == 1 or (asked is not None and len(items) < 2):
        return [work(item) for item in items.values()]
    with _ray(len(items)) if asked is None else _processes(min(asked, len(items))) as pool:
        if pool.size == 1:  # joblib would do it here all the same
            return [work(item) for item in items.values()]
        return _gather(work, items, pool, folder)


def _gather(
    work: Callable[[Item], Result], items: Mapping[str, Item], pool: _Pool, folder: Path
) -> list[Result]:
    packed = pickle.dumps(work)
    shared = _Shared(packed, sha256(packed).digest(), pool.threads, pool.parent)
    calls = (delayed(_do)(name, item, shared) for name, item in items.items())
    logger.info("%d tasks, %d at a time, threads of each: %d", len(items), pool.size, pool.threads)
    results: dict[str, Result] = {}
    parallel = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs")
    with _interrupt_waits() if pool.parent else nullcontext():
        answers = parallel(calls)  # starts the workers
    try:
        with progress("tasks", len(items)) as advance:
            for answer in answers:
                results[answer.name], said = pickle.loads(answer.pickled)
                for record in said:
                    if logging.getLogger(record.name).isEnabledFor(record.levelno):
                        logging.getLogger(record.name).handle(record)
                advance(1)
    except pool.deaths:
        under_way = [name for name in items if name not in results][: pool.size]
        raise ChildProcessError(
            f"a worker died (killed, or the machine is short of memory) at one of: "
            f"{'; '.join(under_way)}; call again with --run {folder} to go on, with fewer --workers"
            " where memory is short"
        ) from None
    return [results[name] for name in items]


@contextmanager
def _interrupt_waits() -> Iterator[None]:
    """Processes that are started now never hear Ctrl-C, which a terminal sends to all; this does.

    The tracker of shared memory must run before: starting it lets interrupts through.
    """
    ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def _processes(count: int) -> Iterator[_Pool]:
    """Processes on this machine, which are gone in the end, however that comes."""
    threads = max(torch.get_num_threads() // count, 1)
    try:
        with parallel_config("loky", n_jobs=count, inner_max_num_threads=threads):
            yield _Pool(count, threads, os.getpid(), (BrokenExecutor,))
    finally:
        get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)


@contextmanager
def _ray(most: int) -> Iterator[_Pool]:
    """One worker per CPU of the cluster, but no more than asked for.

    Ray's own words, some of which go to standard output, are not shown.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray.exceptions import RayError
    from ray.util.joblib.ray_backend import RayBackend
    from ray.util.multiprocessing.pool import ResultThread

    class Streaming(RayBackend):
        """Gives each result when it is there; joblib's default for pools is all at the end."""

        supports_return_generator = True

    register_parallel_backend(RAY, Streaming)
    is_own = not ray.is_initialized()
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        try:
            if is_own:
                ray.init(
                    address=os.environ.get("RAY_ADDRESS", "local"),
                    include_dashboard=None if "RAY_ADDRESS" in os.environ else False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            count = max(min(most, int(ray.cluster_resources().get("CPU", 1))), 1)
            with parallel_config(RAY, n_jobs=count):
                yield _Pool(count, 1, 0, (RayError,))
        finally:
            if is_own:
                for thread in threading.enumerate():  # else one may ask a Ray that is gone
                    if isinstance(thread, ResultThread):
                        thread.join(timeout=5)
                ray.shutdown()


_opened: dict[bytes, Callable[[Any], Any]] = {}  # in a worker: the work that its tasks share


def _do(name: str, item: Any, shared: _Shared) -> _Answer:
    """One task, in a worker. Pickled here, what comes back needs no worker that lives on."""
    _settle(shared.threads, shared.parent)
    said: SimpleQueue[logging.LogRecord] = SimpleQueue()
    handler, root = QueueHandler(said), logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        with (
            Path(os.devnull).open("w") as nowhere,
            redirect_stdout(nowhere),
            redirect_stderr(nowhere),
        ):
            if shared.digest not in _opened:
                _opened[shared.digest] = pickle.loads(shared.pickled)
            result = _opened[shared.digest](item)
    finally:
        root.removeHandler(handler)
    records = [said.get() for _ in range(said.qsize())]
    return _Answer(name, pickle.dumps((result, records)))


@cache
def _settle(threads: int, parent: int) -> None:
    """Make a process a worker, which ends with its parent."""
    os.environ.pop(VARIABLE, None)  # the progress file is of one training
    torch.set_num_threads(threads)
    if parent:
        threading.Thread(target=_end_with, args=[parent], daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
