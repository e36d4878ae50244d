"""Fresh rows of a task for training, and others for validation and the final score."""

from collections.abc import Sequence

import numpy as np
import torch

from core.batch import SequenceBatch
from core.loading import BatchLoader
from data.synthetic import Task

EVALUATION_ROWS = 250
VALIDATION_BATCHES, FRESH_BATCHES = 4, 8  # 1,000 and 2,000 rows


class TaskData:
    """The three parts of a task's rows, drawn from seeds that no other part uses.

    Args:
        task: What to draw.
        length: As the task's `draw` takes it.
        seed: Of the training's draws and of its order.
    """

    def __init__(self, task: Task, length: int, seed: int) -> None:
        self.task = task
        self.length = length
        self.seed = seed

    def training(self, batch_size: int, num_batches: int) -> BatchLoader[SequenceBatch]:
        """New rows in every batch of every epoch."""

        def plan(generator: np.random.Generator) -> Sequence[np.ndarray]:
            return list(generator.integers(2**40, 2**60, size=(num_batches, 1)))

        def collate(seed: np.ndarray) -> SequenceBatch:
            return self._draw(batch_size, int(seed[0]))

        return BatchLoader(plan, collate, self.seed)

    def validation(self) -> BatchLoader[SequenceBatch]:
        """The same 1,000 rows at every look."""
        return self._fixed(VALIDATION_BATCHES, part=0)

    def fresh(self) -> BatchLoader[SequenceBatch]:
        """2,000 rows for the final score."""
        return self._fixed(FRESH_BATCHES, part=1)

    def _fixed(self, num_batches: int, part: int) -> BatchLoader[SequenceBatch]:
        first = 2**32 * part + 1000 * self.seed

        def collate(number: np.ndarray) -> SequenceBatch:
            return self._draw(EVALUATION_ROWS, first + int(number[0]))

        return BatchLoader(lambda _: list(np.arange(num_batches)[:, None]), collate)

    def _draw(self, num: int, seed: int) -> SequenceBatch:
        return self.task.draw(num, self.length, torch.Generator().manual_seed(seed))
