"""The cells' diagnostics against eigenvalues and loops written out by hand."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.diagnostics import (
    gate_saturation,
    gradient_norms,
    largest_eigenvalues,
    spectral_radius,
)
from core.nn.cells import LRU
from core.nn.initialization import CELLS, make_cell
from core.nn.stepping import run_steps, zero_state

GATES = {
    "rnn": ["candidate"],
    "irnn": ["candidate"],
    "lstm": ["input", "forget", "candidate", "output"],
    "gru": ["reset", "update", "candidate"],
}


def test_gradient_norms_are_those_of_each_modules_own_parameters() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 1), nn.Linear(1, 1)))
    model.own = nn.Parameter(torch.zeros(2))
    model[0].weight.grad = torch.full((3, 2), 2.0)
    model[0].bias.grad = torch.full((3,), 1.0)
    model[1][0].weight.grad = torch.tensor([[3.0, 0.0, 4.0]])
    model.own.grad = torch.tensor([0.0, -7.0])
    assert gradient_norms(model) == pytest.approx(
        {"model": 7.0, "0": math.sqrt(6 * 4 + 3), "1.0": 5.0}
    )


@pytest.mark.parametrize("name", CELLS)
def test_the_spectral_radius_is_numpys(name: Any) -> None:
    torch.manual_seed(3)
    cell = make_cell(name, 2, 5)
    found = spectral_radius(cell)
    if name in ("mingru", "minlstm"):
        assert found == {}
        return
    if isinstance(cell, LRU):
        modulus = np.exp(-np.exp(cell.log_decay.detach().numpy()))
        assert found == {"diagonal": pytest.approx(modulus.max(), rel=1e-5)}
        return
    matrix = cell.weight_hh_l0 if isinstance(cell, nn.RNNBase) else cell.recurrent
    blocks = matrix.detach().numpy().reshape(-1, 5, 5)
    gates = {
        "rnn": ["candidate"],
        "irnn": ["candidate"],
        "gru": ["reset", "update", "candidate"],
    }.get(name, ["input", "forget", "candidate", "output"])
    assert list(found) == gates
    for gate, block in zip(gates, blocks, strict=True):
        assert found[gate] == pytest.approx(np.abs(np.linalg.eigvals(block)).max(), rel=1e-4)


def test_an_orthogonal_matrix_has_the_radius_1_and_half_of_it_a_half() -> None:
    cell = make_cell("lstm", 2, 16)
    with torch.no_grad():
        for gate in cell.weight_hh_l0.split(16):
            nn.init.orthogonal_(gate)
        cell.weight_hh_l0[16:32] *= 0.5
    expected = {"input": 1.0, "forget": 0.5, "candidate": 1.0, "output": 1.0}
    assert spectral_radius(cell) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("size", [1, 2, 16, 100])
def test_the_largest_eigenvalue_is_found_in_every_kind_of_matrix(size: int) -> None:
    torch.manual_seed(0)
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]])  # a pair of complex ones
    matrices = [
        torch.randn(size, size),
        torch.randn(size, size).triu(),
        torch.block_diag(turn, torch.full((size, size), 1e-3)),
        1e-20 * torch.eye(size),
        1e10 * torch.eye(size),
        torch.zeros(size, size),
        torch.randn(size, size).triu(1),
        torch.eye(size) + torch.diag(torch.ones(size - 1), 1),
    ]
    for matrix in matrices:
        expected = np.abs(np.linalg.eigvals(matrix.double().numpy())).max()
        assert float(largest_eigenvalues(matrix[None])) == pytest.approx(expected, rel=1e-4)
    several = torch.stack([matrices[0], 2 * matrices[0], matrices[5]])
    one = float(largest_eigenvalues(several[:1]))
    assert largest_eigenvalues(several).tolist() == pytest.approx([one, 2 * one, 0], rel=1e-4)


def stuck(gate: Tensor) -> float:
    return ((gate < 0.05) | (gate > 0.95)).double().mean().item()


def loop_shares(name: str, cell: Any, x: Tensor, hidden: Tensor, memory: Tensor) -> dict:
    """Each gate's share step by step, from the cells' equations in torch's documentation."""
    kept: dict[str, list[Tensor]] = {}
    for inputs in x.unbind(1):
        from_input = inputs @ cell.weight_ih_l0.T + cell.bias_ih_l0
        from_state = hidden @ cell.weight_hh_l0.T + cell.bias_hh_l0
        a, b = from_input.chunk(len(GATES[name]), -1), from_state.chunk(len(GATES[name]), -1)
        if name == "lstm":
            write, forget, output = (torch.sigmoid(a[k] + b[k]) for k in (0, 1, 3))
            candidate = torch.tanh(a[2] + b[2])
            memory = forget * memory + write * candidate
            hidden = output * torch.tanh(memory)
            values = (write, forget, candidate, output)
        elif name == "gru":
            reset, update = (torch.sigmoid(a[k] + b[k]) for k in (0, 1))
            candidate = torch.tanh(a[2] + reset * b[2])
            hidden = (1 - update) * candidate + update * hidden
            values = (reset, update, candidate)
        else:
            hidden = torch.tanh(a[0] + b[0]) if name == "rnn" else torch.relu(a[0] + b[0])
            values = (hidden,)
        for gate, value in zip(GATES[name], values, strict=True):
            kept.setdefault(gate, []).append(value)
    shares = {}
    for gate, values in kept.items():
        every = torch.stack(values)
        if gate != "candidate":
            shares[gate] = stuck(every)
        elif name == "irnn":
            shares[gate] = (every == 0).double().mean().item()
        else:
            shares[gate] = (every.abs() > 0.95).double().mean().item()
    return shares


@pytest.mark.parametrize("starts_at_zero", [True, False])
@pytest.mark.parametrize("name", CELLS)
def test_saturation_is_that_of_a_step_by_step_loop(name: Any, starts_at_zero: bool) -> None:
    torch.manual_seed(4)
    cell = make_cell(name, 2, 6)
    for parameter in cell.parameters():
        parameter.data *= 4  # so that about half of the values are stuck
    x = torch.randn(3, 9, 2)
    state = tuple(part.float() for part in zero_state(cell, 3, x))
    if not starts_at_zero:
        state = tuple(3 * torch.randn(3, 6) for _ in state)
    with torch.no_grad():
        outputs = run_steps(cell, x, state).outputs
        found = gate_saturation(cell, x, outputs, None if starts_at_zero else state[0])
        if name in GATES:
            expected = loop_shares(name, cell, x, state[0], state[-1])
        elif name in ("mingru", "minlstm"):
            gates = torch.sigmoid(cell.projection(x)).split(6, -1)[:-1]
            names = ["update"] if name == "mingru" else ["forget", "input"]
            expected = {gate: stuck(v) for gate, v in zip(names, gates, strict=True)}
        else:
            expected = {}
    assert found == pytest.approx(expected, abs=1e-6)
    assert all(0.05 < share < 0.95 for share in found.values())
