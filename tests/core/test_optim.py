from itertools import pairwise
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from core.optim import OptimConfig, make_optimizer, warmup_cosine
from core.resuming import PlateauSchedule

TOTAL, WARMUP = 100, 10


def rates(config: OptimConfig, total: int) -> list[float]:
    """The learning rate of every optimiser step."""
    made = make_optimizer(nn.Linear(2, 2), config, total)
    optimizer, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]
    found = []
    for _ in range(total):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
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
    rates, following = [], iter(losses)

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

    trainer = pl.Trainer(
        max_epochs=len(losses) + 1,
        callbacks=[PlateauSchedule()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        accelerator="cpu",
    )
    following = iter([*losses, 0.0])
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
        ({"schedule": "plateu"}, "schedule='plateu'.*choose warmup_cosine or plateau"),
    ],
)
def test_a_wrong_choice_is_named(options: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        OptimConfig(**options)
