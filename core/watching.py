"""What goes into a recurrent stack's cells and comes out of them in one training step."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from core.batch import PAD_ID, Seq2SeqBatch
from core.diagnostics import gate_saturation
from core.nn.initialization import Cell
from core.nn.recurrent import RecurrentStack

SATURATION_ROWS = 4
LAG_ROWS = 16
LONGEST_LAGS = 250  # steps, because the measurement takes as many of them one by one


def recurrent_stacks(model: nn.Module) -> dict[str, RecurrentStack]:
    """Every recurrent stack in a model, by its name there."""
    return {
        name: module for name, module in model.named_modules() if isinstance(module, RecurrentStack)
    }


class StackWatch:
    """Keeps a few rows of what a stack's cells read and gave, until it is closed.

    Every cell is run by `RecurrentStack._run`, which is wrapped: the hooks of torch see neither a
    decoder, whose `forward` is not called, nor a cell under zoneout or weight drop.

    Args:
        stack: What to watch; its results stay as they are.
        batch: What the step trains on: a decoder is not told how long its rows are.
    """

    def __init__(self, stack: RecurrentStack, batch: Any) -> None:
        self.stack = stack
        self.inputs: Tensor | None = None
        self._lengths: Tensor | None = None
        if isinstance(batch, Seq2SeqBatch):
            self._lengths = (batch.target[:, 1:] != PAD_ID).sum(dim=1)  # (B,)
        self._seen: dict[str, tuple[Cell, Tensor, Tensor, Tensor | None, Tensor]] = {}
        self._places = {
            cell: f"layers.{layer}.{direction}"
            for layer, cells in enumerate(stack.cells())
            for direction, cell in enumerate(cells)
        }
        self._handle = stack.register_forward_pre_hook(self._take_lengths, with_kwargs=True)
        self._original = stack._run
        stack._run = self._run  # type: ignore[method-assign]

    def close(self) -> None:
        """Leave the stack as it was."""
        self._handle.remove()
        del self.stack._run

    def places(self) -> list[tuple[str, Cell]]:
        """Each cell with its place in the stack, `layers.<layer>.<direction>`."""
        return [(place, cell) for cell, place in self._places.items()]

    def saturation(self) -> dict[str, float]:
        """`gate_saturation` of each cell over the real steps of its rows, as `<cell>.<gate>`."""
        shares: dict[str, float] = {}
        for name, (cell, x, outputs, start, lengths) in self._seen.items():
            total = sum(lengths.tolist())
            for row, length in enumerate(lengths.tolist()):
                of_row = gate_saturation(
                    cell,
                    x[row : row + 1, :length].float(),
                    outputs[row : row + 1, :length].float(),
                    None if start is None else start[row : row + 1].float(),
                )
                for gate, share in of_row.items():
                    key = f"{name}.{gate}"
                    shares[key] = shares.get(key, 0.0) + share * length / total
        return shares

    def _take_lengths(self, _: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Note the real lengths when the stack is called."""
        given = args[1] if len(args) > 1 else kwargs.get("lengths")
        x = args[0] if args else kwargs["x"]
        full = torch.full((x.size(0),), x.size(1), device=x.device)
        self._lengths = full if given is None else given

    def _run(
        self, cell: Cell, x: Tensor, before: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run a cell as the stack does, and keep some rows."""
        outputs, final = self._original(cell, x, before)
        lengths = self._lengths
        if lengths is None:
            lengths = torch.full((x.size(0),), x.size(1))
        if int(lengths.max()) > x.size(1):
            return outputs, final  # a decoder that is stepped token by token
        few = slice(SATURATION_ROWS)
        start = None if before is None else before[0][few].detach()
        kept = (x[few].detach(), outputs[few].detach(), start, lengths[few])
        self._seen[self._places[cell]] = (cell, *kept)
        if cell is self.stack.cells()[0][0]:
            longest = lengths.argsort(descending=True, stable=True)[:LAG_ROWS]
            shared = min(int(lengths[longest].min()), LONGEST_LAGS)
            self.inputs = x[longest.to(x.device), :shared].detach().float().cpu()
        return outputs, final
