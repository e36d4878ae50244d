"""Tasks that need a long memory and nothing else: adding, copy memory, temporal order.

Rows can be drawn afresh for every batch, so that nothing can be learnt by heart; the same generator
gives the same rows.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from core.batch import SequenceBatch

TaskName = Literal["adding", "copy", "temporal_order"]
NUM_COPIED = 10  # symbols to remember
NUM_LETTERS = 8


@dataclass(frozen=True)
class Task:
    """A task and how it is judged.

    Attributes:
        name: `adding`, `copy` or `temporal_order`.
        input_size: Features per step.
        output_size: Numbers or classes per answer.
        loss: `mse` or `cross_entropy`; what training minimises.
        metric: What the score is, in words.
        draw: Given rows, length and a generator, a batch.
    """

    name: TaskName
    input_size: int
    output_size: int
    loss: Literal["mse", "cross_entropy"]
    metric: str
    draw: Callable[[int, int, Generator], SequenceBatch]

    def baseline(self, length: int) -> float:
        """The score of the best answer that reads nothing.

        Always 1 has mean squared error 1/6 on the adding problem; blanks and then a guess among
        eight letters have cross-entropy 10 ln 8 / (T + 20) on copy memory (Arjovsky et al. 2016);
        one of four classes is right in a quarter of the cases.
        """
        match self.name:
            case "adding":
                return 1 / 6
            case "copy":
                return NUM_COPIED * math.log(NUM_LETTERS) / (length + 2 * NUM_COPIED)
            case "temporal_order":
                return 0.25


def adding(num: int, length: int, generator: Generator) -> SequenceBatch:
    """Add the two marked numbers: Hochreiter & Schmidhuber 1997, as in Le et al. 2015, section 4.1.

    Args:
        num: Rows.
        length: Steps, at least 2. One mark falls in each half.
        generator: The source of the draws.

    Returns:
        Inputs (num, length, 2): a number in [0, 1) and a mark; target (num, 1): the sum.
    """
    _check(length, 2, "adding")
    values = torch.rand(num, length, generator=generator)
    half = length // 2
    first = torch.randint(0, half, (num, 1), generator=generator)
    second = torch.randint(half, length, (num, 1), generator=generator)
    marks = torch.zeros(num, length).scatter(1, first, 1.0).scatter(1, second, 1.0)
    target = values.gather(1, first) + values.gather(1, second)
    return SequenceBatch(torch.stack([values, marks], dim=-1), target)


def copy_memory(num: int, length: int, generator: Generator) -> SequenceBatch:
    """Repeat ten symbols after a delay: Arjovsky et al. 2016 (arXiv:1511.06464), section 5.1.

    Args:
        num: Rows.
        length: Delay T in steps, at least 1; a sequence has T + 20.
        generator: The source of the draws.

    Returns:
        Inputs (num, T + 20, 10), one-hot: 8 letters, blank, go; target (num, T + 20), classes:
        blank until the go, then the ten letters.
    """
    _check(length, 1, "copy")
    blank, go = NUM_LETTERS, NUM_LETTERS + 1
    letters = torch.randint(0, NUM_LETTERS, (num, NUM_COPIED), generator=generator)
    symbols = torch.full((num, length + 2 * NUM_COPIED), blank)
    symbols[:, :NUM_COPIED] = letters
    symbols[:, length + NUM_COPIED - 1] = go
    target = torch.full_like(symbols, blank)
    target[:, -NUM_COPIED:] = letters
    return SequenceBatch(_one_hot(symbols, NUM_LETTERS + 2), target)


def temporal_order(num: int, length: int, generator: Generator) -> SequenceBatch:
    """Which of X, Y came first and second: Pascanu et al. 2013 (arXiv:1211.5063), section 4.1.

    Args:
        num: Rows.
        length: Steps, at least 10. The symbols stand in [T/10, 2T/10] and [4T/10, 5T/10].
        generator: The source of the draws.

    Returns:
        Inputs (num, length, 6), one-hot: X, Y and four that say nothing; target (num,): 0 to 3 for
        XX, XY, YX, YY.
    """
    _check(length, 10, "temporal_order")
    symbols = torch.randint(2, 6, (num, length), generator=generator)
    low, high, later, latest = (share * length // 10 for share in (1, 2, 4, 5))
    first = torch.randint(low, high + 1, (num, 1), generator=generator)
    second = torch.randint(later, latest + 1, (num, 1), generator=generator)
    order = torch.randint(0, 2, (num, 2), generator=generator)
    symbols = symbols.scatter(1, first, order[:, :1]).scatter(1, second, order[:, 1:])
    return SequenceBatch(_one_hot(symbols, 6), 2 * order[:, 0] + order[:, 1])


TASKS: dict[TaskName, Task] = {
    "adding": Task("adding", 2, 1, "mse", "mean squared error", adding),
    "copy": Task("copy", 10, 9, "cross_entropy", "cross-entropy in nats per step", copy_memory),
    "temporal_order": Task("temporal_order", 6, 4, "cross_entropy", "share right", temporal_order),
}


def _one_hot(symbols: Tensor, size: int) -> Tensor:
    return torch.nn.functional.one_hot(symbols, size).float()


def _check(length: int, least: int, task: str) -> None:
    if length < least:
        raise ValueError(f"length={length} is too short for {task}; give at least {least}")
