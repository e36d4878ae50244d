import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import erf, expit
from torch import Tensor, nn
from torch.func import functional_call

from core.nn.cells import LRU, SLSTM, LayerState, MinGRU, MinLSTM, linear_recurrence

CELLS = (MinGRU, MinLSTM, LRU, SLSTM)
TIMES = (1, 2, 7, 64, 2048)
LAYOUTS = ("contiguous", "expanded decay", "transposed")
BOUNDS = {
    torch.float32: 1e-5,
    torch.float64: 1e-9,
    torch.complex64: 1e-5,
    torch.complex128: 1e-9,
}


def assert_near(ours: Tensor, expected: Tensor, bound: float) -> None:
    """Differ by at most `bound` times the largest value expected."""
    error = (ours.detach().to(expected.dtype) - expected.detach()).abs().max()
    assert float(error) <= bound * float(expected.detach().abs().max())


def plain_loop(decay: Tensor, drive: Tensor, start: Tensor) -> Tensor:
    states, before = [], start
    for a, b in zip(decay, drive, strict=True):
        before = a * before + b
        states.append(before)
    return torch.stack(states)


def draw(*shape: int, dtype: torch.dtype, is_decay: bool = False) -> Tensor:
    """Normal numbers, or factors of size 0.5 to 1 and any sign or phase; as exact in float32."""
    generator = torch.Generator().manual_seed(sum(shape))
    if not is_decay:
        single = torch.complex64 if dtype.is_complex else torch.float32
        return torch.randn(*shape, generator=generator, dtype=single).to(dtype)
    size = 0.5 + 0.499 * torch.rand(*shape, generator=generator)
    turn = torch.rand(*shape, generator=generator)
    if dtype.is_complex:
        return torch.polar(size, 6.28 * turn).to(dtype)
    return torch.where(turn < 0.1, -size, size).to(dtype)


def recurrence_leaves(time: int, dtype: torch.dtype, layout: str) -> tuple[Tensor, Tensor, Tensor]:
    match layout:
        case "expanded decay":
            shapes = (3,), (time, 2, 3), (2, 3)
        case "transposed":
            shapes = (2, time, 3), (2, time, 3), (3, 2)
        case _:
            shapes = (time, 2, 3), (time, 2, 3), (2, 3)
    return (
        draw(*shapes[0], dtype=dtype, is_decay=True).requires_grad_(),
        draw(*shapes[1], dtype=dtype).requires_grad_(),
        draw(*shapes[2], dtype=dtype).requires_grad_(),
    )


def arranged(leaves: tuple[Tensor, ...], layout: str) -> tuple[Tensor, Tensor, Tensor]:
    """Decay, drive and start, time first, in the memory layout of that name."""
    decay, drive, start = leaves
    match layout:
        case "expanded decay":
            return decay.expand(drive.shape), drive, start
        case "transposed":
            return decay.transpose(0, 1), drive.transpose(0, 1), start.t()
    return decay, drive, start


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("time", TIMES)
def test_linear_recurrence_equals_the_plain_loop_in_value_and_gradient(
    time: int, dtype: torch.dtype, layout: str
) -> None:
    ours = recurrence_leaves(time, dtype, layout)
    exact = torch.complex128 if dtype.is_complex else torch.float64
    theirs = tuple(leaf.detach().to(exact).requires_grad_() for leaf in ours)
    states = linear_recurrence(*arranged(ours, layout))
    expected = plain_loop(*arranged(theirs, layout))
    assert states.dtype == dtype
    assert_near(states, expected, BOUNDS[dtype])
    weights = draw(2, time, 3, dtype=exact).transpose(0, 1)
    (states.conj() * weights.to(dtype)).sum().abs().backward()
    (expected.conj() * weights).sum().abs().backward()
    for leaf, reference in zip(ours, theirs, strict=True):
        assert_near(leaf.grad, reference.grad, BOUNDS[dtype])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("time", [1, 4])
def test_linear_recurrence_passes_gradcheck(time: int, dtype: torch.dtype, layout: str) -> None:
    leaves = recurrence_leaves(time, dtype, layout)
    assert torch.autograd.gradcheck(
        lambda *given: linear_recurrence(*arranged(given, layout)), leaves
    )


