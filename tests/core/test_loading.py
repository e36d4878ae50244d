from itertools import islice
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from core.loading import BatchLoader

NUM_ROWS, BATCH_SIZE, NUM_BATCHES = 11, 3, 4


def shuffled(generator: np.random.Generator) -> list[np.ndarray]:
    order = generator.permutation(NUM_ROWS)
    return [order[start : start + BATCH_SIZE] for start in range(0, NUM_ROWS, BATCH_SIZE)]


def loader(seed: int = 0) -> BatchLoader[list[int]]:
    return BatchLoader(shuffled, lambda rows: rows.tolist(), seed)


def epochs(given: BatchLoader[list[int]], number: int) -> list[list[list[int]]]:
    """Read as Lightning does: as many batches as the loader has, and not one more."""
    return [list(islice(given, len(given))) for _ in range(number)]


class Recorder(pl.LightningModule):
    """Remembers which rows it was given in each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.trained: dict[int, list[int]] = {}
        self.validated: dict[int, list[int]] = {}

    def training_step(self, rows: torch.Tensor, _: int) -> torch.Tensor:
        self.trained.setdefault(self.current_epoch, []).extend(rows.tolist())
        return self.weight * rows.float().sum()

    def validation_step(self, rows: torch.Tensor, _: int) -> None:
        self.validated.setdefault(self.current_epoch, []).extend(rows.tolist())

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.0)


def test_lightning_gets_every_row_once_in_every_epoch() -> None:
    module = Recorder()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=5,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, BatchLoader(shuffled, torch.tensor), BatchLoader(shuffled, torch.tensor, 1))
    assert trainer.global_step == 5 * NUM_BATCHES
    for found in (module.trained, module.validated):
        assert {epoch: sorted(rows) for epoch, rows in found.items()} == {
            epoch: list(range(NUM_ROWS)) for epoch in range(5)
        }
        assert len({tuple(rows) for rows in found.values()}) == 5


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    first = epochs(loader(3), 3)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    assert epochs(loader(3), 3) == first
    assert epochs(loader(4), 3) != first
    assert first[0] != first[1] != first[2]


def test_a_loop_to_the_end_and_lightnings_counted_loop_read_the_same() -> None:
    counted, exhausted = loader(), loader()
    assert epochs(counted, 3) == [list(exhausted) for _ in range(3)]


@pytest.mark.parametrize("handed_out", [0, 1, 3, 4, 5, 8, 10])
def test_a_saved_place_gives_exactly_the_batches_that_were_left(handed_out: int) -> None:
    whole = [batch for epoch in epochs(loader(), 4) for batch in epoch]
    stopped = loader()
    full, rest = divmod(handed_out, NUM_BATCHES)
    epochs(stopped, full)
    list(islice(stopped, rest))
    resumed = loader()
    resumed.load_state_dict(stopped.state_dict())
    left = [batch for _ in range(4) for batch in resumed]
    assert left[: len(whole) - handed_out] == whole[handed_out:]


def test_the_saved_place_is_of_the_time_when_it_was_taken() -> None:
    given = loader()
    iterator = iter(given)
    next(iterator)
    place = given.state_dict()
    next(iterator)
    assert place != given.state_dict()


def test_the_length_is_the_number_of_batches() -> None:
    assert len(loader()) == NUM_BATCHES == len(list(loader()))
