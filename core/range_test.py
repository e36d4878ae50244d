"""Learning-rate range test: train a copy at a rising rate and see where the loss falls."""

import copy
import io
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.tuner import Tuner
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from core.loading import BatchLoader
from core.modules import TaskModule
from core.training import TrainerConfig, resolve_precision

FEWEST_STEPS = 20
NUM_START = 10  # the first steps, whose mean loss is where the fall starts
SMOOTHING = 0.04  # of all steps: the width of the Gaussian that smooths the losses
CERTAINTY = 3.0  # standard errors by which the loss must fall


@dataclass(frozen=True)
class RangeTest:
    """What a range test saw.

    Attributes:
        rates: The learning rates of the steps, rising, until the loss blew up or was not finite.
        losses: The training loss at each, smoothed over its neighbours, in the loss's own unit,
            with the penalties that were chosen.
        suggestion: The one of the rates at which the loss falls fastest per factor of the rate;
            None where it does not fall by more than chance.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float | None


def range_test(
    module: TaskModule,
    loader: BatchLoader[Any],
    config: TrainerConfig = TrainerConfig(),
    *,
    min_rate: float = 1e-6,
    max_rate: float = 1.0,
    num_steps: int = 100,
) -> RangeTest:
    """Find a learning rate in one short training (Smith 2017, arXiv:1506.01186, section 3.3).

    A copy is trained with a rate that rises by the same factor in every step. The module, the
    loader's place and every random generator stay as they were; no bar is drawn, no file stays.

    Lightning's Tuner runs it, but does not judge it: its suggestion takes the slope over the rate
    itself, in which chance at the smallest rates outweighs everything, of an average that lags 50
    steps. Take the suggestion over with `dataclasses.replace(optim, learning_rate=suggestion)`.

    Args:
        module: What is to be trained.
        loader: Training batches; it starts again as often as the steps need it.
        config: Its clipping and precision are used.
        min_rate: The first step's rate, positive; so small that nothing is learned.
        max_rate: The last step's rate, above `min_rate`.
        num_steps: Optimiser steps, at least 20.

    Returns:
        The curve and the suggested rate.

    Raises:
        ValueError: Rates or steps out of range, or a loss that is not finite from the start.
    """
    if not 0 < min_rate < max_rate:
        raise ValueError(f"min_rate={min_rate} must be positive and below max_rate={max_rate}")
    if num_steps < FEWEST_STEPS:
        raise ValueError(f"num_steps={num_steps} must be at least {FEWEST_STEPS}")
    trial = copy.deepcopy(module).train()
    trial.clipping = config.clipping
    losses = _record_losses(trial)
    place = loader.state_dict()
    # The Tuner cannot be told to draw no bar (on standard error), nor to save no checkpoint.
    with tempfile.TemporaryDirectory() as folder, redirect_stderr(io.StringIO()):
        trainer = pl.Trainer(
            accelerator="auto",
            devices=1,
            precision=resolve_precision(config.precision),
            max_epochs=-1,
            max_steps=num_steps,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            default_root_dir=folder,
        )
        try:
            # It puts the random generators back, and sets the rate in the optimiser; an attribute
            # of the module is for update_attr alone, which puts Lightning's own suggestion there.
            found = Tuner(trainer).lr_find(
                trial,
                loader,
                min_lr=min_rate,
                max_lr=max_rate,
                num_training=num_steps,
                update_attr=False,
            )
        finally:
            loader.load_state_dict(place)
    assert found is not None
    return judge(found.results["lr"][: len(losses)], losses)


def judge(rates: Sequence[float], losses: Sequence[float]) -> RangeTest:
    """Smooth the losses of a range test and find where they fall fastest.

    Args:
        rates: Learning rates, rising by the same factor, positive.
        losses: Training loss at each; what follows the first that is not finite is left out.

    Raises:
        ValueError: Fewer than 20 finite losses.
    """
    is_finite = np.isfinite(losses)
    num_kept = len(losses) if is_finite.all() else int(is_finite.argmin())
    if num_kept < FEWEST_STEPS:
        raise ValueError(
            f"the loss was finite and bounded for {num_kept} steps, a range test needs "
            f"{FEWEST_STEPS}; lower min_rate, raise num_steps or look at the data"
        )
    kept, raw = np.array(rates[:num_kept]), np.array(losses[:num_kept])
    smooth = gaussian_filter1d(raw, SMOOTHING * num_kept, mode="reflect")
    return RangeTest(tuple(kept.tolist()), tuple(smooth.tolist()), _suggest(kept, raw, smooth))


def _suggest(rates: np.ndarray, raw: np.ndarray, smooth: np.ndarray) -> float | None:
    lowest = int(smooth.argmin())
    if lowest < NUM_START:
        return None
    start = raw[:NUM_START].mean()
    fall = start - smooth[lowest]
    # A Gaussian average has the variance of a plain one over 2 sqrt(pi) times its width.
    num_averaged = 2 * np.sqrt(np.pi) * SMOOTHING * len(raw)
    noise = (raw - smooth)[: lowest + 1].std()
    if fall <= CERTAINTY * noise * np.sqrt(1 / NUM_START + 1 / num_averaged):
        return None
    # Only where it goes from a tenth to nine tenths of the fall: elsewhere slopes are chance.
    end = int((smooth <= start - 0.9 * fall).argmax())
    above = np.flatnonzero(smooth[:end] >= start - 0.1 * fall)
    begin = int(above[-1]) if len(above) else 0
    slopes = np.gradient(smooth, np.log(rates))
    return float(rates[begin + slopes[begin : end + 1].argmin()])


def _record_losses(module: TaskModule) -> list[float]:
    """The list that every training loss is added to from now on."""
    losses: list[float] = []
    training_step: Any = module.training_step

    def recorded(batch: Any, batch_idx: int) -> Tensor:  # Lightning looks for these names
        loss: Tensor = training_step(batch, batch_idx)
        losses.append(float(loss.detach()))
        return loss

    module.training_step = recorded  # type: ignore[method-assign]
    return losses
