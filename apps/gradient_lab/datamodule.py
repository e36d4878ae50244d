"""Fresh rows of a task for training, and others for validation and the final score."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch

from core.batch import SequenceBatch
from core.loading import BatchLoader
from data.synthetic import Task

Part = Literal["training", "validation", "fresh"]
PARTS: tuple[Part, ...] = get_args(Part)
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
            return list(generator.integers(2**62, size=(num_batches, 1)))

        def collate(number: np.ndarray) -> SequenceBatch:
            return self._draw(batch_size, "training", int(number[0]))

        return BatchLoader(plan, collate, self.seed)

    def validation(self) -> BatchLoader[SequenceBatch]:
        """The same 1,000 rows at every look."""
        return self._fixed(VALIDATION_BATCHES, "validation")

    def fresh(self) -> BatchLoader[SequenceBatch]:
        """2,000 rows for the final score."""
        return self._fixed(FRESH_BATCHES, "fresh")

    def _fixed(self, num_batches: int, part: Part) -> BatchLoader[SequenceBatch]:
        def collate(number: np.ndarray) -> SequenceBatch:
            return self._draw(EVALUATION_ROWS, part, int(number[0]))

        plan = list(np.arange(num_batches)[:, None])
        return BatchLoader(lambda _: plan, collate, is_training=False)

    def _draw(self, num: int, part: Part, number: int) -> SequenceBatch:
        # torch's generator reads 32 bits of a seed alone: numpy mixes all of them into these.
        mixed = np.random.SeedSequence([self.seed, PARTS.index(part), number])
        generator = torch.Generator().manual_seed(int(mixed.generate_state(1)[0]))
        return self.task.draw(num, self.length, generator)
