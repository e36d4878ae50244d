"""fit(): seed, callbacks, Trainer, resume; the best weights are loaded at the end."""

import logging
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.loggers import (
    CSVLogger,
    Logger,
    MLFlowLogger,
    TensorBoardLogger,
    WandbLogger,
)

from core.averaging import LastWeights
from core.budget import MANY_EPOCHS, CpuBudget
from core.clipping import Clipping
from core.distributed import end_of_shared_work
from core.loading import BatchLoader
from core.logs import shows_bars
from core.memory import ReturnsMemory, keep_freed_memory
from core.modules import TaskModule
from core.monitor import GradientMonitor
from core.processes import is_first_process
from core.resuming import (
    Abandoned,
    BestWeights,
    LoaderState,
    RandomState,
    ResumePoint,
    StaysStopped,
    Stopped,
    StopsCleanly,
    WholeCheckpoints,
    earlier_rows,
)

logger = logging.getLogger(__name__)
PROJECT = "recurrent-suite"  # what W&B and MLflow call it


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """How long and on what to train.

    Attributes:
        max_epochs: Passes over the training part, at least 1.
        max_minutes: Wall time after which training stops with what it has; 0 sets no limit.
        cpu_minutes: CPU time, of all threads together, after which training stops instead of after
            `max_epochs`, with the schedule fitted to it as `core.budget.CpuBudget` says; 0 leaves
            it to `max_epochs`.
        average_last: Average the weights after so many of the last validations, and take the mean
            where its val_loss is better than that of the best single ones; 0 switches it off.
        patience: Validations without a better val_loss before training stops early; 0 switches
            early stopping off.
        clip_norm: Largest gradient norm of a step (Pascanu et al. 2013, arXiv:1211.5063,
            algorithm 1); 0 switches it off.
        clip_value: Largest absolute value of a gradient's entry, before clipping by norm; 0
            switches it off.
        clip_adaptive: Largest norm of a unit's gradient as a share of its weights' norm (Brock et
            al. 2021, arXiv:2102.06171, eq. 3), before both; 0 switches it off.
        precision: `auto` takes bf16-mixed where the processor multiplies bf16 matrices in
            hardware (CUDA since Ampere, or a CPU with AMX), else 32-true.
        devices: Processes on each host, one a GPU where there are some; with `strategy=ddp`.
        num_nodes: Hosts; start the same command on each with `torchrun`.
        strategy: `ddp` shares every batch among `devices` times `num_nodes` processes: the same
            steps as in one. All hosts must see the run folder.
        logger: Where curves go beside `logs/metrics.csv`: `tensorboard` (the run's `logs/`),
            `wandb` or `mlflow` (which read their own settings from the environment, such as
            WANDB_MODE and MLFLOW_TRACKING_URI, and must be installed).
        checkpoint_steps: Optimiser steps between checkpoints for `--resume`, at least 1.
        seed: Of the starting weights, dropout and the batch order.
        progress: Show Lightning's bar (on standard error).
    """

    max_epochs: int = 10
    max_minutes: float = 0.0
    cpu_minutes: float = 0.0
    average_last: int = 0
    patience: int = 3
    clip_norm: float = 1.0
    clip_value: float = 0.0
    clip_adaptive: float = 0.0
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    devices: int = 1
    num_nodes: int = 1
    strategy: Literal["auto", "ddp"] = "auto"
    logger: Literal["tensorboard", "wandb", "mlflow"] = "tensorboard"
    checkpoint_steps: int = 200
    seed: int = 0
    progress: bool = True

    def __post_init__(self) -> None:
        if self.max_epochs < 1 or self.checkpoint_steps < 1:
            raise ValueError(
                f"max_epochs={self.max_epochs} and checkpoint_steps={self.checkpoint_steps} "
                "must be at least 1"
            )
        if not (self.max_minutes >= 0 and self.cpu_minutes >= 0 and self.patience >= 0):
            raise ValueError(
                f"max_minutes={self.max_minutes}, cpu_minutes={self.cpu_minutes} and "
                f"patience={self.patience} must be 0 or more"
            )
        if self.average_last < 0 or self.average_last == 1:
            raise ValueError(
                f"average_last={self.average_last} must be 0, or 2 or more; one is no average"
            )
        if not (self.clip_norm >= 0 and self.clip_value >= 0 and self.clip_adaptive >= 0):
            raise ValueError(
                f"clip_norm={self.clip_norm}, clip_value={self.clip_value} and "
                f"clip_adaptive={self.clip_adaptive} must be 0 or more; 0 switches it off"
            )
        if self.precision not in ("auto", "32-true", "bf16-mixed"):
            raise ValueError(
                f"precision={self.precision!r} is unknown; choose auto, 32-true or bf16-mixed"
            )

        if self.logger not in ("tensorboard", "wandb", "mlflow"):
            raise ValueError(
                f"logger={self.logger!r} is unknown; choose tensorboard, wandb or mlflow"
            )
        if find_spec(self.logger) is None:
            raise ValueError(
                f"logger={self.logger}: its package is not installed; run `pip install "
                f"{self.logger}`, or choose tensorboard"
            )
        if self.devices < 1 or self.num_nodes < 1:
            raise ValueError(
                f"devices={self.devices} and num_nodes={self.num_nodes} must be at least 1"
            )
        if self.strategy not in ("auto", "ddp"):
            raise ValueError(f"strategy={self.strategy!r} is unknown; choose auto or ddp")
        if self.devices * self.num_nodes > 1 and (self.strategy != "ddp" or self.cpu_minutes):
            raise ValueError(
                f"devices={self.devices}, num_nodes={self.num_nodes}: several processes need "
                "strategy=ddp, and cpu_minutes=0, which each of them would measure otherwise"
            )

    @property
    def clipping(self) -> Clipping:
        """The three thresholds of gradient clipping."""
        return Clipping(norm=self.clip_norm, value=self.clip_value, adaptive=self.clip_adaptive)


