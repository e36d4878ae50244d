"""The mean of the weights after the last validations: one network, steadier than each of them."""

from collections import deque
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

Weights = dict[str, Tensor]


class LastWeights(pl.Callback):
    """Keeps the weights that stood at the last validations, and gives their mean.

    Checkpoint averaging as Vaswani et al. 2017 (arXiv:1706.03762), section 6.1, use it; why it
    helps: Izmailov et al. 2018 (arXiv:1803.05407).

    Args:
        count: How many are kept, at least 2.
    """

    def __init__(self, count: int) -> None:
        self.kept: deque[Weights] = deque(maxlen=count)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Copy the weights, to where those of a checkpoint are loaded too."""
        if trainer.state.fn == "fit":
            self.kept.append(
                {
                    name: value.detach().to("cpu", copy=True)
                    for name, value in pl_module.state_dict().items()
                }
            )

    def mean(self) -> Weights:
        """The mean of what is kept, at least one; whole numbers are the last ones."""
        last = self.kept[-1]
        return {
            name: torch.stack([weights[name] for weights in self.kept]).mean(dim=0)
            if value.is_floating_point()
            else value
            for name, value in last.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """What is kept, oldest first."""
        return {"kept": list(self.kept)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with what was kept."""
        self.kept.extend(state_dict["kept"])
