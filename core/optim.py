"""The optimisers and the learning-rate schedules."""

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, StepLR

OptimizerName = Literal["adamw", "sgd"]
Schedule = Literal["warmup_cosine", "plateau", "one_cycle", "step", "constant"]


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """How the weights are moved.

    Attributes:
        optimizer: `adamw` (Loshchilov & Hutter 2019, arXiv:1711.05101) or `sgd`.
        learning_rate: Peak rate, positive.
        momentum: Share of the last step's direction that `sgd` keeps (heavy ball, Polyak 1964),
            0 to below 1; AdamW has its own.
        weight_decay: Decay of matrices; biases are not decayed. 0 or more. Under `adamw` it is
            decoupled from the gradient; under `sgd` it is part of it, as `l2` is.
        l1: Weight of `core.nn.regularization.l1_penalty` in the training loss, 0 or more.
        l2: Weight of `l2_penalty` there, 0 or more; it says how that differs from `weight_decay`.
        schedule: `warmup_cosine` rises over `warmup_steps` and falls to `final_share` of the peak
            at the last step; `plateau` halves the rate when val_loss stalls for two epochs;
            `one_cycle` rises from a 25th of the peak over the first 30 % of the training and falls
            to nearly zero (Smith & Topin 2018, arXiv:1708.07120; the momentum stays);
            `step` multiplies the rate by `step_factor` after every `step_share` of the training
            (as He et al. 2016, arXiv:1512.03385, do); `constant` stays at the peak.
        warmup_steps: Optimiser steps of linear rise, 0 or more; at most a tenth of the training.
        final_share: Share of the peak rate at the end of the cosine, 0 to 1.
        step_factor: What `step` multiplies the rate by, between 0 and 1.
        step_share: Share of the training between two such steps, above 0, at most 1.
    """

    optimizer: OptimizerName = "adamw"
    learning_rate: float = 2e-3
    momentum: float = 0.0
    weight_decay: float = 0.01
    l1: float = 0.0
    l2: float = 0.0
    schedule: Schedule = "warmup_cosine"
    warmup_steps: int = 200
    final_share: float = 0.02
    step_factor: float = 0.1
    step_share: float = 0.3

    def __post_init__(self) -> None:
        if self.optimizer not in get_args(OptimizerName):
            raise ValueError(f"optimizer={self.optimizer!r} is unknown; choose adamw or sgd")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate={self.learning_rate} must be positive")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum={self.momentum} must lie in [0, 1)")
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(
                f"momentum={self.momentum} is for sgd, adamw has its own; leave it at 0 or choose "
                "optimizer=sgd"
            )
        if not (self.weight_decay >= 0 and self.warmup_steps >= 0 and 0 <= self.final_share <= 1):
            raise ValueError(
                f"weight_decay={self.weight_decay} and warmup_steps={self.warmup_steps} must be "
                f"0 or more, final_share={self.final_share} between 0 and 1"
            )
        if not (self.l1 >= 0 and self.l2 >= 0):
            raise ValueError(f"l1={self.l1} and l2={self.l2} must be 0 or more; 0 is no penalty")
        if not (0 < self.step_factor < 1 and 0 < self.step_share <= 1):
            raise ValueError(
                f"step_factor={self.step_factor} must lie in (0, 1) and "
                f"step_share={self.step_share} in (0, 1]"
            )
        if self.schedule not in get_args(Schedule):
            raise ValueError(
                f"schedule={self.schedule!r} is unknown; choose warmup_cosine, plateau, "
                "one_cycle, step or constant"
            )


def warmup_cosine(step: int, warmup: int, total: int, final_share: float) -> float:
    """Share of the peak rate at an optimiser step: linear rise, then half a cosine.

    Loshchilov & Hutter 2017 (arXiv:1608.03983), eq. 5, one period, with a warm-up before it.
    """
    warmup = min(warmup, total // 10)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = min((step - warmup) / max(total - warmup, 1), 1.0)
    return final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * progress))


def make_optimizer(model: nn.Module, config: OptimConfig, total_steps: int) -> dict[str, Any]:
    """What Lightning's `configure_optimizers` returns.

    Args:
        model: Whose parameters are trained.
        config: The choices.
        total_steps: Optimiser steps of the whole training, at least 1.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer: torch.optim.Optimizer
    match config.optimizer:
        case "adamw":
            optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
        case "sgd":
            optimizer = torch.optim.SGD(groups, config.learning_rate, config.momentum)
    scheduler = make_schedule(optimizer, config, total_steps)
    if scheduler is None:
        return {"optimizer": optimizer}
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def make_schedule(
    optimizer: torch.optim.Optimizer, config: OptimConfig, total_steps: int
) -> LambdaLR | OneCycleLR | StepLR | None:
    """The schedule that moves the rate after every optimiser step, None where none does.

    Args:
        optimizer: Whose rate is moved; it stands at the peak.
        config: The choices.
        total_steps: Optimiser steps of the whole training, at least 1.
    """
    match config.schedule:
        case "warmup_cosine":
            warmup, final_share = config.warmup_steps, config.final_share
            return LambdaLR(
                optimizer, lambda step: warmup_cosine(step, warmup, total_steps, final_share)
            )
        case "one_cycle":
            # Cycling the momentum too is a later paper's, and would replace the one chosen.
            return OneCycleLR(optimizer, config.learning_rate, total_steps, cycle_momentum=False)
        case "step":
            size = max(round(config.step_share * total_steps), 1)
            return StepLR(optimizer, size, gamma=config.step_factor)
        case "plateau" | "constant":
            return None  # `core.resuming.PlateauSchedule` moves the rate of a plateau
