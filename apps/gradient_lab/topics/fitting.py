"""Short trainings of any module on rows that are drawn afresh, or on a few that stay the same."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning import seed_everything
from torch import Generator

from apps.gradient_lab.train import CHECK_STEPS, Job, make_module, quiet_trainer
from core.batch import SequenceBatch
from core.loading import BatchLoader
from core.modules import SequenceModule, TaskModule
from data.synthetic import TASKS

BatchT = TypeVar("BatchT")
VALIDATION_ROWS = 500
RANDOM_LABELS = 0.2  # share


def fresh_batches(draw: Callable[[Generator], BatchT], seed: int) -> BatchLoader[BatchT]:
    """New rows in every batch.

    Args:
        draw: Makes a batch.
        seed: Of all draws.
    """

    def plan(generator: np.random.Generator) -> Sequence[np.ndarray]:
        return list(generator.integers(2**31, size=(CHECK_STEPS, 1)))

    def collate(number: np.ndarray) -> BatchT:
        return draw(Generator().manual_seed(int(number[0])))

    return BatchLoader(plan, collate, seed)


def fit(
    module: TaskModule,
    draw: Callable[[Generator], BatchT],
    *,
    steps: int,
    seed: int,
    callbacks: Sequence[pl.Callback] = (),
) -> None:
    """Train on fresh rows, in place.

    Args:
        module: What is trained.
        draw: Makes a batch.
        steps: Of the optimiser.
        seed: Of the draws.
        callbacks: Lightning's.
    """
    quiet_trainer(steps, list(callbacks)).fit(module, fresh_batches(draw, seed))
    module.eval()


class Curve(NamedTuple):
    """The losses of a training on few rows.

    Attributes:
        steps: Optimiser steps done at each look.
        train: Mean cross-entropy of the rows that are trained on, dropout off.
        val: Mean cross-entropy of rows that are not.
    """

    steps: list[int]
    train: list[float]
    val: list[float]


class Looks(pl.Callback):
    """Notes both losses now and then.

    Args:
        rows: What is trained on.
        others: What is not.
        every: Steps between two looks.
    """

    def __init__(self, rows: SequenceBatch, others: SequenceBatch, every: int) -> None:
        self.rows, self.others, self.every = rows, others, every
        self.curve = Curve([], [], [])

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object
    ) -> None:
        """Look after every so many steps."""
        if trainer.global_step % self.every:
            return
        assert isinstance(pl_module, SequenceModule)
        pl_module.eval()
        with torch.no_grad():
            self.curve.train.append(_loss(pl_module, self.rows))
            self.curve.val.append(_loss(pl_module, self.others))
        self.curve.steps.append(trainer.global_step)
        pl_module.train()


def fit_few(job: Job, num_rows: int, every: int) -> Curve:
    """Train on the same few rows again and again, a fifth of their labels drawn at random.

    Without wrong labels there is little to learn by heart: the rule is found from 100 rows.

    Args:
        job: A task with classes, the network and the steps.
        num_rows: Rows to learn from, at least the job's batch.
        every: Steps between two looks.
    """
    task = TASKS[job.task]
    seed_everything(job.seed, verbose=False)
    module = make_module(job)
    module.clipping = job.clipping
    generator = Generator().manual_seed(job.seed)
    inputs, target = task.draw(num_rows, job.length, generator)
    is_random = torch.rand(num_rows, generator=generator) < RANDOM_LABELS
    labels = torch.randint(task.output_size, (num_rows,), generator=generator)
    rows = SequenceBatch(inputs, torch.where(is_random, labels, target))
    looks = Looks(rows, task.draw(VALIDATION_ROWS, job.length, generator), every)

    def some(generator: Generator) -> SequenceBatch:
        chosen = torch.randperm(num_rows, generator=generator)[: job.batch_size]
        return SequenceBatch(*(part[chosen] for part in rows))

    fit(module, some, steps=job.max_steps, seed=job.seed, callbacks=[looks])
    return looks.curve


def _loss(module: SequenceModule, rows: SequenceBatch) -> float:
    return float(torch.nn.functional.cross_entropy(module.model(rows.inputs), rows.target))
