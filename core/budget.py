"""A training that ends with a budget of CPU time instead of a number of epochs."""

import time
from typing import Any

import pytorch_lightning as pl
from torch.optim.lr_scheduler import LambdaLR

from core.optim import OptimConfig, warmup_cosine

MANY_EPOCHS = 1_000_000  # Lightning's own end, which a budget comes before
FITTING = ("warmup_cosine", "plateau", "constant")


class CpuBudget(pl.Callback):
    """Stops a training that has used its CPU time, and makes the schedule end there.

    The time is `time.process_time`: every thread of this process, from the first step on, with
    the validations in between and the logs; a resumed training goes on counting. The validation
    that follows the last step comes on top.

    A `warmup_cosine` needs the number of steps, which nobody knows. After every step it is
    reckoned anew as the steps taken over the share of the budget used. So the warm-up takes its
    steps (at most a tenth of what fits), and the cosine follows the share used and ends with the
    budget, however fast the machine is and however its pace changes. The price: rates depend on
    measured times, so that two trainings with one seed see the same batches and the same dropout,
    but are not bit-equal.

    Args:
        seconds: CPU time that may be used, positive.
        optim: The training's optimiser choices.

    Raises:
        ValueError: A schedule whose length cannot change while it runs.
    """

    def __init__(self, seconds: float, optim: OptimConfig) -> None:
        if optim.schedule not in FITTING:
            raise ValueError(
                f"schedule={optim.schedule!r} needs to know how many steps there are, and a CPU "
                f"budget does not say; choose {', '.join(FITTING)}"
            )
        self.seconds = seconds
        self.optim = optim
        self._before = 0.0  # used by the part of the training that was resumed from
        self._started: float | None = None

    @property
    def used(self) -> float:
        """CPU seconds so far, those before a resume among them."""
        now = time.process_time()
        return self._before + now - (now if self._started is None else self._started)

    def rate(self, step: int) -> float:
        """Share of the peak rate after so many steps, by the share of the budget used by now."""
        total = round(step * self.seconds / max(self.used, 1e-9))
        return warmup_cosine(step, self.optim.warmup_steps, total, self.optim.final_share)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock; take over a schedule that Lightning has set up for `MANY_EPOCHS`."""
        self._started = time.process_time()
        for config in trainer.lr_scheduler_configs:
            assert isinstance(config.scheduler, LambdaLR)
            config.scheduler.lr_lambdas = [self.rate] * len(config.scheduler.lr_lambdas)
        trainer.should_stop = trainer.should_stop or self.used >= self.seconds

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Stop when the budget is used; Lightning validates once more."""
        trainer.should_stop = trainer.should_stop or self.used >= self.seconds

    def state_dict(self) -> dict[str, Any]:
        """What was used."""
        return {"used": self.used}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting from there."""
        self._before = state_dict["used"]
