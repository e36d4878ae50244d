"""Run many trainings side by side, one thread each, and keep what is done."""

import hashlib
import json
import logging
import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from apps.gradient_lab.train import Job, is_solved, train
from core.cli import quiet_libraries
from core.nn.initialization import effective_start
from core.plain import plain
from core.progress import progress
from data.synthetic import TASKS

logger = logging.getLogger(__name__)
Row = dict[str, Any]
ROOT = Path(__file__).parents[2]
SOURCES = (
    *(
        f"core/nn/{name}.py"
        for name in (
            "attention",
            "cells",
            "dropout",
            "initialization",
            "masking",
            "normalization",
            "recurrent",
            "regularization",
            "sequence",
            "stepping",
        )
    ),
    "core/modules.py",
    "core/optim.py",
    "core/clipping.py",
    "data/synthetic.py",
    "apps/gradient_lab/train.py",
)
EXPLODED = 100.0
WORKERS = max(1, min(2, os.cpu_count() or 1))


def run_job(job: Job) -> Row:
    """Train one job and describe it in a row.

    Returns:
        `task, length, cell, start, seed, score, baseline, solved, steps, seconds` (processor
        seconds), and `parameters` and `curve`: the step and the score of every check. A training
        that diverged has no score: it is no number, or a loss of over EXPLODED baselines.
    """
    trained = train(job)
    task = TASKS[job.task]

    def told(score: float) -> float | None:
        limit = 1.0 if task.name == "temporal_order" else EXPLODED * task.baseline(job.length)
        return round(score, 5) if score <= limit else None  # which NaN is not either

    return {
        "task": job.task,
        "length": job.length,
        "cell": job.model.cell,
        "start": effective_start(job.model.cell, job.model.start),
        "seed": job.seed,
        "score": told(trained.score),
        "baseline": round(task.baseline(job.length), 5),
        "solved": is_solved(task, job.length, trained.score),
        "steps": trained.steps,
        "seconds": round(trained.seconds, 1),
        "parameters": sum(p.numel() for p in trained.module.parameters()),
        "curve": [[check.step, told(check.score)] for check in trained.checks],
    }


def run_jobs(
    jobs: Sequence[Job], what: str, store: Path | None = None, work: Callable[[Job], Row] = run_job
) -> list[Row]:
    """Run jobs two at a time, in processes of one thread each.

    Args:
        jobs: What to run; the longest first saves time.
        what: Named beside the progress bar.
        store: A JSONL file: a job that stands in it, done by the same code, is not run again.
        work: What a process does with a job.

    Returns:
        One row per job, in the order of the jobs.
    """
    code = code_hash()
    known = _read(store, code)
    keys = [f"{work.__name__} {job_key(job)}" for job in jobs]
    waiting = {key: job for key, job in zip(keys, jobs, strict=True) if key not in known}
    if len(waiting) < len(jobs):
        logger.info("%s: %d of %d already done", what, len(jobs) - len(waiting), len(jobs))
    if waiting:
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(WORKERS, context, initializer=_start_worker)
        try:
            with progress(what, len(waiting)) as advance:
                running: dict[Future[Row], str] = {
                    pool.submit(work, job): key for key, job in waiting.items()
                }
                while running:
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        key = running.pop(future)
                        known[key] = future.result()
                        _append(store, {"key": key, "code": code, **known[key]})
                        advance(1)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return [known[key] for key in keys]


def job_key(job: Job) -> str:
    """A short name of everything that a job is."""
    text = json.dumps(asdict(job), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_hash() -> str:
    """A short name of the code that decides a job's result."""
    digest = hashlib.sha256()
    for pattern in SOURCES:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _start_worker() -> None:
    torch.set_num_threads(1)
    quiet_libraries()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose command was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _read(store: Path | None, code: str) -> dict[str, Row]:
    """Finished rows by key; a line cut off by a crash is left out."""
    rows = {}
    if store is not None and store.exists():
        text = store.read_text(encoding="utf-8")
        if text and not text.endswith("\n"):
            with store.open("a", encoding="utf-8") as file:
                file.write("\n")
        for line in text.splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            if row.pop("code", None) == code:
                rows[row.pop("key")] = row
    return rows


def _append(store: Path | None, row: Row) -> None:
    if store is not None:
        store.parent.mkdir(parents=True, exist_ok=True)
        with store.open("a", encoding="utf-8") as file:
            file.write(json.dumps(plain(row)) + "\n")
