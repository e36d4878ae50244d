"""A recurrent stack with a linear answer: from the last step, from every step, or by attention."""

from typing import Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.nn.attention import AdditiveAttention
from core.nn.recurrent import RecurrentConfig, RecurrentStack

Reading = Literal["last", "every", "attention"]


class SequenceModel(nn.Module):
    """The smallest network around a cell, for tasks that test the cell alone.

    Args:
        input_size: Features per step.
        output_size: Numbers or classes per answer.
        config: The stack's choices.
        reading: One answer from the state after the `last` step, an answer at `every` step, or one
            from an `attention` over all states, whose query is that last state.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        config: RecurrentConfig,
        reading: Reading = "last",
    ) -> None:
        super().__init__()
        self.reading = reading
        self.encoder = RecurrentStack(input_size, config)
        size = self.encoder.output_size
        self.attention = AdditiveAttention(size, size) if reading == "attention" else None
        self.head = nn.Linear(size if self.attention is None else 2 * size, output_size)

    def forward(self, inputs: Float[Tensor, "B T F"]) -> Tensor:
        """Answers: (B, T, N) at every step, else (B, N)."""
        outputs = self.encoder(inputs)  # (B, T, DH)
        if self.reading == "every":
            return cast(Tensor, self.head(outputs))
        last = self.encoder.last_state(outputs)  # (B, DH)
        if self.attention is None:
            return cast(Tensor, self.head(last))
        valid_mask = torch.ones(outputs.shape[:2], dtype=torch.bool, device=outputs.device)
        keys = self.attention.project(outputs, valid_mask)
        context, _ = self.attention(last.unsqueeze(1), keys, outputs, valid_mask)
        return cast(Tensor, self.head(torch.cat([last, context.squeeze(1)], dim=-1)))
