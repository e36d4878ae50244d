"""The main path: a task, a cell, training until it is solved, a score on fresh data."""

import logging
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning import seed_everything
from pytorch_lightning.callbacks import EarlyStopping

from apps.gradient_lab.datamodule import TaskData
from core.batch import SequenceBatch
from core.clipping import Clipping
from core.loading import BatchLoader
from core.modules import SequenceModule
from core.nn.initialization import CellName, Start
from core.nn.recurrent import RecurrentConfig
from core.nn.sequence import Reading
from core.optim import OptimConfig
from data.synthetic import TASKS, Task, TaskName

CHECK_STEPS = 100  # between two looks at the validation score
MARGIN = 0.8  # a run stops at this share of the error allowed, so that fresh data agree


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training: what is learnt, by what, how, from which seed.

    Attributes:
        task: `adding`, `copy` or `temporal_order`.
        length: T of the task, in steps.
        model: The recurrent stack.
        optim: The optimiser.
        clipping: Thresholds of gradient clipping.
        reading: What the answer is read from, see `core.nn.sequence`.
        label_smoothing: Of the classes, in training only, 0 to below 1.
        patience: Checks without a better loss before training gives up; 0: never.
        batch_size: Rows a step, at least 1.
        max_steps: Optimiser steps, a multiple of 100.
        seed: Of the weights and the draws.
    """

    task: TaskName
    length: int
    model: RecurrentConfig
    optim: OptimConfig
    clipping: Clipping = field(default_factory=lambda: Clipping(norm=1.0))
    reading: Reading = "last"
    label_smoothing: float = 0.0
    patience: int = 0
    batch_size: int = 32
    max_steps: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"task={self.task!r} is unknown; choose one of {', '.join(TASKS)}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size={self.batch_size} must be at least 1")
        if self.max_steps < CHECK_STEPS or self.max_steps % CHECK_STEPS:
            raise ValueError(f"max_steps={self.max_steps} must be a multiple of {CHECK_STEPS}")
        TASKS[self.task].draw(1, self.length, torch.Generator())  # refuses a length too short


@dataclass(frozen=True)
class Check:
    """A look at a training.

    Attributes:
        step: Optimiser steps done.
        score: The task's score on the validation draws; NaN where training diverged.
        grad_norm: Of the last step, before clipping.
    """

    step: int
    score: float
    grad_norm: float


@dataclass(frozen=True)
class Trained:
    """What a job left behind.

    Attributes:
        module: The network as it ended.
        score: The task's score on fresh data; NaN where training diverged.
        steps: Optimiser steps done.
        seconds: Processor seconds of training and checks.
        checks: From the start to the end.
        norms: Of the gradient at every step, before clipping.
    """

    module: SequenceModule
    score: float
    steps: int
    seconds: float
    checks: list[Check] = field(repr=False)
    norms: list[float] = field(repr=False)


def train(job: Job, watch: Callable[[SequenceModule, Check], bool] | None = None) -> Trained:
    """Train until the task is solved or the steps are used up.

    Args:
        job: What to train.
        watch: Called at every check with the module; False stops the training.
    """
    task = TASKS[job.task]
    seed_everything(job.seed, verbose=False)
    module = make_module(job)
    module.clipping = job.clipping
    observer = Observer(job, watch)
    callbacks: list[pl.Callback] = [observer]
    if job.patience:
        callbacks.append(EarlyStopping("val_loss", patience=job.patience))
    trainer = quiet_trainer(job.max_steps, callbacks)
    data = TaskData(task, job.length, job.seed)
    started = time.process_time()
    trainer.fit(module, data.training(job.batch_size, CHECK_STEPS), data.validation())
    seconds = time.process_time() - started
    score = math.nan if observer.has_diverged else evaluate(module, data.fresh())
    return Trained(module, score, trainer.global_step, seconds, observer.checks, observer.norms)


def make_module(job: Job) -> SequenceModule:
    """A network with starting weights."""
    task = TASKS[job.task]
    return SequenceModule(
        task.input_size,
        task.output_size,
        job.model,
        job.optim,
        loss=task.loss,
        reading="every" if job.task == "copy" else job.reading,
        label_smoothing=job.label_smoothing,
    )


def is_solved(task: Task, length: int, score: float, margin: float = 1.0) -> bool:
    """Whether a score counts as solved.

    Adding: a mean squared error below 0.01. Copy: a cross-entropy below a tenth of the baseline's.
    Temporal order: at least 99 % right. NaN is not solved.

    Args:
        task: The task.
        length: Its T.
        score: Its score.
        margin: Share of the error allowed, at most 1.
    """
    match task.name:
        case "adding":
            return score < 0.01 * margin
        case "copy":
            return score < 0.1 * margin * task.baseline(length)
        case "temporal_order":
            return score >= 1 - 0.01 * margin


def evaluate(module: SequenceModule, loader: BatchLoader[SequenceBatch]) -> float:
    """Mean score over one pass of a loader."""
    module.eval()
    with torch.no_grad():
        scores = [float(module.score(batch)) for batch in loader]
    return sum(scores) / len(scores)


def default_start(cell: CellName) -> Start:
    """The start under which a cell is at its best on long tasks."""
    match cell:
        case "rnn":
            return "orthogonal"
        case "irnn":
            return "identity"
        case "lru":
            return "default"
    return "chrono"


class Observer(pl.Callback):
    """Notes the score at every validation, and stops when solved, diverged or told to."""

    def __init__(
        self, job: Job, watch: Callable[[SequenceModule, Check], bool] | None = None
    ) -> None:
        self.job = job
        self.watch = watch
        self.checks: list[Check] = []
        self.norms: list[float] = []
        self.has_diverged = False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Note the gradient's norm; stop at a loss that is no number."""
        assert isinstance(pl_module, SequenceModule)
        self.norms.append(float(pl_module.last_grad_norm))
        if not torch.isfinite(outputs["loss"]):
            self.has_diverged = trainer.should_stop = True

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the score."""
        assert isinstance(pl_module, SequenceModule)
        score = float(trainer.callback_metrics["val_score"])
        self.has_diverged = self.has_diverged or not math.isfinite(score)
        check = Check(trainer.global_step, score, self.norms[-1])
        self.checks.append(check)
        task = TASKS[self.job.task]
        goes_on = self.watch is None or self.watch(pl_module, check)
        if self.has_diverged or not goes_on or is_solved(task, self.job.length, score, MARGIN):
            trainer.should_stop = True


def quiet_trainer(max_steps: int, callbacks: list[pl.Callback]) -> pl.Trainer:
    """A trainer without logs, bars and files; an epoch is what lies between two checks."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    return pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=-1,
        max_steps=max_steps,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
