"""Where a loss that is not finite comes from: found by running the step again, said in one line."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from core.clipping import Clipping
from core.gradient_history import options


def is_finite(value: Any) -> bool:
    """Whether every real number in nested containers of tensors is finite."""
    return all(bool(tensor.isfinite().all()) for _, tensor in _tensors(value, ""))


def spoilt_part(batch: Any) -> str:
    """The first part of a batch that holds a number that is not finite; empty where none does."""
    return next((name for name, tensor in _tensors(batch, "batch") if not is_finite(tensor)), "")


def find_nonfinite(model: nn.Module, run: Callable[[], object]) -> str:
    """Say what is not finite first: a parameter, or a module's output.

    Args:
        model: Whose modules are watched.
        run: Runs it once more; gradients are off.
    """
    for name, parameter in model.named_parameters():
        if not is_finite(parameter):
            return f"the parameter {name} is not finite"
    found: list[str] = []

    def watch(name: str, module: nn.Module) -> Any:
        def note(_: nn.Module, __: Any, output: Any) -> None:
            if not found and not is_finite(output):
                kind = type(module).__name__
                found.append(f"{name} ({kind}) gave the first output that is not finite")

        return module.register_forward_hook(note)

    handles = [watch(name, module) for name, module in model.named_modules() if name]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else "every module's output is finite, only the loss is not"


def advise(clipping: Clipping, learning_rate: float) -> str:
    """What to try, given what the training did.

    Args:
        clipping: Its thresholds.
        learning_rate: The rate of the step that was about to be taken.
    """
    rate = f"a lower --optim.learning_rate (this step's rate was {learning_rate:.2g})"
    used = options(clipping)
    if not used:
        return f"train again with {rate} or with --trainer.clip_norm 1 (clipping was off)"
    return f"train again with {rate} or a smaller threshold than {used}"


def _tensors(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """Every floating-point tensor in nested containers, with its place."""
    if isinstance(value, Tensor):
        if value.is_floating_point() or value.is_complex():
            yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _tensors(item, f"{name}.{key}")
    elif isinstance(value, (list, tuple)):
        names = getattr(value, "_fields", range(len(value)))
        for key, item in zip(names, value, strict=True):
            yield from _tensors(item, f"{name}.{key}")
