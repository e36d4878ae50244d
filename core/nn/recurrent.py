"""A stack of recurrent layers: any cell, both directions, residual, normalised, padding-safe."""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from core.nn.cells import LRU, LayerState
from core.nn.dropout import LockedDropout
from core.nn.initialization import (
    CELLS,
    STARTS,
    Cell,
    CellName,
    Start,
    initialize_recurrent,
    make_cell,
)
from core.nn.normalization import MaskedBatchNorm, NormKind, make_norm
from core.nn.stepping import cell_weights, run_steps, run_with_weights

StackState = tuple[LayerState, ...]  # one entry a layer
MAX_SIZE, MAX_LAYERS = 65_536, 256  # past these no machine at hand trains a network
TORCH_CELLS = ("rnn", "irnn", "lstm", "gru")


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """What a person chooses about a recurrent stack.

    Attributes:
        cell: `rnn` (tanh), `irnn` (ReLU), `lstm`, `gru`, or the recent `mingru`, `minlstm`, `lru`,
            `slstm`.
        hidden_size: Units per layer and direction, 1 to MAX_SIZE.
        num_layers: Layers, 1 to MAX_LAYERS.
        bidirectional: Read the sequence in both directions and join the outputs.
        residual: Add a layer's input to its output where the sizes agree.
        norm: Between layers: `none`, `layer` or `batch`.
        dropout: Share of activations dropped after each layer but the last, 0 to below 1.
        locked_dropout: Drop the same units at every time step of a row.
        weight_drop: Share of the recurrent matrix dropped per batch (Merity et al. 2018,
            arXiv:1708.02182), 0 to below 1; rnn, irnn, lstm and gru alone.
        zoneout: Chance that a unit keeps its old state, 0 to below 1; not for lru and slstm, and
            slow, because the fused kernels cannot do it.
        start: Starting weights, see `core.nn.initialization`.
        longest_lag: Of the `chrono` start: the longest dependency expected, in steps, at least 3.
    """

    cell: CellName = "lstm"
    hidden_size: int = 128
    num_layers: int = 1
    bidirectional: bool = False
    residual: bool = False
    norm: NormKind = "none"
    dropout: float = 0.0
    locked_dropout: bool = False
    weight_drop: float = 0.0
    zoneout: float = 0.0
    start: Start = "forget"
    longest_lag: int = 100

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise ValueError(f"cell={self.cell!r} is unknown; choose one of {', '.join(CELLS)}")
        if self.start not in STARTS:
            raise ValueError(f"start={self.start!r} is unknown; choose one of {', '.join(STARTS)}")
        if self.norm not in ("none", "layer", "batch"):
            raise ValueError(f"norm={self.norm!r} is unknown; choose none, layer or batch")
        if not (1 <= self.hidden_size <= MAX_SIZE and 1 <= self.num_layers <= MAX_LAYERS):
            raise ValueError(
                f"hidden_size={self.hidden_size} must lie between 1 and {MAX_SIZE}, "
                f"num_layers={self.num_layers} between 1 and {MAX_LAYERS}"
            )
        for name in ("dropout", "weight_drop", "zoneout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must lie in [0, 1)")
        if self.longest_lag < 3:
            raise ValueError(f"longest_lag={self.longest_lag} must be at least 3 steps")
        if self.weight_drop and self.cell not in TORCH_CELLS:
            raise ValueError(
                f"weight_drop={self.weight_drop} needs a cell of {', '.join(TORCH_CELLS)}; "
                f"set it to 0 for {self.cell}"
            )
        if self.zoneout and self.cell in ("lru", "slstm"):
            raise ValueError(f"zoneout={self.zoneout} does not fit {self.cell}; set it to 0")


def reversal_index(lengths: Int[Tensor, " B"], time: int) -> Int[Tensor, "B T"]:
    """Positions that reverse each row's first `length` steps and leave the padding where it is.

    Reversing by index and running a second layer forwards gives what a packed bidirectional layer
    gives, without packing, which costs most of the speed on a CPU.
    """
    steps = torch.arange(time, device=lengths.device).unsqueeze(0)  # (1, T)
    last = lengths.unsqueeze(1) - 1  # (B, 1)
    return torch.where(steps <= last, last - steps, steps)


def gather_time(x: Float[Tensor, "B T N"], index: Int[Tensor, "B K"]) -> Float[Tensor, "B K N"]:
    """Pick time steps per row."""
    return x.gather(1, index.unsqueeze(-1).expand(-1, -1, x.size(-1)))


