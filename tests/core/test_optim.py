import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from core.batch import ForecastBatch
from core.loading import BatchLoader
from core.modules import ForecastModule
from core.nn.forecaster import LEVELS, ForecasterConfig
from core.optim import OptimConfig, make_optimizer, warmup_cosine
from core.resuming import PlateauSchedule
from core.training import TrainerConfig, fit

TOTAL, WARMUP = 100, 10


def rates(config: OptimConfig, total: int) -> list[float]:
    """The learning rate of every optimiser step."""
    made = make_optimizer(nn.Linear(2, 2), config, total)
    optimizer, found = made["optimizer"], []
    for _ in range(total):
        assert len({group["lr"] for group in optimizer.param_groups}) == 1
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if "lr_scheduler" in made:
            made["lr_scheduler"]["scheduler"].step()
    return found


def test_the_rate_rises_to_the_peak_and_falls_to_the_final_share() -> None:
    shares = [warmup_cosine(step, WARMUP, TOTAL, 0.02) for step in range(TOTAL + 1)]
    assert 0 < shares[0] < 0.2
    assert shares[WARMUP] == max(shares) == 1.0
    assert shares[-1] == pytest.approx(0.02)
    assert all(a < b for a, b in pairwise(shares[: WARMUP + 1]))
    assert all(a > b for a, b in pairwise(shares[WARMUP:]))


def test_the_rate_stays_at_the_final_share_past_the_end() -> None:
    assert warmup_cosine(5 * TOTAL, WARMUP, TOTAL, 0.1) == pytest.approx(0.1)


@pytest.mark.parametrize("total", [1, 2, 9, 10, 50])
def test_warm_up_takes_at_most_a_tenth_of_a_short_training(total: int) -> None:
    shares = [warmup_cosine(step, 200, total, 0.02) for step in range(total)]
    assert shares.index(max(shares)) <= total // 10
    assert max(shares) == 1.0


def test_the_optimizer_follows_the_schedule_step_by_step() -> None:
    config = OptimConfig(learning_rate=0.5, warmup_steps=WARMUP, final_share=0.1)
    expected = [0.5 * warmup_cosine(step, WARMUP, TOTAL, 0.1) for step in range(TOTAL)]
    assert rates(config, TOTAL) == pytest.approx(expected)
    made = make_optimizer(nn.Linear(2, 2), config, TOTAL)
    assert made["lr_scheduler"]["interval"] == "step"


def test_one_cycle_rises_from_a_25th_for_30_percent_and_falls_to_nearly_zero() -> None:
    found = rates(OptimConfig(learning_rate=0.5, schedule="one_cycle"), TOTAL)
    turn, end = 0.3 * TOTAL - 1, TOTAL - 1
    for step, rate in enumerate(found):
        low = 0.5 / 25 if step <= turn else 0.5 / 25 / 1e4
        way = step / turn if step <= turn else (end - step) / (end - turn)
        assert rate == pytest.approx(low + (0.5 - low) * (1 - math.cos(math.pi * way)) / 2)
    assert max(found) == found[29] == 0.5


@pytest.mark.parametrize("total", [1, 2, 3, 10, 11])
@pytest.mark.parametrize("schedule", ["one_cycle", "step"])
def test_a_schedule_bears_a_short_training(schedule: str, total: int) -> None:
    found = rates(OptimConfig(learning_rate=0.5, schedule=schedule), total)
    assert all(0 < rate <= 0.5 for rate in found)


def test_one_cycle_leaves_the_momentum_as_chosen() -> None:
    config = OptimConfig(optimizer="sgd", momentum=0.6, schedule="one_cycle")
    groups = make_optimizer(nn.Linear(2, 2), config, 10)["optimizer"].param_groups
    assert [group["momentum"] for group in groups] == [0.6, 0.6]


