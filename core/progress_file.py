"""How far a training is, in a small file that another process reads."""

import os
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from core.budget import MANY_EPOCHS
from core.files import write_json
from core.processes import is_first_process

VARIABLE = "RECURRENT_SUITE_PROGRESS"  # the environment's: which file to write
EVERY = 0.5  # seconds from one writing to the next


def callbacks() -> list[pl.Callback]:
    """What every Trainer of this environment gets: Lightning's `callbacks_factory` entry point."""
    path = os.environ.get(VARIABLE)
    return [ProgressFile(Path(path))] if path and is_first_process() else []


class ProgressFile(pl.Callback):
    """Writes epoch, step, losses and time left while a training runs.

    Args:
        path: The JSON file: `epoch` (from 1), `epochs` and `steps` (None under a budget of CPU
            time), `step`, `train_loss`, `val_loss` (None before the first validation), `seconds`
            so far and `seconds_left` (None where nobody knows).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._began = self._written = 0.0
        self._first_step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock; a resumed training starts at its step."""
        self._began = time.monotonic()
        self._first_step = trainer.global_step
        self._write(trainer, None)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Write, where the last writing is a while ago."""
        if time.monotonic() - self._written >= EVERY:
            self._write(trainer, float(outputs["loss"]))

    def _write(self, trainer: pl.Trainer, train_loss: float | None) -> None:
        seconds = time.monotonic() - self._began
        done = trainer.global_step
        is_open = trainer.max_epochs in (None, -1, MANY_EPOCHS) and trainer.max_steps == -1
        steps = None if is_open else int(trainer.estimated_stepping_batches)
        new = done - self._first_step
        val_loss = trainer.callback_metrics.get("val_loss")
        left = seconds / new * (steps - done) if steps is not None and new else None
        value = {
            "epoch": trainer.current_epoch + 1,
            "epochs": None if is_open else trainer.max_epochs,
            "step": done,
            "steps": steps,
            "train_loss": train_loss,
            "val_loss": None if val_loss is None else float(val_loss),
            "seconds": seconds,
            "seconds_left": left,
        }
        write_json(self.path, value)
        self._written = time.monotonic()
