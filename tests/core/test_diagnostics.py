"""Gradients by lag against Jacobians of the fused cells, and the sentences about them."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import jacobian

from core.diagnostics import LagCurve, describe_lags, gradient_by_lag
from core.nn.initialization import CELLS, Cell
from core.nn.recurrent import RecurrentConfig, RecurrentStack

NUM_PROBES = 3000  # rows of one input: each draws its own direction, so the estimate's error
TOLERANCE = 0.08  # is at most sqrt(2 / 3000) / 2 = 1.3 %, and this is six times that


def make_stack(cell: Any, **options: Any) -> RecurrentStack:
    torch.manual_seed(1)
    options = {"hidden_size": 3, "start": "default", **options}
    return RecurrentStack(2, RecurrentConfig(cell=cell, **options)).double()


def one_row(time: int = 6) -> Tensor:
    return torch.randn(1, time, 2, generator=torch.Generator().manual_seed(2)).double()


def run_cell(cell: Cell, x: Tensor, state: Any = None) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The fused form, which `gradient_by_lag` does not use; states are tuples of (B, H)."""
    if not isinstance(cell, nn.RNNBase):
        return cell(x, state)
    if state is not None:
        state = tuple(part.unsqueeze(0) for part in state)
        state = state if cell.mode == "LSTM" else state[0]
    outputs, final = cell(x, state)
    return outputs, tuple(p.squeeze(0) for p in (final if cell.mode == "LSTM" else (final,)))


def jacobian_norms(cell: Cell, x: Tensor, parts: slice) -> list[float]:
    """Frobenius norm of d output[last] / d state[t], from the last t but one to the first.

    What depends on the state within its own step is moved along: h is o tanh(c) in an LSTM, and
    proportional to c in an sLSTM.
    """
    norms = []
    for t in range(x.size(1) - 2, -1, -1):
        _, state = run_cell(cell, x[:, : t + 1])

        def last(*chosen: Tensor, state: Any = state, t: int = t) -> Tensor:
            changed = list(state)
            changed[parts] = chosen
            if parts == slice(1, 2):
                read = torch.tanh if isinstance(cell, nn.LSTM) else torch.Tensor.double
                changed[0] = state[0] / read(state[1]) * read(chosen[0])
            return run_cell(cell, x[:, t + 1 :], tuple(changed))[0][:, -1]

        blocks = jacobian(last, tuple(part.detach() for part in state[parts]))
        norms.append(math.sqrt(sum(float(block.square().sum()) for block in blocks)))
    return norms


@pytest.mark.parametrize("cell", CELLS)
def test_the_gradient_by_lag_is_the_norm_of_the_jacobian(cell: Any) -> None:
    stack, x = make_stack(cell), one_row()
    curves = gradient_by_lag(stack, x.expand(NUM_PROBES, -1, -1))
    has_cell_state = cell in ("lstm", "slstm")
    assert [curve.state for curve in curves] == ["hidden", "cell"][: 1 + has_cell_state]
    for curve in curves:
        parts = slice(0, 2) if cell == "lru" else slice(0, 1)
        parts = slice(1, 2) if curve.state == "cell" else parts
        expected = jacobian_norms(stack.cells()[0][0], x, parts)
        assert curve.lag == list(range(6))
        assert curve.norm[1:] == pytest.approx(expected, rel=TOLERANCE)
        if curve.state == "hidden" and cell != "lru":
            assert curve.norm[0] == pytest.approx(math.sqrt(3), rel=TOLERANCE)  # the identity


def test_a_single_unit_that_halves_its_state_halves_the_gradient_with_every_lag() -> None:
    stack = make_stack("irnn", hidden_size=1)
    cell = stack.cells()[0][0]
    with torch.no_grad():
        cell.weight_hh_l0.fill_(0.5)
        cell.weight_ih_l0.fill_(1.0)
        cell.bias_ih_l0.zero_()
        cell.bias_hh_l0.zero_()
    (curve,) = gradient_by_lag(stack, torch.ones(4, 8, 2))
    shares = [norm / curve.norm[0] for norm in curve.norm]
    assert shares == pytest.approx([0.5**lag for lag in range(8)], rel=1e-12)
    assert curve.share(4) == pytest.approx(0.5**3)
    assert curve.reach() == 7


