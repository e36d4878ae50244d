"""GradientMonitor: logs what the gradients of a training do, and tells it at the end."""

import logging
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from core.clipping import Clipping
from core.diagnostics import describe_lags, gradient_by_lag, gradient_norms, spectral_radius
from core.files import write_json
from core.gradient_history import GradientHistory
from core.modules import TaskModule
from core.nonfinite import advise, find_nonfinite, spoilt_part
from core.watching import StackWatch, recurrent_stacks

logger = logging.getLogger(__name__)
SATURATED = 0.5  # share of a gate's values from which on it is worth a word


class GradientMonitor(pl.Callback):
    """Logs what the gradients do, stops at a loss that is not finite, and sums up at the end.

    Weights, gradients and random numbers stay as they would be without it, but where a gradient is
    not finite: it is dropped, so that the optimiser leaves the weights alone.

    At the first step and every `interval` steps after it are logged, under the step's number:
    `gradient/<module>` (norm of the gradient of its own parameters before clipping),
    `gradient_clipped/<module>` (after it, where clipping is on), `clipped_share` and
    `nonfinite_steps` (since the training began), `saturation/<cell>.<gate>` (over the real steps
    of four rows) and `spectral_radius/<cell>.<gate>`.

    Args:
        path: Where the summary goes, `gradients.json`.
        interval: Optimiser steps from one row of the log to the next, at least 1.

    Attributes:
        summary: What was seen, in plain containers; empty until the training has ended.
    """

    def __init__(self, path: Path, interval: int = 50) -> None:
        if interval < 1:
            raise ValueError(f"interval={interval} must be at least 1 step")
        self.path = path
        self.interval = interval
        self.summary: dict[str, Any] = {}
        self._history = GradientHistory()
        self._cells: dict[str, float] = {}  # the newest saturation and spectral radius
        self._inputs: dict[str, tuple[int, Tensor]] = {}  # epoch, and rows that a stack read
        self._watches: dict[str, StackWatch] = {}
        self._batch: tuple[Any, int] = (None, 0)
        self._loss = torch.zeros(())
        self._gradients: list[Tensor] = []
        self._norm: float | None = None
        self._row: dict[str, float] | None = None

    def state_dict(self) -> dict[str, Any]:
        """What the summary is made of, so that a resumed training goes on counting."""
        inputs = {name: list(kept) for name, kept in self._inputs.items()}
        return {"history": asdict(self._history), "cells": dict(self._cells), "inputs": inputs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self._history = GradientHistory(**state_dict["history"])
        self._cells = dict(state_dict["cells"])
        self._inputs = {name: (epoch, x) for name, (epoch, x) in state_dict["inputs"].items()}

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Watch the stacks in a step that is logged."""
        self._batch = (batch, batch_idx)
        if trainer.global_step % self.interval == 0:
            stacks = recurrent_stacks(pl_module)
            self._watches = {name: StackWatch(stack, batch) for name, stack in stacks.items()}

    def on_before_backward(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor
    ) -> None:
        """Note the loss."""
        self._loss = loss.detach()

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Look at loss and gradient before anything is clipped or stepped.

        Raises:
            ValueError: The loss is not finite.
        """
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._gradients = [p.grad for p in parameters if p.grad is not None]
        norm = nn.utils.get_total_norm(self._gradients)
        if not math.isfinite(loss := float(self._loss)):
            rate = optimizer.param_groups[0]["lr"]
            raise ValueError(self._explain(trainer, pl_module, loss, rate))
        self._norm = float(norm)
        if trainer.global_step % self.interval == 0:
            self._row = self._measure(trainer, pl_module)
        if not math.isfinite(self._norm):
            if self._history.nonfinite == 0:
                logger.warning(
                    "step %d: the gradient is not finite; the step is left out, as are all such",
                    trainer.global_step,
                )
            optimizer.zero_grad(set_to_none=True)  # a parameter without a gradient is not moved

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the step, and log it where it was measured."""
        self._release()
        if self._norm is None:
            return  # gradients are being accumulated
        clipping = clipping_of(pl_module)
        self._history.add(self._norm, self._is_clipped(self._norm, clipping))
        if self._row is not None:
            if clipping != Clipping():
                after = gradient_norms(pl_module)
                self._row |= {f"gradient_clipped/{name}": norm for name, norm in after.items()}
            self._row["clipped_share"] = self._history.clipped_share
            self._row["nonfinite_steps"] = self._history.nonfinite
            for metrics_logger in trainer.loggers:
                # The number that Lightning gives the step: a resumed log is cut there.
                metrics_logger.log_metrics(self._row, step=trainer.global_step - 1)
                metrics_logger.save()
        self._norm, self._row, self._gradients = None, None, []

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Leave the stacks as they were."""
        self._release()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Sum up; also where a finished training was resumed and no step was left to take."""
        if not trainer.is_global_zero:
            return
        self.summary = self._summarize(pl_module)
        write_json(self.path, self.summary)
        for line in self.summary["words"]:
            logger.info(line)

    def _measure(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, float]:
        """A row of the log, from the weights that the gradient belongs to."""
        self._cells = {}
        for name, watch in self._watches.items():
            for place, share in watch.saturation().items():
                self._cells[f"saturation/{name}.{place}"] = share
            for place, cell in watch.places():
                for gate, radius in spectral_radius(cell).items():
                    self._cells[f"spectral_radius/{name}.{place}.{gate}"] = radius
            if watch.inputs is not None:
                # The longest of the epoch: it shows the most lags.
                epoch, kept = self._inputs.get(name, (-1, watch.inputs))
                if trainer.current_epoch > epoch or watch.inputs.size(1) >= kept.size(1):
                    self._inputs[name] = (trainer.current_epoch, watch.inputs)
        norms = gradient_norms(pl_module)
        return {**{f"gradient/{name}": norm for name, norm in norms.items()}, **self._cells}

    def _is_clipped(self, norm: float, clipping: Clipping) -> bool:
        if clipping.value or clipping.adaptive:
            # Clipping is done in place; the norm of the same numbers would be the same.
            return float(nn.utils.get_total_norm(self._gradients)) < norm
        return 0 < clipping.norm < norm

    def _explain(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: float, rate: float
    ) -> str:
        batch, number = self._batch
        self._release()

        def run() -> None:
            with trainer.precision_plugin.train_step_context():
                pl_module.training_step(batch, number)

        where = (
            f"training stopped at epoch {trainer.current_epoch}, batch {number} (both from 0), "
            f"before its step: the loss is {loss}"
        )
        if part := spoilt_part(batch):
            return f"{where}, {part} holds a number that is not finite; mend the data"
        origin = find_nonfinite(pl_module, run)
        return f"{where}, {origin}; {advise(clipping_of(pl_module), rate)}"

    def _release(self) -> None:
        for watch in self._watches.values():
            watch.close()
        self._watches = {}

    def _summarize(self, pl_module: pl.LightningModule) -> dict[str, Any]:
        clipping = clipping_of(pl_module)
        started = time.perf_counter()
        lags: list[dict[str, Any]] = []
        words = self._history.words(clipping)
        for name, stack in recurrent_stacks(pl_module).items():
            x = self._inputs[name][1] if name in self._inputs else torch.empty(0, 0)
            if x.size(1) < 3:
                continue  # nothing captured, or a single lag, which compares with none
            curves = gradient_by_lag(stack, x)
            lags += [{"module": name, **asdict(curve)} for curve in curves]
            first = [curve for curve in curves if curve.layer == 0][-1]  # the cell state comes last
            words.append(f"{name}, {first.state} state: {describe_lags(first)}")
        seconds = time.perf_counter() - started
        stuck = [
            f"{place.removeprefix('saturation/')} {100 * share:.0f} %"
            for place, share in self._cells.items()
            if place.startswith("saturation/") and share > SATURATED
        ]
        if stuck:
            words.append(f"values near an end of their range: {', '.join(stuck)}")
        return {
            **self._history.summary(),
            "clipping": asdict(clipping),
            "cells": dict(self._cells),
            "lags": lags,
            "lag_seconds": seconds,
            "words": words,
        }


def clipping_of(module: pl.LightningModule) -> Clipping:
    """A module's thresholds; a module that has none does not clip."""
    return module.clipping if isinstance(module, TaskModule) else Clipping()
