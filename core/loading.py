"""A loader whose place in the data can be saved, so that a resumed run sees the same batches."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from core.distributed import share

BatchT = TypeVar("BatchT")
BatchPlan = Callable[[np.random.Generator], Sequence[np.ndarray]]


class Rehearsal(NamedTuple):
    """Old examples among new ones, so that a network does not forget (Robins 1995).

    Attributes:
        num_old: Rows of the training part that are old; they stand first.
        share: Of them among the rows of an epoch, 0 to below 1, drawn anew each epoch; fewer where
            there are no more.
    """

    num_old: int
    share: float

    def draw(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """The rows of an epoch, rising, of a part with `count` of them."""
        if not self.num_old:
            return np.arange(count)
        wanted = round((count - self.num_old) * self.share / (1 - self.share))
        old = generator.choice(self.num_old, min(wanted, self.num_old), replace=False)
        return np.concatenate([np.sort(old), np.arange(self.num_old, count)])


class BatchLoader(Generic[BatchT]):
    """Batches made from row numbers, in an order that depends on the seed and the epoch alone.

    Where several processes train together (`core.distributed`), each gets its rows of every batch;
    of a batch with fewer rows than processes it is told nothing. What is not trained on is shared
    out by whole batches.

    Args:
        plan: Draws one epoch's batches, each an array of row numbers. The number of batches must
            not depend on the draw.
        collate: Makes a batch from row numbers.
        seed: Of the order.
        is_training: Whether the gradient comes from these batches.
    """

    def __init__(
        self,
        plan: BatchPlan,
        collate: Callable[[np.ndarray], BatchT],
        seed: int = 0,
        *,
        is_training: bool = True,
    ) -> None:
        self.plan = plan
        self.collate = collate
        self.seed = seed
        self.epoch = 0
        self.position = 0
        self.is_training = is_training
        self._sizes = [len(rows) for rows in plan(np.random.default_rng([seed, 0]))]

    def __len__(self) -> int:
        rank, size = share()
        if self.is_training:
            return sum(count >= size for count in self._sizes)
        count = len(self._sizes)
        return len(range(rank, count, size)) if count >= size else count

    def __iter__(self) -> Iterator[BatchT]:
        # Nobody asks a sized loader for one batch more than it has, so code behind the last yield
        # would not run: the next epoch begins here.
        if self.position >= len(self):
            self.epoch, self.position = self.epoch + 1, 0
        batches = self._own(self.plan(np.random.default_rng([self.seed, self.epoch])))
        for rows in batches[self.position :]:
            self.position += 1
            yield self.collate(rows)

    def _own(self, batches: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """This process's share of an epoch's batches."""
        rank, size = share()
        if size == 1:
            return batches
        if self.is_training:
            return [rows[rank::size] for rows in batches if len(rows) >= size]
        return batches[rank::size] if len(batches) >= size else batches

    def state_dict(self) -> dict[str, Any]:
        """Epoch, and batches of it that were handed out."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.epoch, self.position = state["epoch"], state["position"]