@pytest.mark.parametrize(
    "options",
    [
        {"num_layers": 2},
        {"num_layers": 3, "norm": "layer"},
        {"num_layers": 2, "residual": True},
        {"num_layers": 2, "bidirectional": True},
        {"num_layers": 2, "bidirectional": True, "residual": True, "dropout": 0.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("cell", ["gru", "mingru"])
def test_the_first_layers_gradient_goes_through_every_later_layer(cell: Any, options: dict) -> None:
    stack, x = make_stack(cell, **options), one_row()
    time = x.size(1)
    curve = gradient_by_lag(stack, x.expand(NUM_PROBES, -1, -1))[0]
    assert (curve.layer, curve.state) == (0, "hidden")
    stack.eval()

    def last(bump: Tensor, t: int) -> Tensor:
        """The stack's last output where the bump is added to the first layer's state at t."""
        inputs = x
        for number, cells in enumerate(stack.cells()):
            if number > 0:
                outputs, _ = run_cell(cells[0], inputs)
            else:
                outputs, _ = run_cell(cells[0], inputs[:, : t + 1])
                state = outputs[:, -1] + bump
                outputs = torch.cat([outputs[:, :-1], state.unsqueeze(1)], dim=1)
                if t < time - 1:
                    after, _ = run_cell(cells[0], inputs[:, t + 1 :], (state,))
                    outputs = torch.cat([outputs, after], dim=1)
            if len(cells) == 2:
                backward, _ = run_cell(cells[1], inputs.flip(1))
                outputs = torch.cat([outputs, backward.flip(1)], dim=-1)
            if stack.config.residual and outputs.shape == inputs.shape:
                outputs = outputs + inputs
            if number < len(stack.layers) - 1:
                outputs = stack.norms[number](outputs)
            inputs = outputs
        return inputs[:, -1, :3]

    for lag in range(time):
        found = jacobian(lambda bump, t=time - 1 - lag: last(bump, t), torch.zeros(1, 3).double())
        assert curve.norm[lag] == pytest.approx(float(found.norm()), rel=TOLERANCE), lag


@pytest.mark.parametrize(("cell", "state"), [("lstm", "cell"), ("gru", "hidden")])
def test_a_start_that_keeps_lets_the_gradient_reach_further(cell: Any, state: str) -> None:
    norms = {}
    for start in ("default", "forget", "chrono"):
        torch.manual_seed(0)
        stack = RecurrentStack(4, RecurrentConfig(cell=cell, hidden_size=128, start=start))
        curves = gradient_by_lag(stack, torch.randn(16, 100, 4))
        (norms[start],) = [np.array(c.norm) for c in curves if c.state == state]
    far = slice(50, 100)
    assert (norms["default"][far] < 0.1 * norms["forget"][far]).all()
    assert (norms["forget"][far] < 0.1 * norms["chrono"][far]).all()


@pytest.mark.parametrize("cell", CELLS)
def test_measuring_leaves_everything_as_it_was(cell: Any) -> None:
    options = {"num_layers": 2, "norm": "batch", "dropout": 0.5, "bidirectional": True}
    stack = make_stack(cell, **options).float()
    before = {name: tensor.clone() for name, tensor in stack.state_dict().items()}
    x = torch.randn(16, 5, 2).requires_grad_()
    random = torch.get_rng_state()
    first, second = gradient_by_lag(stack, x), gradient_by_lag(stack, x)
    assert first == second
    assert torch.equal(torch.get_rng_state(), random)
    assert stack.training
    assert all(parameter.grad is None for parameter in stack.parameters())
    assert x.grad is None
    for name, tensor in stack.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name]), name


def test_one_step_has_no_lag() -> None:
    with pytest.raises(ValueError, match="x has 1 steps; .* at least 2"):
        gradient_by_lag(make_stack("gru"), torch.zeros(16, 1, 2))


def curve_of(norm: list[float]) -> LagCurve:
    return LagCurve(0, "hidden", list(range(len(norm))), norm)


def test_a_vanishing_curve_is_said_to_end_where_it_ends() -> None:
    curve = curve_of([1.0, *(0.5 ** (lag - 1) for lag in range(1, 101))])
    assert curve.reach() == 10  # at lag 11 it is 2^-10, less than a thousandth
    assert describe_lags(curve) == (
        "the gradient at lag 50 was 2e-15 of that at lag 1: inputs more than 10 steps back did not "
        "influence learning"
    )


def test_a_flat_curve_is_said_to_reach_every_step_measured() -> None:
    assert describe_lags(curve_of([1.0] * 31)) == (
        "the gradient at lag 30 was 1e+00 of that at lag 1: all 30 steps measured reach learning"
    )


def test_an_exploding_curve_is_said_to_grow_and_where_it_peaks() -> None:
    curve = curve_of([1e9, *(2.0**lag for lag in range(1, 11)), 3.0])
    assert describe_lags(curve) == ("the gradient grew to 5e+02 of that at lag 1 by lag 10")


def test_a_curve_that_is_zero_has_no_share() -> None:
    curve = curve_of([1.0, 0.0, 0.0])
    assert (curve.share(2), curve.reach()) == (0.0, 0)
