import copy

import pytest
import torch
from torch import Tensor, nn

from core.nn.cells import LayerState
from core.nn.initialization import CELLS, Cell, initialize_recurrent, make_cell
from core.nn.stepping import cell_weights, run_steps, run_with_weights, step_cell, zero_state

TORCH_CELLS = ("rnn", "irnn", "lstm", "gru")


def make(name: str, start: str = "default") -> Cell:
    torch.manual_seed(0)
    cell = make_cell(name, 3, 5)
    initialize_recurrent(cell, start)
    return cell.double()


def inputs(time: int = 9) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2, time, 3, dtype=torch.float64, requires_grad=True)


def some_state(name: str, cell: Cell) -> LayerState:
    """Any state that a cell may be in; the sLSTM's normaliser is positive."""
    torch.manual_seed(2)
    parts = [torch.randn_like(part) for part in zero_state(cell, 2, inputs())]
    if name == "slstm":
        parts[2] = parts[2].abs() + 0.5
    return tuple(parts)


def fused(cell: Cell, x: Tensor, state: LayerState | None) -> tuple[Tensor, LayerState]:
    """The cell's own forward, its states as (B, H)."""
    if not isinstance(cell, nn.RNNBase):
        return cell(x, state)
    is_lstm = cell.mode == "LSTM"
    initial = None if state is None else tuple(part.unsqueeze(0) for part in state)
    outputs, final = cell(x, initial if is_lstm or initial is None else initial[0])
    return outputs, tuple(part.squeeze(0) for part in (final if is_lstm else (final,)))


def gradients(outputs: Tensor, cell: Cell, x: Tensor) -> list[Tensor]:
    torch.manual_seed(3)
    weights = torch.randn(outputs.shape, dtype=outputs.dtype)
    return list(torch.autograd.grad((outputs * weights).sum(), [x, *cell.parameters()]))


def assert_all_close(ours: list[Tensor] | LayerState, theirs: list[Tensor] | LayerState) -> None:
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("from_zero", [True, False])
@pytest.mark.parametrize("start", ["default", "chrono"])
@pytest.mark.parametrize("name", CELLS)
def test_stepping_equals_the_fused_form(name: str, start: str, from_zero: bool) -> None:
    cell, x = make(name, start), inputs()
    state = None if from_zero else some_state(name, cell)
    outputs, states = run_steps(cell, x, state)
    expected, final = fused(cell, x, state)
    torch.testing.assert_close(outputs, expected, rtol=1e-9, atol=1e-10)
    assert_all_close(states[-1], final)
    assert_all_close(gradients(outputs, cell, x), gradients(expected, cell, x))


@pytest.mark.parametrize("name", CELLS)
def test_the_state_after_each_step_is_recorded(name: str) -> None:
    cell, x = make(name), inputs()
    _, states = run_steps(cell, x)
    assert len(states) == x.size(1)
    for time, state in enumerate(states, start=1):
        assert_all_close(state, fused(cell, x[:, :time], None)[1])


@pytest.mark.parametrize("name", CELLS)
def test_stepping_goes_on_from_a_recorded_state(name: str) -> None:
    cell, x = make(name), inputs()
    outputs, states = run_steps(cell, x)
    rest, final = run_steps(cell, x[:, 4:], states[3])
    assert_all_close([rest], [outputs[:, 4:]])
    assert_all_close(final[-1], states[-1])


@pytest.mark.parametrize("from_zero", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", TORCH_CELLS)
def test_running_with_its_own_weights_is_the_cell_itself(
    name: str, training: bool, from_zero: bool
) -> None:
    cell, x = make(name).train(training), inputs()
    state = None if from_zero else some_state(name, cell)
    outputs, final = run_with_weights(cell, x, cell_weights(cell), state)
    expected, expected_final = fused(cell, x, state)
    assert torch.equal(outputs, expected)
    assert_all_close(final, expected_final)
    assert_all_close(gradients(outputs, cell, x), gradients(expected, cell, x))


@pytest.mark.parametrize("name", TORCH_CELLS)
def test_other_weights_stand_in_for_the_cells_own(name: str) -> None:
    cell, x = make(name), inputs()
    other = copy.deepcopy(cell)
    torch.manual_seed(4)
    for parameter in other.parameters():
        nn.init.normal_(parameter, std=0.5)
    expected, final = fused(other, x, None)
    outputs, ours = run_with_weights(cell, x, cell_weights(other))
    stepped = run_steps(cell, x, weights=cell_weights(other))
    assert_all_close([outputs, stepped.outputs], [expected, expected])
    assert_all_close(ours, final)
    assert_all_close(stepped.states[-1], final)


@pytest.mark.parametrize("name", CELLS)
def test_zoneout_of_nothing_changes_nothing(name: str) -> None:
    cell, x = make(name), inputs()
    assert torch.equal(run_steps(cell, x, zoneout_share=0.0).outputs, run_steps(cell, x).outputs)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["rnn", "irnn", "lstm", "gru", "mingru", "minlstm"])
def test_zoneout_hands_on_the_state_that_it_kept(name: str, training: bool) -> None:
    cell, x = make(name).train(training), inputs(time=20)
    torch.manual_seed(5)
    outputs, states = run_steps(cell, x, some_state(name, cell), zoneout_share=0.3)
    before = some_state(name, cell)
    num_kept = num_changed = 0
    for t, state in enumerate(states):
        _, computed = step_cell(cell, x[:, t], before)
        for old, new, found in zip(before, computed, state, strict=True):
            if training:
                kept = found == old
                assert torch.equal(found, torch.where(kept, old, new))
                num_kept += int((kept & (old != new)).sum())
                num_changed += int((old != new).sum())
            else:
                torch.testing.assert_close(found, 0.3 * old + 0.7 * new)
        assert torch.equal(outputs[:, t], state[0])
        before = state
    if training:
        assert num_kept / num_changed == pytest.approx(0.3, abs=0.12)
