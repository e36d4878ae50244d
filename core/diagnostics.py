"""What a recurrent network's gradients do: measured, not assumed."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from core.nn.cells import LRU, SLSTM, MinGRU, MinLSTM
from core.nn.initialization import Cell
from core.nn.recurrent import RecurrentStack
from core.nn.stepping import run_steps, zero_state

SILENT = 1e-3  # of the gradient at lag 1: below, a step as good as does not teach
_DOUBLINGS = 20  # k is 2^19
MEASURED_ROWS = 32  # test inputs whose gradients a comparison averages
GATES: Mapping[str, tuple[str, ...]] = {
    "RNN_TANH": ("candidate",),
    "RNN_RELU": ("candidate",),
    "LSTM": ("input", "forget", "candidate", "output"),
    "GRU": ("reset", "update", "candidate"),
}


@dataclass(frozen=True)
class LagCurve:
    """How much the last output still depends on an earlier state.

    Attributes:
        layer: Of the stack, from 0.
        state: `hidden`, or `cell` for the LSTM's and the sLSTM's.
        lag: Steps back from the last, 0 to T - 1.
        norm: Frobenius norm of d output[last] / d state[last - lag], root mean square over the
            rows, one per lag.
    """

    layer: int
    state: str
    lag: list[int]
    norm: list[float]

    def share(self, lag: int) -> float:
        """The norm at a lag over that at lag 1; 0 where both vanish."""
        return self.norm[lag] / self.norm[1] if self.norm[1] > 0 else 0.0

    def reach(self) -> int:
        """The largest lag up to which every norm is at least SILENT of that at lag 1."""
        silent = (lag for lag in self.lag[1:] if self.share(lag) < SILENT)
        return next(silent, len(self.lag)) - 1


def gradient_by_lag(stack: RecurrentStack, x: Float[Tensor, "B T F"]) -> list[LagCurve]:
    """Measure d output[last] / d state[t] for every t, layer after layer.

    A copy of the stack is stepped in float64 with the same weights, because the fused kernels hide
    their states; a gradient to the input or to the output is not the same thing. The derivative is
    the total one: through every path from the state to the last output, other layers included. The
    Frobenius norm is estimated with one random direction per row (Hutchinson 1990), so give
    at least 16 rows.

    Args:
        stack: Its forward direction is measured; dropout is off.
        x: Inputs of one length, at least 2 steps, nothing padded.

    Returns:
        One curve per layer and state.

    Raises:
        ValueError: Fewer than two steps.
    """
    if x.size(1) < 2:
        raise ValueError(f"x has {x.size(1)} steps; a gradient by lag needs at least 2")
    stack = copy.deepcopy(stack).cpu().double().eval()  # not every accelerator has float64
    inputs = x.detach().cpu().double()
    recorded: list[tuple[int, str, list[Tensor]]] = []
    share = stack.config.zoneout
    with torch.enable_grad():
        for number, cells in enumerate(stack.cells()):
            start = tuple(
                part.requires_grad_() for part in zero_state(cells[0], len(inputs), inputs)
            )
            outputs, states = run_steps(cells[0], inputs, start, zoneout_share=share)
            for name, parts in _state_parts(cells[0]).items():
                flat = [part for state in states for part in state[parts]]
                recorded.append((number, name, flat))
            if len(cells) == 2:
                backward = run_steps(cells[1], inputs.flip(1), zoneout_share=share).outputs
                outputs = torch.cat([outputs, backward.flip(1)], dim=-1)
            inputs = stack.join(inputs, outputs, number)
        last = inputs[:, -1, : stack.config.hidden_size]  # (B, H)
        generator = torch.Generator().manual_seed(0)
        probe = torch.randn(last.shape, generator=generator, dtype=torch.float64)
        tensors = [tensor for _, _, flat in recorded for tensor in flat]
        gradients = iter(
            torch.autograd.grad(
                (last * probe).sum(), tensors, allow_unused=True, materialize_grads=True
            )
        )
    curves = []
    time = x.size(1)
    for number, name, flat in recorded:
        squares = torch.stack([next(gradients).square().sum() for _ in flat])
        norms = (squares.view(time, -1).sum(1) / len(x)).sqrt().flip(0)  # lag 0 first
        curves.append(LagCurve(number, name, list(range(time)), norms.tolist()))
    return curves


def lag_metrics(encoder: nn.Module, x: Float[Tensor, "B T F"]) -> dict[str, dict[str, list[Any]]]:
    """`gradient_by_lag` as a comparison's row holds it, of the layer that reads the input.

    Args:
        encoder: A trained network's.
        x: As for `gradient_by_lag`.

    Returns:
        `gradient_by_lag`: `lag`, `hidden` and, of a cell that has one, `cell`. Empty for what is no
        recurrent stack.
    """
    if not isinstance(encoder, RecurrentStack):
        return {}
    first = [curve for curve in gradient_by_lag(encoder, x) if curve.layer == 0]
    norms: dict[str, list[Any]] = {curve.state: curve.norm for curve in first}
    return {"gradient_by_lag": {"lag": first[0].lag, **norms}}


def spread_rows(count: int) -> NDArray[np.int64]:
    """At most MEASURED_ROWS of so many inputs, evenly spread, in their order."""
    return np.unique(np.linspace(0, count - 1, MEASURED_ROWS).round().astype(np.int64))


def describe_lags(curve: LagCurve) -> str:
    """One sentence about a curve: how far back learning reaches, and whether it explodes."""
    last = curve.lag[-1]
    lag = min(50, last)
    start = f"the gradient at lag {lag} was {curve.share(lag):.0e} of that at lag 1"
    if max(curve.norm[1:]) > 100 * curve.norm[1]:
        peak = 1 + int(np.argmax(curve.norm[1:]))
        return f"the gradient grew to {curve.share(peak):.0e} of that at lag 1 by lag {peak}"
    if curve.reach() < last:
        return f"{start}: inputs more than {curve.reach()} steps back did not influence learning"
    return f"{start}: all {last} steps measured reach learning"


def gradient_norms(model: nn.Module) -> dict[str, float]:
    """L2 norm of the gradient of each module's own parameters, by the module's name."""
    norms = {}
    for name, module in model.named_modules():
        gradients = [p.grad for p in module.parameters(recurse=False) if p.grad is not None]
        if gradients:
            each = torch.stack(torch._foreach_norm([g.detach() for g in gradients]))
            norms[name or "model"] = float(each.norm())
    return norms


def spectral_radius(cell: Cell) -> dict[str, float]:
    """Largest absolute eigenvalue of each gate's recurrent matrix; empty where there is none.

    Below 1 the linear part of a step shrinks what it carries, above 1 it may blow it up (Pascanu et
    al. 2013, section 2.2). For the LRU it is that of its diagonal.
    """
    match cell:
        case nn.RNNBase():
            matrix, names = cell.get_parameter("weight_hh_l0"), GATES[cell.mode]
        case SLSTM():
            matrix, names = cell.recurrent, ("input", "forget", "candidate", "output")
        case LRU():
            return {"diagonal": float(cell.eigenvalues().detach().abs().max())}
        case _:
            return {}
    blocks = matrix.detach().cpu().float().view(len(names), cell.hidden_size, cell.hidden_size)
    return dict(zip(names, largest_eigenvalues(blocks).tolist(), strict=True))


def largest_eigenvalues(matrices: Float[Tensor, "N H H"]) -> Float[Tensor, " N"]:
    """The largest absolute eigenvalue of each matrix, to about 1e-5 of it.

    By Gelfand's formula it is the limit of the norm of W^k to the power 1/k. Squaring W again and
    again reaches a large k in a quarter of the time that all eigenvalues take, and only these help
    where the power vanishes: the matrix is nilpotent, or nearly a single Jordan block.
    """
    power, logarithm = matrices, matrices.new_zeros(len(matrices), dtype=torch.float64)
    for doubling in range(_DOUBLINGS):
        norm = torch.linalg.matrix_norm(power)  # (N,)
        logarithm += norm.double().log() / 2**doubling
        power = power / norm.clamp(min=torch.finfo(power.dtype).tiny)[:, None, None]
        power = power @ power
    radius = logarithm.exp().float()
    return radius if radius.all() else torch.linalg.eigvals(matrices).abs().amax(dim=-1)


def gate_saturation(
    cell: Cell,
    x: Float[Tensor, "B T F"],
    outputs: Float[Tensor, "B T H"],
    start: Float[Tensor, "B H"] | None = None,
) -> dict[str, float]:
    """Share of a cell's gate and tanh values that are stuck near an end of their range.

    A gate is stuck below 0.05 or above 0.95, a tanh beyond 0.95 in absolute value (a ReLU at 0):
    there the derivative is less than a tenth of its largest.

    Args:
        cell: A torch cell, minGRU or minLSTM; others give an empty answer.
        x: Its inputs, nothing padded.
        outputs: What it gave for them.
        start: Its hidden state before the first step; None for zero.
    """
    with torch.no_grad():
        if isinstance(cell, (MinGRU, MinLSTM)):
            names = ("update",) if isinstance(cell, MinGRU) else ("forget", "input")
            gates = torch.sigmoid(cell.projection(x)).chunk(len(names) + 1, dim=-1)
            return {name: _stuck(gate) for name, gate in zip(names, gates, strict=False)}
        if not isinstance(cell, nn.RNNBase):
            return {}
        first = torch.zeros_like(outputs[:, 0]) if start is None else start  # (B, H)
        before = torch.cat([first.unsqueeze(1), outputs[:, :-1]], dim=1)
        weight_ih, weight_hh, bias_ih, bias_hh = (
            cell.get_parameter(f"{name}_l0")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        from_input = nn.functional.linear(x, weight_ih, bias_ih).split(cell.hidden_size, dim=-1)
        from_state = nn.functional.linear(before, weight_hh, bias_hh).split(
            cell.hidden_size, dim=-1
        )
        shares = {}
        for name, a, b in zip(GATES[cell.mode], from_input, from_state, strict=True):
            if name != "candidate":
                shares[name] = _stuck(torch.sigmoid(a + b))
            elif cell.mode == "RNN_RELU":
                shares[name] = float((a + b <= 0).float().mean())
            else:
                reset = torch.sigmoid(from_input[0] + from_state[0]) if cell.mode == "GRU" else 1.0
                shares[name] = float((torch.tanh(a + reset * b).abs() > 0.95).float().mean())
        return shares


def _stuck(gate: Tensor) -> float:
    return float(((gate < 0.05) | (gate > 0.95)).float().mean())


def _state_parts(cell: Cell) -> dict[str, slice]:
    """Which parts of a layer's state are its hidden and its cell state."""
    if isinstance(cell, LRU):
        return {"hidden": slice(0, 2)}
    if isinstance(cell, SLSTM) or (isinstance(cell, nn.RNNBase) and cell.mode == "LSTM"):
        return {"hidden": slice(0, 1), "cell": slice(1, 2)}
    return {"hidden": slice(0, 1)}
