"""A linear reading of the days before: the baseline that any deeper encoder must beat."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

SPANS = (1, 5, 22, 60)  # trading days: a day, a week, a month, a quarter


class LinearEncoder(nn.Module):
    """Means of every feature over the last day, week, month and quarter, used like an encoder.

    With the linear head behind it this is a linear model of the past. DLinear (Zeng et al. 2023,
    arXiv:2205.13504) has a weight for every day of the trend and of the rest; a few years of
    prices cannot tell so many weights apart, so that here they are constant over spans, as in HAR
    (Corsi 2009). It has no weights of its own and reads no more than the last 60 days.

    Args:
        input_size: Features per day.
    """

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.output_size = len(SPANS) * input_size

    def forward(self, x: Float[Tensor, "B T F"]) -> Float[Tensor, "B 1 N"]:
        """Summarise the sequence; a span longer than it takes what there is.

        Args:
            x: Features of the days, oldest first, none of them padding.
        """
        return torch.cat([x[:, -span:].mean(dim=1, keepdim=True) for span in SPANS], dim=-1)

    def last_state(self, outputs: Float[Tensor, "B 1 N"]) -> Float[Tensor, "B N"]:
        """The summary, as a `RecurrentStack` gives its state."""
        return outputs[:, -1]
