import math

import pytest
import torch
from torch import Tensor, nn

from core.nn.cells import SLSTM
from core.nn.gru import GRU
from core.nn.initialization import (
    CELLS,
    STARTS,
    Cell,
    cell_name,
    effective_start,
    initialize_recurrent,
    make_cell,
)
from core.nn.stepping import zero_state

HIDDEN = 8
WITH_MATRIX = tuple(name for name in CELLS if effective_start(name, "identity") == "identity")
# Each unit's share of the old state that a step keeps, given the bias of the gate that keeps.
KEPT = {
    "lstm": lambda keep, _: torch.sigmoid(keep),
    "gru": lambda keep, _: torch.sigmoid(keep),
    "mingru": lambda keep, _: torch.sigmoid(keep),
    "slstm": lambda keep, _: torch.sigmoid(keep),
    "minlstm": lambda keep, write: (
        torch.sigmoid(keep) / (torch.sigmoid(keep) + torch.sigmoid(write))
    ),
}


def started(name: str, start: str, longest_lag: int = 100, hidden: int = HIDDEN) -> Cell:
    torch.manual_seed(0)
    cell = make_cell(name, 3, hidden)
    torch.manual_seed(1)
    initialize_recurrent(cell, start, longest_lag)
    return cell


def recurrent_matrices(cell: Cell) -> tuple[Tensor, ...]:
    matrix = cell.weight_hh_l0 if isinstance(cell, nn.RNNBase) else cell.recurrent
    return matrix.detach().split(cell.hidden_size)


def biases(cell: Cell) -> list[tuple[Tensor, ...]]:
    """Every bias vector of a cell, split by gate."""
    named = cell.named_parameters()
    return [bias.detach().split(cell.hidden_size) for name, bias in named if "bias" in name]


def share_kept(cell: Cell, time: int = 1) -> Tensor:
    """What is left of a memory of 1 after `time` steps if only the biases act, (H,)."""
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            if "weight" in name or "recurrent" in name:
                parameter.zero_()
        x = torch.zeros(1, time, 3)
        one = torch.ones(1, cell.hidden_size)
        match cell:
            case nn.LSTM():
                _, (_, memory) = cell(x, (0 * one[None], one[None]))
                return memory[0, 0]
            case nn.RNNBase():
                return cell(x, one[None])[1][0, 0]
            case SLSTM():
                _, (_, memory, _, maximum) = cell(x, (0 * one, one, one, 0 * one))
                return (memory * maximum.exp())[0]
        return cell(x, (one,))[1][0][0]


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_is_built_under_its_name_and_size(name: str) -> None:
    cell = make_cell(name, 3, HIDDEN)
    assert cell_name(cell) == name
    outputs = cell(torch.randn(2, 5, 3))[0]
    assert outputs.shape == (2, 5, HIDDEN)
    assert len(zero_state(cell, 2, outputs)[0]) == 2


def test_names_build_different_cells() -> None:
    kinds = {name: make_cell(name, 3, 4) for name in CELLS}
    assert (kinds["rnn"].nonlinearity, kinds["irnn"].nonlinearity) == ("tanh", "relu")
    assert type(kinds["gru"]) is GRU
    for name, cell in kinds.items():
        assert type(cell).__name__.lower() == name.removeprefix("i")


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("name", CELLS)
def test_the_same_seed_gives_the_same_start_and_another_seed_another(name: str, start: str) -> None:
    def weights(seed: int) -> Tensor:
        torch.manual_seed(seed)
        cell = make_cell(name, 3, HIDDEN)
        initialize_recurrent(cell, start)
        return nn.utils.parameters_to_vector(cell.parameters())

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


@pytest.mark.parametrize("name", CELLS)
def test_the_default_start_is_what_the_cell_was_built_with(name: str) -> None:
    torch.manual_seed(0)
    built = make_cell(name, 3, HIDDEN)
    ours = started(name, "default")
    for expected, parameter in zip(built.parameters(), ours.parameters(), strict=True):
        assert torch.equal(parameter, expected)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        (name, start)
        for name in WITH_MATRIX
        for start in ("orthogonal", "forget", "chrono")
        if (name, start) not in {("irnn", "forget"), ("irnn", "chrono")}
    ],
)
def test_each_recurrent_matrix_is_orthogonal_and_drawn_by_itself(name: str, start: str) -> None:
    matrices = recurrent_matrices(started(name, start))
    for gate in matrices:
        torch.testing.assert_close(gate @ gate.T, torch.eye(HIDDEN), atol=1e-5, rtol=0)
        assert (gate - torch.eye(HIDDEN)).abs().max() > 0.1
    assert len({float(gate[0, 0]) for gate in matrices}) == len(matrices)


@pytest.mark.parametrize(
    ("name", "start"),
    [*((name, "identity") for name in WITH_MATRIX), ("irnn", "forget"), ("irnn", "chrono")],
)
def test_the_identity_start_makes_each_recurrent_matrix_the_identity(name: str, start: str) -> None:
    for gate in recurrent_matrices(started(name, start)):
        assert torch.equal(gate, torch.eye(HIDDEN))