@dataclass(frozen=True)
class FitResult:
    """What a training left behind.

    Attributes:
        seconds: Wall time of this call.
        cpu_seconds: CPU time of this call; under a budget, with what was used before a resume.
        epochs: Epochs finished, those before a resume among them.
        steps: Optimiser steps, likewise.
        val_loss: The best validation loss, whose weights the module now holds.
        is_stopped: Whether Ctrl-C ended it early; it can be gone on with.
    """

    seconds: float
    cpu_seconds: float
    epochs: int
    steps: int
    val_loss: float
    is_stopped: bool = False


def stopped(run_dir: Path, result: FitResult) -> str:
    """What to say of a training that Ctrl-C ended."""
    return (
        f"{run_dir} holds the best weights so far, of {result.steps} steps; it can be used "
        "with --run, but is no champion; the same command with --resume goes on"
    )


def resolve_precision(precision: str) -> Literal["32-true", "bf16-mixed"]:
    """Turn `auto` into what this machine is fast at."""
    if precision != "auto":
        return "bf16-mixed" if precision == "bf16-mixed" else "32-true"
    if torch.cuda.is_available():  # where Lightning trains then, if it has bf16 or not
        is_fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        is_fast = bool(torch.cpu.get_capabilities().get("amx_bf16", False))
    return "bf16-mixed" if is_fast else "32-true"