class RecurrentStack(nn.Module):
    """Layers of one cell over right-padded sequences.

    Args:
        input_size: Features per time step.
        config: The choices.
    """

    def __init__(self, input_size: int, config: RecurrentConfig) -> None:
        super().__init__()
        self.config = config
        directions = 2 if config.bidirectional else 1
        self.output_size = directions * config.hidden_size
        self.dropout = (LockedDropout if config.locked_dropout else nn.Dropout)(config.dropout)
        self.layers = nn.ModuleList()
        self.norms = nn.ModuleList()
        size = input_size
        for number in range(config.num_layers):
            cells = [make_cell(config.cell, size, config.hidden_size) for _ in range(directions)]
            for cell in cells:
                initialize_recurrent(cell, config.start, config.longest_lag)
            self.layers.append(nn.ModuleList(cells))
            size = self.output_size
            norm = make_norm(config.norm, size) if number < config.num_layers - 1 else None
            self.norms.append(nn.Identity() if norm is None else norm)

    def forward(
        self, x: Float[Tensor, "B T F"], lengths: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B T DH"]:
        """Run every layer over the whole sequence from a zero state.

        Args:
            x: Inputs; what stands past a row's length influences nothing.
            lengths: Real steps per row, at least 1; None where nothing is padded.

        Returns:
            The last layer's states. Steps past a row's length are not meaningful: read the last
            state with `last_state`.

        Raises:
            ValueError: A length of zero.
        """
        if x.size(1) < 1 or (lengths is not None and bool((lengths < 1).any())):
            raise ValueError("a sequence of length 0 cannot be encoded; drop it before batching")
        valid_mask = None
        if lengths is not None:
            valid_mask = torch.arange(x.size(1), device=x.device) < lengths.unsqueeze(1)  # (B, T)
            # Even a NaN in the padding, whose gradient is 0 * NaN, must not reach the weights.
            x = x.masked_fill(~valid_mask.unsqueeze(-1), 0.0)
        reversal = None
        if self.config.bidirectional:
            full = torch.full((x.size(0),), x.size(1), dtype=torch.long, device=x.device)
            reversal = reversal_index(full if lengths is None else lengths, x.size(1))
        for number, cells in enumerate(self.cells()):
            outputs = self._run(cells[0], x)[0]
            if reversal is not None:
                backward = self._run(cells[1], gather_time(x, reversal))[0]
                outputs = torch.cat([outputs, gather_time(backward, reversal)], dim=-1)
            x = self.join(x, outputs, number, valid_mask)
        return x

    def last_state(
        self, outputs: Float[Tensor, "B T DH"], lengths: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B DH"]:
        """The state after the last real step of each direction.

        For the backward direction that is the state at the first step, which has read all.
        """
        if lengths is None:
            last = outputs[:, -1]
        else:
            last = gather_time(outputs, (lengths - 1).unsqueeze(1)).squeeze(1)
        if self.config.bidirectional:
            hidden = self.config.hidden_size
            last = torch.cat([last[:, :hidden], outputs[:, 0, hidden:]], dim=-1)
        return last

    @property
    def start_size(self) -> int:
        """How many numbers a row of `start_state` takes."""
        parts = 2 if self.config.cell in ("lstm", "lru", "slstm") else 1
        return self.config.num_layers * parts * self.config.hidden_size

    def start_state(self, flat: Float[Tensor, "B N"]) -> StackState:
        """A state to `advance` from, layer after layer, made of `start_size` free numbers.

        The sLSTM's normaliser starts at 1: the cell is then worth what is given.
        """
        parts = flat.chunk(flat.size(-1) // self.config.hidden_size, dim=-1)
        each = len(parts) // self.config.num_layers
        layers = [parts[start : start + each] for start in range(0, len(parts), each)]
        if self.config.cell == "slstm":
            return tuple((*p, torch.ones_like(p[0]), torch.zeros_like(p[0])) for p in layers)
        return tuple(layers)

    def advance(
        self, x: Float[Tensor, "B T F"], state: StackState
    ) -> tuple[Float[Tensor, "B T H"], StackState]:
        """Run on from a state, for decoders; one direction only.

        Args:
            x: Inputs of the next T steps, none of them padding.
            state: One tuple a layer, each part (B, H).

        Returns:
            The last layer's states, and the state after the last step.
        """
        assert not self.config.bidirectional, "a decoder reads in one direction"
        after: list[LayerState] = []
        for number, (cells, before) in enumerate(zip(self.cells(), state, strict=True)):
            outputs, final = self._run(cells[0], x, before)
            after.append(final)
            x = self.join(x, outputs, number)
        return x, tuple(after)

    def cells(self) -> list[list[Cell]]:
        """Forward and, where there is one, backward cell of each layer."""
        return [list(cast(nn.ModuleList, layer)) for layer in self.layers]  # type: ignore[arg-type]

    def join(
        self, x: Tensor, outputs: Tensor, number: int, valid_mask: Bool[Tensor, "B T"] | None = None
    ) -> Tensor:
        """What a layer hands on: residual connection, normalisation, dropout."""
        if self.config.residual and x.size(-1) == outputs.size(-1):
            outputs = outputs + x
        if number == len(self.layers) - 1:
            return outputs
        norm = self.norms[number]
        outputs = norm(outputs, valid_mask) if isinstance(norm, MaskedBatchNorm) else norm(outputs)
        return cast(Tensor, self.dropout(outputs))

    def _run(
        self, cell: Cell, x: Tensor, before: LayerState | None = None
    ) -> tuple[Tensor, LayerState]:
        """One layer, one direction: the fused form where there is one."""
        weights = None
        if self.config.weight_drop and self.training:
            weights = cell_weights(cast(nn.RNNBase, cell))
            weights[1] = nn.functional.dropout(weights[1], self.config.weight_drop)
        if before is not None and not isinstance(cell, LRU):
            before = tuple(part.to(x.dtype) for part in before)
        if self.config.zoneout:
            outputs, states = run_steps(cell, x, before, weights, self.config.zoneout)
            return outputs, states[-1]
        if not isinstance(cell, nn.RNNBase):
            return cast(tuple[Tensor, LayerState], cell(x, before))
        if weights is not None:
            return run_with_weights(cell, x, weights, before)
        initial = None
        if before is not None:
            initial = tuple(part.unsqueeze(0).contiguous() for part in before)
        outputs, final = cell(x, initial if cell.mode == "LSTM" or initial is None else initial[0])
        final = final if cell.mode == "LSTM" else (final,)
        return outputs, tuple(part.squeeze(0) for part in final)
