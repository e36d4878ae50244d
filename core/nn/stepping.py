"""Run any cell one time step at a time, with the same weights as its fused form.

The fused kernels hide the states between the steps; whoever needs them, or must act between two
steps (zoneout, gradients by lag), steps the cell.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.nn.cells import LayerState
from core.nn.dropout import zoneout
from core.nn.gru import run_gru
from core.nn.initialization import Cell

Weights = Sequence[Tensor]  # input, recurrent matrix, their biases


class Stepped(NamedTuple):
    """A sequence run step by step.

    Attributes:
        outputs: What the layer hands on, (B, T, H).
        states: The state after each step, T of them.
    """

    outputs: Tensor
    states: list[LayerState]


def zero_state(cell: Cell, batch_size: int, like: Tensor) -> LayerState:
    """The state before the first step, each part (B, H)."""
    if not isinstance(cell, nn.RNNBase):
        return cell.zero_state(batch_size, like)
    zero = like.new_zeros(batch_size, cell.hidden_size)
    return (zero, zero) if cell.mode == "LSTM" else (zero,)


def cell_weights(cell: nn.RNNBase) -> list[Tensor]:
    """The four tensors of a one-layer torch cell: input, recurrent, their biases."""
    return [cell.get_parameter(f"{name}_l0") for name in _NAMES]


def step_cell(
    cell: Cell, x: Float[Tensor, "B F"], state: LayerState, weights: Weights | None = None
) -> tuple[Float[Tensor, "B H"], LayerState]:
    """One time step of any cell.

    Args:
        cell: What `make_cell` built.
        x: The step's input.
        state: The state before.
        weights: Instead of a torch cell's own, as `cell_weights` orders them.

    Returns:
        What the layer hands on, and the state after.
    """
    if not isinstance(cell, nn.RNNBase):
        return cell.step(x, state)
    own = cell_weights(cell) if weights is None else weights
    match cell.mode:
        case "LSTM":
            after = tuple(torch.lstm_cell(x, list(state), *own))
        case "GRU":
            after = (torch.gru_cell(x, state[0], *own),)
        case "RNN_TANH":
            after = (torch.rnn_tanh_cell(x, state[0], *own),)
        case _:
            after = (torch.rnn_relu_cell(x, state[0], *own),)
    return after[0], after


def run_steps(
    cell: Cell,
    x: Float[Tensor, "B T F"],
    state: LayerState | None = None,
    weights: Weights | None = None,
    zoneout_share: float = 0.0,
) -> Stepped:
    """A whole sequence, step by step.

    Args:
        cell: What `make_cell` built.
        x: Inputs.
        state: The state before the first step; None for zero.
        weights: As in `step_cell`.
        zoneout_share: Chance that a unit keeps its old state, 0 to below 1.
    """
    before = zero_state(cell, x.size(0), x) if state is None else state
    outputs, states = [], []
    for inputs in x.unbind(1):
        output, after = step_cell(cell, inputs, before, weights)
        if zoneout_share:
            output_is_state = output is after[0]
            after = tuple(
                zoneout(old, new, zoneout_share, cell.training)
                for old, new in zip(before, after, strict=True)
            )
            output = after[0] if output_is_state else output
        outputs.append(output)
        states.append(after)
        before = after
    return Stepped(torch.stack(outputs, dim=1), states)


def run_with_weights(
    cell: nn.RNNBase, x: Float[Tensor, "B T F"], weights: Weights, state: LayerState | None = None
) -> tuple[Float[Tensor, "B T H"], LayerState]:
    """A whole sequence at once, with other weights than the cell's own."""
    before = zero_state(cell, x.size(0), x) if state is None else state
    initial = [part.unsqueeze(0).contiguous() for part in before]
    options = (list(weights), True, 1, 0.0, cell.training, False, True)
    match cell.mode:
        case "LSTM":
            outputs, *final = torch.lstm(x, initial, *options)
        case "GRU":
            outputs, *final = run_gru(x, initial[0], weights, cell.training)
        case "RNN_TANH":
            outputs, *final = torch.rnn_tanh(x, initial[0], *options)
        case _:
            outputs, *final = torch.rnn_relu(x, initial[0], *options)
    return outputs, tuple(part.squeeze(0) for part in final)


_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