def fit(
    module: TaskModule,
    loaders: tuple[BatchLoader[Any], Iterable[Any]],
    config: TrainerConfig,
    run_dir: Path,
    resume: bool = False,
) -> FitResult:
    """Train, keep the weights of the best validation loss, write logs and checkpoints.

    Args:
        module: What to train; holds the best weights afterwards.
        loaders: Training and validation batches.
        config: The choices.
        run_dir: `logs/` (CSV and TensorBoard) and `checkpoints/` go here.
        resume: Go on from `checkpoints/last.ckpt`: the same final weights, bit for bit, as the
            training that was never stopped.

    Returns:
        Time, steps and the best validation loss.

    Raises:
        KeyboardInterrupt: Ctrl-C for the second time; after the first, training ends with what it
            has.
    """
    keep_freed_memory()
    module.clipping = config.clipping
    checkpoints = run_dir / "checkpoints"
    last = checkpoints / "last.ckpt"
    if resume and not last.exists():
        logger.warning("%s: stopped before its first checkpoint; starting again", run_dir)
    best = BestWeights(
        checkpoints,
        "best",
        monitor="val_loss",
        save_weights_only=True,
        enable_version_counter=False,
    )
    callbacks: list[pl.Callback] = [best, RandomState(), LoaderState(loaders[0]), ReturnsMemory()]
    callbacks.append(GradientMonitor(run_dir / "logs" / "gradients.json"))
    budget = CpuBudget(60 * config.cpu_minutes, module.optim_config) if config.cpu_minutes else None
    if budget is not None:
        callbacks.append(budget)
    averaged = LastWeights(config.average_last) if config.average_last else None
    if averaged is not None:
        callbacks.append(averaged)
    if config.patience:
        callbacks.append(StaysStopped("val_loss", patience=config.patience, check_finite=True))
    stopper = StopsCleanly(last)
    callbacks += [ResumePoint(last, config.checkpoint_steps), stopper]
    shows_bar = config.progress and shows_bars()
    if shows_bar:
        # On standard error: standard output holds results alone.
        callbacks.append(RichProgressBar(refresh_rate=5, console_kwargs={"stderr": True}))
    checkpoint = last if resume and last.exists() else None
    log = run_dir / "logs" / "metrics.csv"
    rows = earlier_rows(log, last) if checkpoint and log.exists() else []
    csv_logger = CSVLogger(run_dir / "logs", "", "")
    if rows and is_first_process():
        csv_logger.experiment.metrics = rows
        csv_logger.save()
    trainer = pl.Trainer(
        accelerator="auto",
        devices=config.devices,
        num_nodes=config.num_nodes,
        strategy=config.strategy,
        precision=resolve_precision(config.precision),
        max_epochs=config.max_epochs if budget is None else MANY_EPOCHS,
        max_time=timedelta(minutes=config.max_minutes) if config.max_minutes else None,
        callbacks=callbacks,
        plugins=[WholeCheckpoints()],
        logger=[csv_logger, make_logger(config.logger, run_dir)],
        log_every_n_steps=10,
        enable_model_summary=False,
        enable_progress_bar=shows_bar,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    module.train()  # a retrained model comes in evaluation mode, and Lightning leaves it there
    started, cpu_started = time.perf_counter(), time.process_time()
    is_stopped = False
    try:
        trainer.fit(module, *loaders, ckpt_path=checkpoint, weights_only=True)
    except Stopped:
        is_stopped = True
    except Abandoned:
        raise KeyboardInterrupt(f"left at once; go on with --resume --run {run_dir}") from None
    finally:
        stopper.forget()
    seconds = time.perf_counter() - started
    cpu_seconds = time.process_time() - cpu_started if budget is None else budget.used
    score = _load_best(module, best, averaged, loaders[1], config.precision)
    epochs, steps = trainer.current_epoch, trainer.global_step
    end_of_shared_work()
    return FitResult(seconds, cpu_seconds, epochs, steps, score, is_stopped)


def make_logger(name: str, run_dir: Path) -> Logger:
    """The logger of a name that `TrainerConfig` let through."""
    folder = run_dir / "logs"
    match name:
        case "wandb":
            folder.mkdir(parents=True, exist_ok=True)
            return WandbLogger(run_dir.name, folder, project=PROJECT)
        case "mlflow":
            folder.mkdir(parents=True, exist_ok=True)
            own = f"sqlite:///{(folder / 'mlflow.db').resolve()}"
            place = os.environ.get("MLFLOW_TRACKING_URI", own)
            return MLFlowLogger(PROJECT, run_dir.name, tracking_uri=place)
        case _:
            return TensorBoardLogger(folder, "", "")


def _load_best(
    module: TaskModule,
    best: BestWeights,
    averaged: LastWeights | None,
    validation: Iterable[Any],
    precision: str,
) -> float:
    """Put the best weights into the module, the averaged ones if they are; give their val_loss."""
    if not best.best_model_path:  # stopped before the first validation
        return validation_loss(module.eval(), validation, precision)
    # From a resumed training they may stem from an accelerator that this machine has not.
    saved = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    weights = saved["state_dict"]
    score = float(best.best_model_score) if best.best_model_score is not None else float("nan")
    if averaged is not None and len(averaged.kept) > 1:
        mean = averaged.mean()
        module.load_state_dict(mean)
        found = validation_loss(module, validation, precision)
        is_better = found < score
        logger.info(
            "mean of the weights of the last %d validations: val_loss %.4f, single best %.4f: %s",
            len(averaged.kept), found, score, "taken" if is_better else "not taken",
        )  # fmt: skip
        weights, score = (mean, found) if is_better else (weights, score)
    module.load_state_dict(weights)
    module.eval()
    return score


def validation_loss(module: TaskModule, validation: Iterable[Any], precision: str) -> float:
    """The val_loss of the module's weights, computed as in training; nothing is logged."""
    trainer = pl.Trainer(
        accelerator="auto",
        devices=1,
        precision=resolve_precision(precision),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    return float(trainer.validate(module, validation, verbose=False)[0]["val_loss"])
