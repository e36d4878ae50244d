"""What Lightning lacks for a resumed training to end as the one that was never stopped did."""

import csv
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping, ModelCheckpoint
from torch.optim.lr_scheduler import ReduceLROnPlateau

from core.loading import BatchLoader


class RandomState(pl.Callback):
    """Saves every random generator with the checkpoint and puts it back when training resumes.

    Plain lists and ints, so that the checkpoint loads with `weights_only=True`.
    """

    def __init__(self) -> None:
        self.loaded: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The state of torch's, the GPU's, numpy's and Python's generators."""
        name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002
        version, internal, following = random.getstate()
        return {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
            "numpy": [name, np.asarray(keys).tolist(), position, has_gauss, gauss],
            "python": [version, list(internal), following],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state until training starts: Lightning draws numbers in between."""
        self.loaded = state_dict

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the saved state back."""
        if self.loaded is None:
            return
        torch.set_rng_state(self.loaded["torch"])
        if self.loaded.get("cuda") is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(self.loaded["cuda"])
        name, keys, position, has_gauss, gauss = self.loaded["numpy"]
        np.random.set_state(  # noqa: NPY002
            (name, np.array(keys, dtype=np.uint32), position, has_gauss, gauss)
        )
        version, internal, following = self.loaded["python"]
        random.setstate((version, tuple(internal), following))
        self.loaded = None


class LoaderState(pl.Callback):
    """Saves the training loader's place.

    Lightning's own way loads it too early (`estimated_stepping_batches` sets the loaders up before
    the loops are restored) and not at all after an epoch's end.
    """

    def __init__(self, loader: BatchLoader[Any]) -> None:
        self.loader = loader

    def state_dict(self) -> dict[str, Any]:
        """Epoch and position."""
        return self.loader.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on there."""
        self.loader.load_state_dict(state_dict)


class BestWeights(ModelCheckpoint):
    """Finds its file again where the run folder was moved between two parts of a training."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Lightning forgets the best score where the folder is another one."""
        old, here = state_dict["dirpath"], str(self.dirpath)
        moved = {
            name: value.replace(old, here, 1) if isinstance(value, str) else value
            for name, value in state_dict.items()
        }
        kept = state_dict["best_k_models"].items()
        moved["best_k_models"] = {path.replace(old, here, 1): score for path, score in kept}
        super().load_state_dict(moved)


class StaysStopped(EarlyStopping):
    """Stops at once when a training that it had stopped is resumed."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the count that came from the checkpoint."""
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience


class ResumePoint(Checkpoint):
    """Writes `last.ckpt` every few steps and after each validation.

    Never between an epoch's last step and its validation: Lightning would go on with the next
    epoch and leave the validation out.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path = path
        self.every = every

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Save in the middle of an epoch."""
        is_last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if trainer.global_step % self.every == 0 and not is_last:
            trainer.save_checkpoint(self.path)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save after the validation."""
        trainer.save_checkpoint(self.path)


def earlier_rows(log: Path, checkpoint: Path) -> list[dict[str, str]]:
    """What the log says up to a checkpoint: Lightning's CSVLogger deletes the file."""
    reached = torch.load(checkpoint, map_location="cpu", weights_only=True)["global_step"]
    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if v} for row in rows if int(row["step"]) < reached]


class PlateauSchedule(pl.Callback):
    """Halves the rate when val_loss stalls for two epochs.

    As a callback, because Lightning leaves out the update of the epoch that it resumed in.
    """

    def __init__(self) -> None:
        self.schedule: ReduceLROnPlateau | None = None
        self.loaded: dict[str, Any] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take hold of the optimiser."""
        self.schedule = ReduceLROnPlateau(trainer.optimizers[0], factor=0.5, patience=1)
        if self.loaded is not None:
            self.schedule.load_state_dict(self.loaded)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the validation that has just ended."""
        assert self.schedule is not None
        self.schedule.step(float(trainer.callback_metrics["val_loss"]))

    def state_dict(self) -> dict[str, Any]:
        """Best loss and epochs without a better one."""
        return {} if self.schedule is None else self.schedule.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state until there is an optimiser."""
        self.loaded = state_dict or None
