"""Small monitored trainings that several tests read."""

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning import seed_everything
from torch import Tensor, nn

from core import training
from core.batch import ForecastBatch, Seq2SeqBatch
from core.loading import BatchLoader
from core.modules import ForecastModule, Seq2SeqModule, TaskModule
from core.monitor import GradientMonitor
from core.nn.forecaster import LEVELS, ForecasterConfig
from core.nn.seq2seq import Seq2SeqConfig
from core.optim import OptimConfig
from core.training import TrainerConfig, fit

NUM_ROWS, NUM_BATCHES = 24, 6
OPTIM = OptimConfig(learning_rate=0.02, warmup_steps=2)
Hook = Callable[[int, TaskModule], None]


def forecast_batch(rows: np.ndarray) -> ForecastBatch:
    generator = torch.Generator().manual_seed(7)
    inputs = torch.randn(NUM_ROWS, 6, 3, generator=generator)[torch.from_numpy(rows)]
    return ForecastBatch(inputs, torch.ones(len(rows), 2), inputs[:, -1, :2].clone())


def seq2seq_batch(rows: np.ndarray) -> Seq2SeqBatch:
    generator = torch.Generator().manual_seed(7)
    source = torch.randint(3, 12, (NUM_ROWS, 7), generator=generator)[torch.from_numpy(rows)]
    lengths = torch.from_numpy(4 + rows % 4)  # 4 to 7
    source[torch.arange(7) >= lengths.unsqueeze(1)] = 0
    ends = torch.full((len(rows), 1), 2)
    target = torch.cat([torch.ones_like(ends), source[:, :4], ends], dim=1)
    return Seq2SeqBatch(source, lengths, target)


class Observed:
    """Mixed into a module: calls a hook after backward and notes gradients and weights."""

    hook: Hook | None = None

    def on_after_backward(self) -> None:
        self.steps = getattr(self, "steps", 0) + 1
        if self.hook is not None:
            self.hook(self.steps - 1, self)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.before = [*getattr(self, "before", []), self.gradients()]
        self.weights = [*getattr(self, "weights", []), weights_of(self)]

    def on_train_batch_end(self, *_: Any) -> None:
        self.after = [*getattr(self, "after", []), self.gradients()]

    def gradients(self) -> dict[str, Tensor]:
        return {n: p.grad.clone() for n, p in self.named_parameters() if p.grad is not None}


class ObservedForecast(Observed, ForecastModule):
    pass


class ObservedSeq2Seq(Observed, Seq2SeqModule):
    pass


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def forecast_module(**options: Any) -> ObservedForecast:
    seed_everything(3, verbose=False)
    fan = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(LEVELS)).expand(2, -1)
    config = ForecasterConfig(
        shift=True, **{"hidden_size": 5, "num_layers": 2, "dropout": 0.3, **options}
    )
    return ObservedForecast(3, (1, 5), config, OPTIM, fan)


def seq2seq_module(**options: Any) -> ObservedSeq2Seq:
    seed_everything(3, verbose=False)
    config = Seq2SeqConfig(**{"hidden_size": 8, "embedding_size": 8, "dropout": 0.3, **options})
    return ObservedSeq2Seq(12, config, OPTIM)


def train(
    monkeypatch: pytest.MonkeyPatch,
    run_dir: Path,
    module: TaskModule,
    *,
    interval: int = 2,
    resume: bool = False,
    is_monitored: bool = True,
    collate: Callable[[np.ndarray], Any] | None = None,
    **options: Any,
) -> tuple[GradientMonitor, pd.DataFrame]:
    """A small training through fit(); the monitor that it made, and the log."""
    made: list[Any] = []

    def make(path: Path) -> pl.Callback:
        made.append(GradientMonitor(path, interval) if is_monitored else pl.Callback())
        return made[0]

    monkeypatch.setattr(training, "GradientMonitor", make)
    given = forecast_batch if isinstance(module, ForecastModule) else seq2seq_batch
    loaders = (
        BatchLoader(plan, given if collate is None else collate, seed=1),
        BatchLoader(lambda _: [np.arange(8)], given),
    )
    config = {"max_epochs": 2, "patience": 0, "precision": "32-true", "progress": False, **options}
    fit(module, loaders, TrainerConfig(**config), run_dir, resume)
    return made[0], pd.read_csv(run_dir / "logs" / "metrics.csv")


def plan(generator: np.random.Generator) -> list[np.ndarray]:
    return np.split(generator.permutation(NUM_ROWS), NUM_BATCHES)


def rows_of(log: pd.DataFrame) -> pd.DataFrame:
    return log.dropna(subset="clipped_share").set_index("step")


def total_norm(gradients: dict[str, Tensor]) -> float:
    return math.sqrt(sum(float(g.double().square().sum()) for g in gradients.values()))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Modules that note what happens to them, their batches, and `train`."""

    def trained(run_dir: Path, module: TaskModule, **options: Any) -> Any:
        return train(monkeypatch, run_dir, module, **options)

    return SimpleNamespace(
        num_batches=NUM_BATCHES,
        plan=plan,
        forecast_batch=forecast_batch,
        forecast_module=forecast_module,
        seq2seq_module=seq2seq_module,
        weights_of=weights_of,
        rows_of=rows_of,
        total_norm=total_norm,
        train=trained,
    )
