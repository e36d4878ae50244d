"""Stacks as a trained model has them."""

from collections.abc import Callable

import pytest
import torch

from core.nn.recurrent import RecurrentConfig, RecurrentStack


@pytest.fixture(scope="session")
def make_stack() -> Callable[..., RecurrentStack]:
    """Builds a stack whose norms have weights and statistics unlike those of fresh ones."""

    def make(input_size: int, **choices: object) -> RecurrentStack:
        torch.manual_seed(0)
        stack = RecurrentStack(input_size, RecurrentConfig(**choices))
        with torch.no_grad():
            for name, tensor in [*stack.norms.named_parameters(), *stack.norms.named_buffers()]:
                if tensor.is_floating_point():
                    tensor.add_(torch.rand_like(tensor) if "var" in name else 0.3)
        return stack

    return make
