"""A stack of recurrent layers: any cell, one or both directions, residual, padding-safe."""

from dataclasses import dataclass
from typing import Literal, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from core.nn.initialization import Start, initialize_recurrent

CellName = Literal["rnn", "lstm", "gru"]
LayerState = tuple[Tensor, ...]  # (h,) or, for the LSTM, (h, c); each (B, H)
StackState = tuple[LayerState, ...]  # one entry a layer


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """What a person chooses about a recurrent stack.

    Attributes:
        cell: `rnn` (tanh), `lstm` or `gru`.
        hidden_size: Units per layer and direction, at least 1.
        num_layers: Layers, at least 1.
        bidirectional: Read the sequence in both directions and join the outputs.
        residual: Add a layer's input to its output where the sizes agree.
        dropout: Share of activations dropped after each layer but the last, 0 to below 1.
        start: Starting weights, see `core.nn.initialization`.
    """

    cell: CellName = "lstm"
    hidden_size: int = 128
    num_layers: int = 1
    bidirectional: bool = False
    residual: bool = False
    dropout: float = 0.0
    start: Start = "forget"

    def __post_init__(self) -> None:
        if self.cell not in ("rnn", "lstm", "gru"):
            raise ValueError(f"cell={self.cell!r} is unknown; choose rnn, lstm or gru")
        if self.hidden_size < 1 or self.num_layers < 1:
            raise ValueError(
                f"hidden_size={self.hidden_size} and num_layers={self.num_layers} must be 1 or more"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must lie in [0, 1)")


def make_cell(name: CellName, input_size: int, hidden_size: int) -> nn.RNNBase:
    """Build one torch layer, batch first."""
    match name:
        case "rnn":
            return nn.RNN(input_size, hidden_size, batch_first=True)
        case "lstm":
            return nn.LSTM(input_size, hidden_size, batch_first=True)
        case "gru":
            return nn.GRU(input_size, hidden_size, batch_first=True)


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
    """Layers of `nn.RNN`, `nn.LSTM` or `nn.GRU` over right-padded sequences.

    Args:
        input_size: Features per time step.
        config: The choices.
    """

    def __init__(self, input_size: int, config: RecurrentConfig) -> None:
        super().__init__()
        self.config = config
        directions = 2 if config.bidirectional else 1
        self.output_size = directions * config.hidden_size
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList()
        size = input_size
        for _ in range(config.num_layers):
            cells = [make_cell(config.cell, size, config.hidden_size) for _ in range(directions)]
            for cell in cells:
                initialize_recurrent(cell, config.start)
            self.layers.append(nn.ModuleList(cells))
            size = self.output_size

    def forward(
        self, x: Float[Tensor, "B T F"], lengths: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B T DH"]:
        """Run every layer over the whole sequence from a zero state.

        Args:
            x: Inputs; what stands past a row's length influences nothing before it.
            lengths: Real steps per row, at least 1; None where nothing is padded.

        Returns:
            The last layer's states. Steps past a row's length are not meaningful: read the last
            state with `last_state`.

        Raises:
            ValueError: A length of zero.
        """
        if lengths is not None and bool((lengths < 1).any()):
            raise ValueError("a sequence of length 0 cannot be encoded; drop it before batching")
        reversal = None
        if self.config.bidirectional:
            full = torch.full((x.size(0),), x.size(1), dtype=torch.long, device=x.device)
            reversal = reversal_index(full if lengths is None else lengths, x.size(1))
        for number, cells in enumerate(self._cells()):
            outputs = cells[0](x)[0]
            if reversal is not None:
                backward = cells[1](gather_time(x, reversal))[0]
                outputs = torch.cat([outputs, gather_time(backward, reversal)], dim=-1)
            x = self._join(x, outputs, number)
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

    def advance(
        self, x: Float[Tensor, "B T F"], state: StackState
    ) -> tuple[Float[Tensor, "B T H"], StackState]:
        """Run on from a state, for decoders; one direction only.

        Args:
            x: Inputs of the next T steps, none of them padding.
            state: One tuple a layer, (h,) or (h, c), each (B, H).

        Returns:
            The last layer's states, and the state after the last step.
        """
        assert not self.config.bidirectional, "a decoder reads in one direction"
        after: list[LayerState] = []
        for number, (cells, before) in enumerate(zip(self._cells(), state, strict=True)):
            initial = tuple(part.unsqueeze(0).to(x.dtype).contiguous() for part in before)
            is_lstm = self.config.cell == "lstm"
            outputs, final = cells[0](x, initial if is_lstm else initial[0])
            final = final if is_lstm else (final,)
            after.append(tuple(part.squeeze(0) for part in final))
            x = self._join(x, outputs, number)
        return x, tuple(after)

    def _cells(self) -> list[list[nn.RNNBase]]:
        """Forward and, where there is one, backward cell of each layer."""
        return [list(cast(nn.ModuleList, layer)) for layer in self.layers]  # type: ignore[arg-type]

    def _join(self, x: Tensor, outputs: Tensor, number: int) -> Tensor:
        if self.config.residual and x.size(-1) == outputs.size(-1):
            outputs = outputs + x
        is_last = number == len(self.layers) - 1
        return outputs if is_last else self.dropout(outputs)
