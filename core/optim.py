"""AdamW and the learning-rate schedules."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """How the weights are moved.

    Attributes:
        learning_rate: Peak rate, positive.
        weight_decay: Decoupled decay (Loshchilov & Hutter 2019, arXiv:1711.05101) of matrices;
            biases are not decayed. 0 or more.
        schedule: `warmup_cosine` rises over `warmup_steps` and falls to `final_share` of the peak
            at the last step; `plateau` halves the rate when val_loss stalls for two epochs.
        warmup_steps: Optimiser steps of linear rise, 0 or more; at most a tenth of the training.
        final_share: Share of the peak rate at the end of the cosine, 0 to 1.
    """

    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    schedule: Literal["warmup_cosine", "plateau"] = "warmup_cosine"
    warmup_steps: int = 200
    final_share: float = 0.02

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate={self.learning_rate} must be positive")
        if self.weight_decay < 0 or self.warmup_steps < 0 or not 0 <= self.final_share <= 1:
            raise ValueError(
                f"weight_decay={self.weight_decay} and warmup_steps={self.warmup_steps} must be "
                f"0 or more, final_share={self.final_share} between 0 and 1"
            )
        if self.schedule not in ("warmup_cosine", "plateau"):
            raise ValueError(
                f"schedule={self.schedule!r} is unknown; choose warmup_cosine or plateau"
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
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
    if config.schedule == "plateau":
        return {"optimizer": optimizer}  # `core.resuming.PlateauSchedule` moves the rate
    cosine = LambdaLR(
        optimizer,
        lambda step: warmup_cosine(step, config.warmup_steps, total_steps, config.final_share),
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cosine, "interval": "step"}}
