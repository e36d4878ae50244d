from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import core.nn.recurrent
from core.nn.initialization import CELLS
from core.nn.recurrent import TORCH_CELLS, RecurrentStack
from core.nn.stepping import run_steps, run_with_weights

MakeStack = Callable[..., RecurrentStack]
ZONEOUT_CELLS = ("rnn", "irnn", "lstm", "gru", "mingru", "minlstm")


@pytest.mark.parametrize("cell", CELLS)
def test_every_allowed_choice_builds_and_learns(make_stack: MakeStack, cell: str) -> None:
    choices: dict = {"norm": "batch", "dropout": 0.2, "locked_dropout": True, "longest_lag": 3}
    if cell in TORCH_CELLS:
        choices["weight_drop"] = 0.2
    if cell in ZONEOUT_CELLS:
        choices["zoneout"] = 0.2
    for start in ("default", "orthogonal", "forget", "chrono", "identity"):
        stack = make_stack(3, cell=cell, hidden_size=4, num_layers=2, start=start, **choices)
        stack(torch.randn(4, 5, 3), torch.tensor([5, 1, 2, 4])).sum().backward()
        assert all(p.grad.isfinite().all() for p in stack.parameters())


@pytest.mark.parametrize(("locked", "same"), [(True, True), (False, False)])
def test_dropout_between_layers_is_locked_over_time_where_asked(
    make_stack: MakeStack, locked: bool, same: bool
) -> None:
    stack = make_stack(3, hidden_size=16, num_layers=2, dropout=0.5, locked_dropout=locked)
    torch.manual_seed(0)
    handed_on = stack.join(torch.zeros(2, 9, 3), torch.ones(2, 9, 16), 0)
    assert torch.equal(handed_on, handed_on[:, :1].expand_as(handed_on)) == same
    assert set(handed_on.unique().tolist()) == {0.0, 2.0}
    after_the_last = stack.join(torch.zeros(2, 9, 3), torch.ones(2, 9, 16), 1)
    assert (after_the_last == 1).all()
    assert torch.equal(
        stack.eval().join(torch.zeros(2, 9, 3), torch.ones(2, 9, 16), 0), torch.ones(2, 9, 16)
    )


@pytest.mark.parametrize("zoneout", [0.0, 0.2])
@pytest.mark.parametrize("cell", TORCH_CELLS)
def test_weight_drop_drops_the_recurrent_matrix_alone_and_anew_per_call(
    make_stack: MakeStack, cell: str, zoneout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = make_stack(
        3, cell=cell, hidden_size=16, weight_drop=0.25, zoneout=zoneout, start="default"
    )
    used: list[list[Tensor]] = []

    def fused(cell, x, weights, state=None):
        used.append(weights)
        return run_with_weights(cell, x, weights, state)

    def stepped(cell, x, state=None, weights=None, zoneout_share=0.0):
        used.append(weights)
        return run_steps(cell, x, state, weights, zoneout_share)

    monkeypatch.setattr(core.nn.recurrent, "run_with_weights", fused)
    monkeypatch.setattr(core.nn.recurrent, "run_steps", stepped)
    x = torch.randn(2, 5, 3)
    stack(x)
    stack(x)
    raw = list(stack.cells()[0][0].parameters())
    for weights in used:
        assert all(weights[i] is raw[i] for i in (0, 2, 3))
        dropped = weights[1] == 0
        torch.testing.assert_close(weights[1], (raw[1] / 0.75).masked_fill(dropped, 0.0))
        assert float(dropped.float().mean()) == pytest.approx(0.25, abs=0.12)
    assert len(used) == 2
    assert not torch.equal(used[0][1], used[1][1])

    used.clear()
    stack.eval()(x)
    assert used in ([], [None])


@pytest.mark.parametrize("cell", TORCH_CELLS)
def test_weight_drop_does_nothing_in_evaluation_and_noise_in_training(
    make_stack: MakeStack, cell: str
) -> None:
    plain = make_stack(3, cell=cell, hidden_size=16, start="default")
    noisy = make_stack(3, cell=cell, hidden_size=16, start="default", weight_drop=0.5)
    x = torch.randn(2, 5, 3)
    expected = plain(x)
    torch.testing.assert_close(noisy.eval()(x), expected)
    first, second = noisy.train()(x), noisy(x)
    # From a zero state the first step does not read the recurrent matrix.
    torch.testing.assert_close(first[:, 0], expected[:, 0])
    assert not torch.allclose(first[:, 1:], expected[:, 1:])
    assert not torch.allclose(first[:, 1:], second[:, 1:])


@pytest.mark.parametrize("cell", TORCH_CELLS)
def test_the_gradient_reaches_the_weights_that_were_not_dropped(
    make_stack: MakeStack, cell: str
) -> None:
    stack = make_stack(3, cell=cell, hidden_size=16, weight_drop=0.5, start="default")
    stack(torch.randn(8, 20, 3)).square().sum().backward()
    parameters = list(stack.cells()[0][0].parameters())
    shares = [float((parameter.grad == 0).float().mean()) for parameter in parameters]
    assert shares[1] == pytest.approx(0.5, abs=0.1)
    assert shares[0] == shares[2] == shares[3] == 0


@pytest.mark.parametrize("cell", ZONEOUT_CELLS)
def test_a_stack_with_zoneout_takes_the_expectation_in_evaluation(
    make_stack: MakeStack, cell: str
) -> None:
    plain = make_stack(3, cell=cell, hidden_size=4, num_layers=2, start="default").eval()
    zoned = make_stack(
        3, cell=cell, hidden_size=4, num_layers=2, start="default", zoneout=0.25
    ).eval()
    x = torch.randn(2, 6, 3)
    inputs = x
    for cells in plain.cells():
        inputs = run_steps(cells[0], inputs, zoneout_share=0.25).outputs
    torch.testing.assert_close(zoned(x), inputs)
    assert not torch.allclose(zoned(x), plain(x))
    zoned.train()
    assert not torch.allclose(zoned(x), zoned(x))
