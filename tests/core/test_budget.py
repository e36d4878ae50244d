"""A CPU budget: when it stops, what the rates are, how it resumes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning import seed_everything

from core import budget
from core.batch import Seq2SeqBatch
from core.budget import CpuBudget
from core.loading import BatchLoader
from core.modules import Seq2SeqModule
from core.nn.seq2seq import Seq2SeqConfig
from core.optim import OptimConfig, warmup_cosine
from core.training import FitResult, TrainerConfig, fit

OPTIM = OptimConfig(learning_rate=0.02, warmup_steps=4)
PEAK = OPTIM.learning_rate
NUM_BATCHES = 6


class Rates(Seq2SeqModule):
    """Notes the rate of every step."""

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        rates = getattr(self, "rates", [])
        self.rates = [*rates, self.trainer.optimizers[0].param_groups[0]["lr"]]


def trained(
    monkeypatch: pytest.MonkeyPatch,
    run_dir: Path,
    pace: Any = lambda step: step,
    optim: OptimConfig = OPTIM,
    resume: bool = False,
    **options: Any,
) -> tuple[Rates, FitResult]:
    """A training on a clock that says `pace(step)` seconds after so many batches."""
    steps = 0

    def collate(rows: np.ndarray) -> Any:
        nonlocal steps
        steps += 1
        return batch(rows)

    clock = SimpleNamespace(process_time=lambda: 1000 + pace(steps))
    monkeypatch.setattr(budget, "time", clock)
    seed_everything(3, verbose=False)
    module = Rates(12, Seq2SeqConfig(hidden_size=8, embedding_size=8), optim)
    plan = [np.arange(4)] * NUM_BATCHES
    loaders = (BatchLoader(lambda _: plan, collate), BatchLoader(lambda _: [np.arange(4)], batch))
    config = {"patience": 0, "precision": "32-true", "progress": False, **options}
    return module, fit(module, loaders, TrainerConfig(**config), run_dir, resume)


def batch(rows: np.ndarray) -> Any:
    source = torch.randint(3, 12, (len(rows), 5), generator=torch.Generator().manual_seed(7))
    target = torch.cat([torch.ones(4, 1).long(), source[:, :3], torch.full((4, 1), 2)], dim=1)
    return Seq2SeqBatch(source, torch.full((len(rows),), 5), target)


def test_the_budget_ends_the_training_and_not_the_epochs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, result = trained(monkeypatch, tmp_path, max_epochs=1, cpu_minutes=40 / 60)
    # The loader is one batch ahead, which the clock counts.
    assert result.steps == pytest.approx(40, abs=1)
    assert result.cpu_seconds == pytest.approx(40, abs=1)
    assert np.isfinite(result.val_loss)


def test_a_steady_pace_gives_the_rates_of_a_training_of_as_many_steps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module, result = trained(monkeypatch, tmp_path, cpu_minutes=1.0)
    expected = [PEAK * warmup_cosine(step, 4, 60, OPTIM.final_share) for step in range(60)]
    assert module.rates == pytest.approx(expected[: result.steps], abs=0.1 * PEAK)
    assert module.rates[-1] < 0.03 * PEAK
    assert max(module.rates) > 0.99 * PEAK


def test_a_machine_that_slows_down_still_ends_its_schedule(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def slower(step: int) -> float:
        return min(step, 20) + 4 * max(step - 20, 0)

    module, result = trained(monkeypatch, tmp_path, slower, cpu_minutes=1.0)
    assert result.steps == pytest.approx(30, abs=1)
    assert module.rates[-1] < 0.1 * PEAK
    assert all(a > b for a, b in zip(module.rates[8:], module.rates[9:], strict=False))


def test_a_resumed_training_goes_on_counting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = CpuBudget.on_train_batch_end

    def interrupt(self: CpuBudget, trainer: pl.Trainer, *rest: Any) -> None:
        real(self, trainer, *rest)
        if trainer.global_step == 20:
            raise RuntimeError("killed")

    options = {"cpu_minutes": 40 / 60, "checkpoint_steps": 5}
    with monkeypatch.context() as patch:
        patch.setattr(CpuBudget, "on_train_batch_end", interrupt)
        with pytest.raises(RuntimeError, match="killed"):
            trained(monkeypatch, tmp_path, **options)
    module, result = trained(monkeypatch, tmp_path, resume=True, **options)
    assert result.steps == pytest.approx(40, abs=3)
    assert len(module.rates) == pytest.approx(25, abs=3)
    assert module.rates[0] < PEAK
    again, second = trained(monkeypatch, tmp_path, resume=True, **options)
    assert second.steps == result.steps
    assert second.val_loss == result.val_loss
    assert not hasattr(again, "rates")


@pytest.mark.parametrize("schedule", ["plateau", "constant"])
def test_schedules_without_a_length_stay_as_they_are(
    schedule: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    optim = OptimConfig(schedule=schedule)
    module, result = trained(monkeypatch, tmp_path, optim=optim, cpu_minutes=0.2)
    assert result.steps == pytest.approx(12, abs=1)
    assert module.rates[0] == optim.learning_rate


@pytest.mark.parametrize("schedule", ["one_cycle", "step"])
def test_a_schedule_of_fixed_length_is_refused(schedule: Any) -> None:
    with pytest.raises(ValueError, match=f"schedule='{schedule}'.*choose warmup_cosine"):
        CpuBudget(60.0, OptimConfig(schedule=schedule))


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cpu_minutes=-1\.0"):
        TrainerConfig(cpu_minutes=-1.0)


def test_the_real_clock_counts_cpu_time_and_not_waiting() -> None:
    import time

    running = CpuBudget(60.0, OPTIM)
    running._started = time.process_time()
    time.sleep(0.3)
    assert running.used < 0.2