def test_linear_recurrence_leaves_its_inputs_and_its_gradient_alone() -> None:
    leaves = recurrence_leaves(5, torch.float64, "contiguous")
    before = [leaf.detach().clone() for leaf in leaves]
    upstream = torch.ones(5, 2, 3, dtype=torch.float64)
    linear_recurrence(*leaves).backward(upstream)
    assert (upstream == 1).all()
    assert all(torch.equal(leaf, old) for leaf, old in zip(leaves, before, strict=True))


def some_state(cell: nn.Module, batch: int, like: Tensor) -> LayerState:
    """Any state that a cell may be in; the sLSTM's normaliser is positive."""
    torch.manual_seed(3)
    parts = [torch.randn_like(part) for part in cell.zero_state(batch, like)]
    if isinstance(cell, SLSTM):
        parts[2] = parts[2].abs() + 0.5
    return tuple(parts)


def loop_of_steps(cell: nn.Module, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
    outputs = []
    for inputs in x.unbind(1):
        output, state = cell.step(inputs, state)
        outputs.append(output)
    return torch.stack(outputs, dim=1), state


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (MinGRU, torch.float32),
        (MinGRU, torch.float64),
        (MinLSTM, torch.float32),
        (MinLSTM, torch.float64),
        (LRU, torch.float64),
        (SLSTM, torch.float64),
    ],
)
def test_forward_equals_the_loop_of_step_in_value_and_gradient(
    kind: type, dtype: torch.dtype, time: int
) -> None:
    if kind in (LRU, SLSTM):
        time = min(time, 256)  # the recurrence itself is compared over 2,048 steps above
    torch.manual_seed(0)
    cell = kind(3, 4).to(dtype)
    exact = copy.deepcopy(cell).double()
    x = torch.randn(2, time, 3, dtype=torch.float32).to(dtype).requires_grad_()
    state = tuple(part.requires_grad_() for part in some_state(cell, 2, x.detach()))
    their_x = x.detach().double().requires_grad_()
    their_state = tuple(part.detach().double().requires_grad_() for part in state)

    outputs, final = cell(x, state)
    expected, expected_final = loop_of_steps(exact, their_x, their_state)
    assert_near(outputs, expected, BOUNDS[dtype])
    for part, reference in zip(final, expected_final, strict=True):
        assert_near(part, reference, BOUNDS[dtype])
    weights = torch.randn(2, time, 4, dtype=torch.float64)
    (outputs * weights.to(dtype)).sum().backward()
    (expected * weights).sum().backward()
    ours = [x, *state, *cell.parameters()]
    theirs = [their_x, *their_state, *exact.parameters()]
    for leaf, reference in zip(ours, theirs, strict=True):
        assert_near(leaf.grad, reference.grad, BOUNDS[dtype])


def differentiable_parts(cell: nn.Module, final: LayerState) -> LayerState:
    """Of the last state what carries gradient: the sLSTM's m cancels in c / n alone."""
    return (final[0], final[1] / final[2]) if isinstance(cell, SLSTM) else final


