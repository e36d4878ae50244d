"""What one run of `benchmarks.long_horizon` trains and measures."""

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from pytorch_lightning import seed_everything
from torch import Tensor

from benchmarks.long_horizon_data import HORIZONS, RAW, Task, crps_by_group
from core.clipping import clip_gradients
from core.diagnostics import gradient_by_lag, spread_rows
from core.metrics import pinball_loss
from core.nn.forecaster import Forecaster, ForecasterCell, ForecasterConfig
from core.nn.initialization import Start
from core.nn.recurrent import RecurrentStack
from core.optim import OptimConfig, make_optimizer
from data.windows import Rows

LAGS = (1, 2, 5, 10, 19, 30, 40, 59, 80, 100, 119, 150, 200, 249)
CLIP_NORM, WARMUP = 1.0, 50
STEPS, BATCH_SIZE, HIDDEN_SIZE = 400, 64, 32


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A cell, how it starts and how it is trained.

    Attributes:
        cell: The cell; `linear` has no memory but the means of the last 1, 5, 22 and 60 days.
        start: Its starting weights; `chrono` for as many steps as the context has.
        learning_rate: The peak, the best of RATES on the validation part.
    """

    cell: ForecasterCell
    start: Start
    learning_rate: float


# Chosen by `--rates`; the two other starts take their cell's.
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
VARIANTS = {
    "gru": Variant(cell="gru", start="chrono", learning_rate=3e-3),
    "rnn": Variant(cell="rnn", start="default", learning_rate=3e-3),
    "lstm": Variant(cell="lstm", start="chrono", learning_rate=3e-3),
    "linear": Variant(cell="linear", start="default", learning_rate=1e-2),
    "rnn orthogonal": Variant(cell="rnn", start="orthogonal", learning_rate=3e-3),
    "gru default": Variant(cell="gru", start="default", learning_rate=3e-3),
}


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run.

    Attributes:
        name: Of VARIANTS.
        context: Days that a forecast reads.
        seed: Of the starting weights and of the order of the examples.
        steps: Optimiser steps.
        learning_rate: In place of the variant's; None for the variant's own.
    """

    name: str
    context: int
    seed: int
    steps: int = STEPS
    learning_rate: float | None = None

    @property
    def variant(self) -> Variant:
        """What is trained."""
        own = VARIANTS[self.name]
        return replace(own, learning_rate=self.learning_rate or own.learning_rate)


def make_network(task: Task, job: Job) -> Forecaster:
    """A network with starting weights from the seed."""
    seed_everything(job.seed, verbose=False)
    config = ForecasterConfig(
        cell=job.variant.cell,
        hidden_size=HIDDEN_SIZE,
        start=job.variant.start,
        longest_lag=job.context,
        dropout=0.0,
    )
    network = Forecaster(len(RAW), HORIZONS, config, task.fan)
    # The app believes a correction less the further ahead it reaches. How far ahead a network can
    # see is the question here, so that every horizon is free. The median stays the fan's, as in the
    # app: where it may move as well, the validation part is forecast worse.
    network.members[0].head.reach.fill_(1.0)
    return network


def train(network: Forecaster, task: Task, job: Job) -> list[float]:
    """Train for a fixed number of steps.

    Returns:
        The gradient's norm at every step, before clipping; NaN at a loss that is not finite, which
        ends the training.
    """
    optim = OptimConfig(learning_rate=job.variant.learning_rate, warmup_steps=WARMUP)
    made = make_optimizer(network, optim, job.steps)
    optimizer, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]
    random = np.random.default_rng(job.seed)  # every variant sees the same examples in this order
    rows = task.rows("train")
    norms: list[float] = []
    network.train()
    for _ in range(job.steps):
        batch = task.batch(random.choice(rows, BATCH_SIZE), job.context)
        loss = pinball_loss(network(batch.inputs), batch.target / batch.scale, network.levels)
        if not torch.isfinite(loss):
            return [*norms, math.nan]
        optimizer.zero_grad()
        loss.backward()
        norm = clip_gradients(network.parameters(), norm=CLIP_NORM, value=0.0, adaptive=0.0)
        norms.append(float(norm))
        optimizer.step()
        scheduler.step()
    return norms


def forecast(network: Forecaster, task: Task, rows: Rows, context: int) -> Tensor:
    """Quantiles of the cumulative return, (B, P, Q)."""
    network.eval()
    pieces = []
    with torch.inference_mode():
        for part in np.array_split(rows, max(len(rows) // 512, 1)):
            batch = task.batch(part, context)
            pieces.append(network(batch.inputs) * batch.scale[..., None])
    return torch.cat(pieces)


def lag_shares(network: Forecaster, task: Task, context: int) -> dict[str, float]:
    """The gradient at LAGS over that at lag 1: of an LSTM's cell state, of a hidden state else.

    Empty for the linear network, which has no state.
    """
    rows = task.scored("test")
    inputs = task.batch(rows[spread_rows(len(rows))], context).inputs
    if not isinstance(network.encoder, RecurrentStack):
        return {}
    curve = gradient_by_lag(network.encoder, inputs)[-1]  # the cell state comes last
    return {str(lag): float(f"{curve.share(lag):.3g}") for lag in LAGS if lag < context}


def measure(task: Task, job: Job, part: str = "test") -> dict[str, Any]:
    """Train, and describe the run in a row.

    Args:
        task: The data.
        job: What to train.
        part: What it is scored on, beside a sample of the training days.
    """
    started = time.process_time()
    network = make_network(task, job)
    before = lag_shares(network, task, job.context)
    norms = train(network, task, job)
    row: dict[str, Any] = {
        "name": job.name,
        "context": job.context,
        "seed": job.seed,
        "steps": job.steps,
        "learning_rate": job.variant.learning_rate,
        "parameters": sum(p.numel() for p in network.parameters()),
        "is_finite": bool(np.isfinite(norms).all()),
    }
    if row["is_finite"]:
        row["median_norm"] = float(f"{np.median(norms):.2g}")
        row["largest_norm"] = float(f"{np.max(norms):.2g}")
        for scored in ("train", part):
            rows = task.scored(scored)
            scores = crps_by_group(forecast(network, task, rows, job.context), task, rows)
            row |= {f"{scored} {group}": score for group, score in scores.items()}
        row |= {"lag_before": before, "lag_after": lag_shares(network, task, job.context)}
    return {**row, "cpu_seconds": round(time.process_time() - started, 1)}