@pytest.mark.parametrize("name", WITH_MATRIX)
def test_input_weights_of_a_chosen_start_do_not_depend_on_the_number_of_gates(name: str) -> None:
    cell = started(name, "orthogonal", hidden=300)
    weight = cell.weight_ih_l0 if isinstance(cell, nn.RNNBase) else cell.projection.weight
    bound = math.sqrt(6 / (3 + 300))  # Glorot & Bengio 2010
    if name != "irnn":
        assert 0.98 * bound < float(weight.detach().abs().max()) <= bound
    else:
        assert float(weight.detach().std()) < 0.05


def test_an_irnn_starts_by_summing_its_positive_inputs() -> None:
    cell = started("irnn", "identity")
    with torch.no_grad():
        cell.weight_ih_l0.copy_(torch.full((HIDDEN, 3), 0.1))
        x = torch.rand(2, 50, 3)
        outputs, _ = cell(x)
    expected = (0.1 * x.sum(-1)).cumsum(1).unsqueeze(-1).expand(-1, -1, HIDDEN)
    torch.testing.assert_close(outputs, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        (name, start)
        for name in CELLS
        for start in ("orthogonal", "identity", "forget")
        if effective_start(name, start) != "default"
    ],
)
def test_every_bias_but_the_one_that_keeps_starts_at_zero(name: str, start: str) -> None:
    values = torch.cat([gate for gates in biases(started(name, start)) for gate in gates])
    sets_gate = start == "forget" and name in KEPT
    assert int((values != 0).sum()) == (HIDDEN if sets_gate else 0)


@pytest.mark.parametrize("name", KEPT)
def test_the_forget_start_keeps_the_state_longer(name: str) -> None:
    keep, write = torch.ones(HIDDEN), torch.zeros(HIDDEN)
    expected = KEPT[name](keep, write) ** 10
    kept = share_kept(started(name, "forget"), time=10)
    torch.testing.assert_close(kept, expected)
    if effective_start(name, "orthogonal") == "orthogonal":
        assert (kept > 20 * share_kept(started(name, "orthogonal"), time=10)).all()


@pytest.mark.parametrize("longest_lag", [3, 100, 2000])
@pytest.mark.parametrize("name", KEPT)
def test_chrono_units_forget_after_2_to_the_longest_lag_steps(name: str, longest_lag: int) -> None:
    kept = share_kept(started(name, "chrono", longest_lag, hidden=400)).double()
    steps = 1 / (1 - kept)
    assert 2 * (1 - 1e-3) < float(steps.min()) < 2 + 0.02 * longest_lag
    assert 0.98 * longest_lag < float(steps.max()) < longest_lag * (1 + 1e-3)
    # Uniform between them.
    assert float(steps.mean()) == pytest.approx((2 + longest_lag) / 2, abs=0.06 * longest_lag)


@pytest.mark.parametrize(
    ("name", "keeps", "writes", "sign"),
    [
        ("lstm", 1, 0, 1),  # i, f, g, o
        ("gru", 1, None, 1),  # r, z, n; z keeps
        ("mingru", 0, None, -1),  # z writes
        ("minlstm", 0, 1, 1),  # f, i
        ("slstm", 1, 0, 1),  # i, f, z, o
    ],
)
@pytest.mark.parametrize("longest_lag", [3, 50])
def test_chrono_biases_lie_between_log_1_and_log_l_minus_1(
    name: str, keeps: int, writes: int | None, sign: int, longest_lag: int
) -> None:
    gates, *others = biases(started(name, "chrono", longest_lag, hidden=200))
    keep = sign * gates[keeps]
    assert float(keep.min()) >= 0
    assert float(keep.max()) <= math.log(longest_lag - 1) + 1e-6
    assert float(keep.std()) > 0.1
    if writes is not None:
        assert torch.equal(gates[writes], -keep)
    for number, gate in enumerate(gates):
        if number not in (keeps, writes):
            assert (gate == 0).all()
    assert all((gate == 0).all() for other in others for gate in other)


EFFECTIVE = {
    # default, orthogonal, forget, chrono, identity
    "rnn": ("default", "orthogonal", "orthogonal", "orthogonal", "identity"),
    "irnn": ("default", "orthogonal", "identity", "identity", "identity"),
    "lstm": ("default", "orthogonal", "forget", "chrono", "identity"),
    "gru": ("default", "orthogonal", "forget", "chrono", "identity"),
    "mingru": ("default", "default", "forget", "chrono", "default"),
    "minlstm": ("default", "default", "forget", "chrono", "default"),
    "lru": ("default",) * 5,
    "slstm": ("default", "orthogonal", "forget", "chrono", "identity"),
}


@pytest.mark.parametrize("name", CELLS)
def test_effective_start_names_what_a_cell_really_gets(name: str) -> None:
    named = ("default", "orthogonal", "forget", "chrono", "identity")
    assert set(named) == set(STARTS)
    vectors = {}
    for start, expected in zip(named, EFFECTIVE[name], strict=True):
        assert effective_start(name, start) == expected
        vectors[start] = nn.utils.parameters_to_vector(started(name, start).parameters())
    for one in named:
        for other in named:
            same = effective_start(name, one) == effective_start(name, other)
            assert torch.equal(vectors[one], vectors[other]) == same