@pytest.mark.parametrize("from_zero", [True, False])
@pytest.mark.parametrize("kind", CELLS)
def test_cells_pass_gradcheck_in_inputs_state_and_parameters(kind: type, from_zero: bool) -> None:
    torch.manual_seed(0)
    cell = kind(2, 3).double()
    names = [name for name, _ in cell.named_parameters()]
    x = torch.randn(2, 4, 2, dtype=torch.float64)
    state = () if from_zero else some_state(cell, 2, x)

    def run(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        before = rest[: len(state)] or None
        weights = dict(zip(names, rest[len(state) :], strict=True))
        first, middle = functional_call(cell, weights, (x[:, :3], before))
        second, final = functional_call(cell, weights, (x[:, 3:], middle))
        return first, second, *differentiable_parts(cell, final)

    leaves = [x, *state, *cell.parameters()]
    assert torch.autograd.gradcheck(
        run, tuple(leaf.detach().clone().requires_grad_() for leaf in leaves)
    )


def gates_of(cell: nn.Module, inputs: np.ndarray, num_gates: int) -> list[np.ndarray]:
    """Linear_k(x) for each block of rows of the projection."""
    weight = cell.projection.weight.detach().numpy()
    bias = cell.projection.bias.detach().numpy()
    return np.split(inputs @ weight.T + bias, num_gates, axis=-1)


def min_gru(cell: MinGRU, x: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Feng et al. 2024, section 3.1.3."""
    outputs = []
    for inputs in np.moveaxis(x, 1, 0):
        gate, candidate = gates_of(cell, inputs, 2)
        update = expit(gate)
        hidden = (1 - update) * hidden + update * candidate
        outputs.append(hidden)
    return np.stack(outputs, axis=1)


def min_lstm(cell: MinLSTM, x: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Feng et al. 2024, section 3.2.4."""
    outputs = []
    for inputs in np.moveaxis(x, 1, 0):
        forget, write, candidate = gates_of(cell, inputs, 3)
        forget, write = expit(forget), expit(write)
        total = forget + write
        hidden = forget / total * hidden + write / total * candidate
        outputs.append(hidden)
    return np.stack(outputs, axis=1)


def lru(cell: LRU, x: np.ndarray, real: np.ndarray, imaginary: np.ndarray) -> np.ndarray:
    """Orvieto et al. 2023, eq. 5 to 7: lambda = exp(-exp(nu) + i exp(theta)), then GLU(gelu(y))."""
    weights = {name: value.detach().numpy() for name, value in cell.named_parameters()}
    eigenvalues = np.exp(-np.exp(weights["log_decay"]) + 1j * np.exp(weights["log_phase"]))
    encode = (
        weights["encode.weight"][: cell.hidden_size]
        + 1j * (weights["encode.weight"][cell.hidden_size :])
    )
    # Re(C x) with C = C_re - i C_im: the second half of the columns reads the imaginary part.
    decode = (
        weights["decode.weight"][:, : cell.hidden_size]
        - 1j * (weights["decode.weight"][:, cell.hidden_size :])
    )
    state, outputs = real + 1j * imaginary, []
    for inputs in np.moveaxis(x, 1, 0):
        state = eigenvalues * state + np.exp(weights["log_scale"]) * (inputs @ encode.T)
        y = (state @ decode.T).real + inputs @ weights["skip.weight"].T + weights["skip.bias"]
        active = y * 0.5 * (1 + erf(y / np.sqrt(2)))
        value, gate = np.split(active @ weights["glu.weight"].T + weights["glu.bias"], 2, axis=-1)
        outputs.append(value * expit(gate))
    return np.stack(outputs, axis=1)


def s_lstm(cell: SLSTM, x: np.ndarray, *state: np.ndarray) -> np.ndarray:
    """Beck et al. 2024, eq. 8 to 14: no stabiliser, the input gate is a plain exp."""
    hidden, memory, normalizer, maximum = state
    recurrent = cell.recurrent.detach().numpy()
    memory, normalizer = np.exp(maximum) * memory, np.exp(maximum) * normalizer
    outputs = []
    for inputs in np.moveaxis(x, 1, 0):
        from_state = np.split(hidden @ recurrent.T, 4, axis=-1)
        gates = zip(gates_of(cell, inputs, 4), from_state, strict=True)
        write, forget, candidate, output = (a + b for a, b in gates)
        memory = expit(forget) * memory + np.exp(write) * np.tanh(candidate)
        normalizer = expit(forget) * normalizer + np.exp(write)
        hidden = expit(output) * memory / normalizer
        outputs.append(hidden)
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize("from_zero", [True, False])
@pytest.mark.parametrize(
    ("kind", "paper"), [(MinGRU, min_gru), (MinLSTM, min_lstm), (LRU, lru), (SLSTM, s_lstm)]
)
def test_cell_equals_the_equations_of_its_paper(
    kind: type, paper: Callable[..., np.ndarray], from_zero: bool
) -> None:
    torch.manual_seed(0)
    cell = kind(3, 5).double()
    x = torch.randn(2, 20, 3, dtype=torch.float64)
    state = cell.zero_state(2, x) if from_zero else some_state(cell, 2, x)
    outputs, _ = cell(x, None if from_zero else state)
    expected = paper(cell, x.numpy(), *(part.numpy() for part in state))
    np.testing.assert_allclose(outputs.detach().numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", CELLS)
def test_no_state_means_the_zero_state(kind: type) -> None:
    torch.manual_seed(0)
    cell, x = kind(3, 4), torch.randn(2, 5, 3)
    outputs, final = cell(x)
    expected, expected_final = cell(x, cell.zero_state(2, x))
    assert torch.equal(outputs, expected)
    assert all(torch.equal(a, b) for a, b in zip(final, expected_final, strict=True))


def test_min_lstm_shares_one_between_its_gates_when_both_are_near_zero() -> None:
    cell = MinLSTM(1, 2)
    nn.init.zeros_(cell.projection.weight)
    nn.init.constant_(cell.projection.bias[:4].detach(), -200.0)  # sigmoid underflows to 0
    decay, _ = cell.decay_and_drive(torch.zeros(1, 1))
    torch.testing.assert_close(decay, torch.full((1, 2), 0.5))


def test_lru_starts_with_eigenvalues_on_the_ring_and_scales_that_keep_the_variance() -> None:
    torch.manual_seed(0)
    cell = LRU(3, 2000, smallest=0.2, largest=0.9)
    eigenvalues = cell.eigenvalues().detach()
    size = eigenvalues.abs()
    assert 0.2 - 1e-5 <= float(size.min()) < 0.22
    assert 0.895 < float(size.max()) <= 0.9 + 1e-5
    # Uniform in the area of the ring: the squares are uniform.
    assert float(size.square().mean()) == pytest.approx((0.2**2 + 0.9**2) / 2, abs=0.02)
    phase = eigenvalues.angle()
    assert 0 <= float(phase.min()) <= float(phase.max()) <= np.pi / 10 + 1e-5
    torch.testing.assert_close(cell.log_scale.exp().square(), 1 - size.square())


def open_slstm() -> SLSTM:
    """One unit whose four gates i, f, z, o are its four inputs."""
    cell = SLSTM(4, 1)
    with torch.no_grad():
        cell.projection.weight.copy_(torch.eye(4))
        cell.projection.bias.zero_()
        cell.recurrent.zero_()
    return cell


def slstm_gates(write: float, forget: float, time: int = 30) -> Tensor:
    torch.manual_seed(1)
    gates = torch.randn(2, time, 4)
    gates[..., 0], gates[..., 1] = write, forget
    return gates


@pytest.mark.parametrize("write", [-200.0, 0.0, 200.0])
def test_slstm_averages_its_candidates_when_it_forgets_nothing(write: float) -> None:
    gates = slstm_gates(write, 200.0)
    hidden, _ = open_slstm()(gates)
    count = torch.arange(1, 31).view(1, -1, 1)
    mean = torch.tanh(gates[..., 2:3]).cumsum(1) / count
    torch.testing.assert_close(hidden, torch.sigmoid(gates[..., 3:]) * mean)


@pytest.mark.parametrize("write", [-200.0, 0.0, 200.0])
def test_slstm_keeps_the_newest_candidate_alone_when_it_forgets_all(write: float) -> None:
    gates = slstm_gates(write, -200.0)
    hidden, _ = open_slstm()(gates)
    newest = torch.sigmoid(gates[..., 3:]) * torch.tanh(gates[..., 2:3])
    torch.testing.assert_close(hidden, newest)


def test_slstm_is_ruled_by_its_largest_write() -> None:
    gates = slstm_gates(-200.0, 200.0)
    gates[:, 10, 0] = 200.0
    hidden, _ = open_slstm()(gates)
    stored = torch.tanh(gates[:, 10:11, 2:3])
    torch.testing.assert_close(hidden[:, 10:], (torch.sigmoid(gates[..., 3:]) * stored)[:, 10:])


@pytest.mark.parametrize("seed", range(3))
def test_slstm_and_its_gradients_stay_finite_under_gates_of_200(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    gates = 200.0 * (2 * torch.randint(0, 2, (4, 100, 4), generator=generator) - 1)
    gates.requires_grad_()
    cell = open_slstm()
    hidden, final = cell(gates)
    hidden.sum().backward()
    assert (hidden.abs() <= 1).all()
    assert all(part.isfinite().all() for part in final)
    assert gates.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in cell.parameters())


@pytest.mark.parametrize("kind", [MinGRU, MinLSTM])
def test_memory_survives_mixed_precision(kind: type) -> None:
    """Eight bits know no factor between 0.996 and 1: the recurrence must not run on them."""
    cell = kind(2, 4)
    with torch.no_grad():
        cell.projection.weight.zero_()
        cell.projection.bias.zero_()
        cell.gate_bias(0).fill_(-7.0 if kind is MinGRU else 7.0)
        if kind is MinLSTM:
            cell.gate_bias(1).fill_(-7.0)
    x, state = torch.randn(1, 1000, 2), (torch.ones(1, 4),)
    expected = cell(x, state)[0].detach()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, _ = cell(x, state)
    assert 0.3 < float(expected[0, -1, 0]) < 0.5  # (1 - exp(-7)) ** 1000
    torch.testing.assert_close(outputs.float(), expected, rtol=0.02, atol=0)