def test_step_multiplies_the_rate_after_every_share_of_the_training() -> None:
    config = OptimConfig(learning_rate=0.5, schedule="step", step_factor=0.2, step_share=0.25)
    expected = [0.5 * 0.2 ** (step // 25) for step in range(TOTAL)]
    assert rates(config, TOTAL) == pytest.approx(expected)


def test_constant_stays_at_the_peak() -> None:
    assert rates(OptimConfig(learning_rate=0.5, schedule="constant"), TOTAL) == [0.5] * TOTAL


def test_sgd_moves_by_the_rate_times_gradient_decay_and_momentum() -> None:
    model = nn.Linear(2, 1)
    model.weight.data, model.bias.data = torch.tensor([[1.0, -2.0]]), torch.tensor([3.0])
    options = {"learning_rate": 0.1, "momentum": 0.5, "weight_decay": 0.2}
    config = OptimConfig(optimizer="sgd", schedule="constant", **options)
    optimizer = make_optimizer(model, config, 10)["optimizer"]
    model.weight.grad, model.bias.grad = torch.tensor([[4.0, 0.0]]), torch.tensor([1.0])
    optimizer.step()  # weight: 1 - 0.1 * (4 + 0.2 * 1), -2 - 0.1 * 0.2 * -2
    torch.testing.assert_close(model.weight.data, torch.tensor([[0.58, -1.96]]))
    torch.testing.assert_close(model.bias.data, torch.tensor([2.9]))
    optimizer.step()  # directions: 4.116 + 0.5 * 4.2, -0.392 + 0.5 * -0.4, 1 + 0.5 * 1
    torch.testing.assert_close(model.weight.data, torch.tensor([[-0.0416, -1.9008]]))
    torch.testing.assert_close(model.bias.data, torch.tensor([2.75]))


def test_matrices_are_decayed_and_biases_are_not() -> None:
    torch.manual_seed(0)
    model = nn.GRU(3, 4)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    config = OptimConfig(learning_rate=0.1, weight_decay=0.5, warmup_steps=0)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    made = make_optimizer(model, config, 10)
    made["optimizer"].step()
    for name, parameter in model.named_parameters():
        kept = 1.0 if "bias" in name else 1 - 0.1 * 0.5
        torch.testing.assert_close(parameter.detach(), kept * before[name])


def test_every_trainable_parameter_is_moved_and_no_frozen_one() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    model[0].weight.requires_grad_(False)
    groups = make_optimizer(model, OptimConfig(), 10)["optimizer"].param_groups
    moved = [id(p) for group in groups for p in group["params"]]
    assert sorted(moved) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def plateau_rates(losses: list[float]) -> list[float]:
    """The rate after each validation, with the schedule driven by a real training."""
    rates, following = [], iter([*losses, 0.0])

    class Plain(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def configure_optimizers(self) -> Any:
            return make_optimizer(self, OptimConfig(learning_rate=0.8, schedule="plateau"), 10)

        def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
            return self.layer(batch).sum()

        def validation_step(self, batch: torch.Tensor, _: int) -> None:
            self.log("val_loss", next(following))

        def on_train_epoch_start(self) -> None:
            rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])

    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    quiet |= {"enable_model_summary": False, "num_sanity_val_steps": 0}
    trainer = pl.Trainer(
        max_epochs=len(losses) + 1, callbacks=[PlateauSchedule()], accelerator="cpu", **quiet
    )
    trainer.fit(Plain(), DataLoader(torch.ones(1, 2)), DataLoader(torch.ones(1, 2)))
    return rates[1:]


def test_plateau_keeps_the_rate_while_the_loss_falls_and_halves_it_when_it_stalls() -> None:
    assert plateau_rates([5.0, 4.0, 3.0, 2.0, 1.0]) == [0.8] * 5
    stalled = plateau_rates([1.0] * 7)
    assert stalled == sorted(stalled, reverse=True)
    assert {0.8, 0.4, 0.2} <= set(stalled)


def test_plateau_halves_after_two_epochs_without_a_better_loss() -> None:
    assert plateau_rates([1.0, 1.0, 1.0]) == [0.8, 0.8, 0.4]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0"),
        ({"warmup_steps": -1}, "warmup_steps=-1"),
        ({"final_share": 1.5}, "final_share=1.5"),
        ({"schedule": "plateu"}, "schedule='plateu'.*choose warmup_cosine, plateau, one_cycle"),
        ({"optimizer": "adam"}, "optimizer='adam'.*choose adamw or sgd"),
        ({"optimizer": "sgd", "momentum": 1.0}, "momentum=1.0"),
        ({"momentum": 0.9}, "momentum=0.9 is for sgd.*choose optimizer=sgd"),
        ({"l1": -1.0}, "l1=-1.0"),
        ({"l2": float("nan")}, "l2=nan"),
        ({"step_factor": 1.0}, "step_factor=1.0"),
        ({"step_share": 0.0}, "step_share=0.0"),
    ],
)
def test_a_wrong_choice_is_named(options: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        OptimConfig(**options)


def train(run_dir: Path, optim: OptimConfig, resume: bool = False, stop_at: int = -1) -> Any:
    """Three epochs of five batches; the batch number `stop_at` breaks the training off."""
    torch.manual_seed(0)
    fan = torch.linspace(-1, 1, len(LEVELS)).expand(1, -1)
    config = ForecasterConfig(hidden_size=4, num_layers=2, dropout=0.3)
    module, num_made = ForecastModule(2, (1,), config, optim, fan), 0

    def collate(rows: np.ndarray) -> ForecastBatch:
        nonlocal num_made
        num_made += 1
        if num_made == stop_at:
            raise InterruptedError
        data = torch.from_numpy(np.random.default_rng(rows).standard_normal((4, 3, 2))).float()
        return ForecastBatch(data, torch.ones(4, 1), data[:, -1, :1])

    loader = BatchLoader(lambda drawn: list(drawn.permutation(20).reshape(5, 4)), collate)
    validation = BatchLoader(lambda _: [np.arange(4)], collate)
    trainer = TrainerConfig(max_epochs=3, checkpoint_steps=2, precision="32-true", progress=False)
    fit(module, (loader, validation), trainer, run_dir, resume)
    return torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)


def assert_equal(found: Any, expected: Any) -> None:
    """Nested plain containers with the same tensors, bit for bit."""
    assert type(found) is type(expected)
    if isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected)
    elif isinstance(expected, (dict, list, tuple)):
        assert len(found) == len(expected)
        for key in expected if isinstance(expected, dict) else range(len(expected)):
            assert_equal(found[key], expected[key])
    else:
        assert found == expected


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["warmup_cosine", "plateau", "one_cycle", "step", "constant"])
@pytest.mark.parametrize("stop_at", [5, 10])
def test_a_training_that_broke_off_ends_bit_equal_when_resumed(
    optimizer: str, schedule: str, stop_at: int, tmp_path: Path
) -> None:
    options = {"learning_rate": 0.1, "warmup_steps": 1, "step_share": 0.2, "l1": 1e-3, "l2": 1e-3}
    momentum = 0.9 if optimizer == "sgd" else 0.0
    config = OptimConfig(optimizer=optimizer, schedule=schedule, momentum=momentum, **options)
    expected = train(tmp_path / "whole", config)
    with pytest.raises(InterruptedError):
        train(tmp_path / "broken", config, stop_at=stop_at)
    found = train(tmp_path / "broken", config, resume=True)
    assert found["global_step"] == expected["global_step"] == 15
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert_equal(found[part], expected[part])
