"""What Lightning lacks for a resumed training to end as the one that was never stopped did."""

import csv
import io
import logging
import random
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping, ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch.optim.lr_scheduler import ReduceLROnPlateau

from core.distributed import everyones, is_asked_anywhere, share
from core.files import replacing
from core.loading import BatchLoader

logger = logging.getLogger(__name__)


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are whole or not there, whenever the process is killed or the disk full.

    Lightning's own writes elsewhere and moves the file here, which copies it bit by bit where the
    two lie on different disks.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write under a temporary name beside it, then rename."""
        buffer = io.BytesIO()  # torch.save tells of a full disk in words of its own
        torch.save(checkpoint, buffer)
        with replacing(Path(path)) as temporary:
            temporary.write_bytes(buffer.getbuffer())


class Stopped(Exception):  # noqa: N818
    """Ctrl-C, at a moment from which the training can go on.

    No KeyboardInterrupt, at which Lightning ends the process.
    """


class Abandoned(Exception):  # noqa: N818
    """Ctrl-C for the second time."""


class StopsCleanly(pl.Callback):
    """Ends a training on Ctrl-C after the batch at hand, with a checkpoint; at once on a second.

    Args:
        path: The checkpoint.

    Raises:
        Stopped: Out of the Trainer's `fit`.
        Abandoned: Likewise, on the second Ctrl-C.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_asked = False
        self._before: Any = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Listen, where this is the thread that signals reach."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._ask)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Listen no more."""
        self.forget()

    def forget(self) -> None:
        """Give the signal back to whom it belonged."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.is_asked:
            self.forget()
            raise Abandoned
        self.is_asked = True
        logger.warning("stopping after this batch; Ctrl-C again leaves at once")

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Stop in the middle of an epoch; at its end the validation comes first."""
        is_last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if not is_last and is_asked_anywhere(self.is_asked):
            trainer.save_checkpoint(self.path)
            raise Stopped

    def on_validation_batch_end(self, *_: Any) -> None:
        """Stop in the middle of a validation; the last checkpoint is the one to go on from."""
        if self.is_asked and share()[1] == 1:  # several may have different numbers of batches
            raise Stopped

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop after an epoch."""
        if is_asked_anywhere(self.is_asked):
            trainer.save_checkpoint(self.path)
            raise Stopped


class RandomState(pl.Callback):
    """Saves every random generator with the checkpoint and puts it back when training resumes.

    Where several processes train together each has states, and dropout, of its own. Plain lists
    and ints, so that the checkpoint loads with `weights_only=True`.
    """

    def __init__(self) -> None:
        self.loaded: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The state of torch's, the GPU's, numpy's and Python's generators, of each process."""
        return {"processes": everyones(self._own())}

    def _own(self) -> dict[str, Any]:
        name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002
        version, internal, following = random.getstate()
        return {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
            "numpy": [name, np.asarray(keys).tolist(), position, has_gauss, gauss],
            "python": [version, list(internal), following],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state until training starts: Lightning draws numbers in between.

        Raises:
            ValueError: The training had another number of processes.
        """
        states = state_dict["processes"]
        rank, size = share()
        if len(states) != size:
            raise ValueError(
                f"the training had {len(states)} processes, now there are {size}; resume with as "
                "many"
            )
        self.loaded = states[rank]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the saved state back."""
        if self.loaded is None:
            rank, _ = share()
            if rank:
                torch.manual_seed(torch.initial_seed() + rank)
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
