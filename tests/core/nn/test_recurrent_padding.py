from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from core.nn.initialization import CELLS
from core.nn.recurrent import TORCH_CELLS, RecurrentStack

MakeStack = Callable[..., RecurrentStack]
NORMS = ("none", "layer", "batch")
ZONEOUT_CELLS = ("rnn", "irnn", "lstm", "gru", "mingru", "minlstm")


def padded_run(
    stack: RecurrentStack, x: Tensor, lengths: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs of each row's real steps and the last states; gradients of inputs and parameters."""
    stack.zero_grad()
    x = x.clone().requires_grad_()
    torch.manual_seed(3)  # the same masks of dropout, whatever the padding holds
    outputs = stack(x, lengths)
    found = [outputs[row, :length] for row, length in enumerate(lengths.tolist())]
    found.append(stack.last_state(outputs, lengths))
    sum(((position + 1) * part).sin().sum() for position, part in enumerate(found)).backward()
    gradients = [parameter.grad for parameter in stack.parameters()]
    assert x.grad is not None
    return [part.detach() for part in found], [x.grad, *gradients]


def assert_padding_is_ignored(stack: RecurrentStack) -> None:
    torch.manual_seed(1)
    lengths = torch.tensor([6, 2, 1, 4])  # of 7: even the longest row is padded
    clean = torch.randn(4, 7, stack.output_size)
    valid_mask = (torch.arange(7) < lengths.unsqueeze(1)).unsqueeze(-1)  # (4, 7, 1)
    outputs, gradients = padded_run(stack, clean, lengths)
    assert all(part.isfinite().all() for part in (*outputs, *gradients))
    assert (gradients[0].masked_fill(valid_mask, 0.0) == 0).all()
    assert all(gradients[0].flatten(1).any(1))
    for garbage in (1e6, float("nan"), float("inf")):
        dirty = clean.where(valid_mask, garbage)
        found, their_gradients = padded_run(stack, dirty, lengths)
        for ours, theirs in zip(outputs + gradients, found + their_gradients, strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_garbage_in_the_padding_changes_neither_outputs_nor_gradients(
    make_stack: MakeStack, cell: str, bidirectional: bool, residual: bool, norm: str
) -> None:
    size = 6 if bidirectional else 12
    stack = make_stack(
        12,
        cell=cell,
        hidden_size=size,
        num_layers=2,
        bidirectional=bidirectional,
        residual=residual,
        norm=norm,
    )
    for training in (True, False):
        assert_padding_is_ignored(stack.train(training))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("cell", "choices"),
    [
        *((cell, {"zoneout": 0.3}) for cell in ZONEOUT_CELLS),
        *((cell, {"weight_drop": 0.5}) for cell in TORCH_CELLS),
        ("lstm", {"zoneout": 0.3, "weight_drop": 0.5, "dropout": 0.3, "locked_dropout": True}),
        ("lru", {"dropout": 0.3, "locked_dropout": True, "norm": "batch"}),
        ("gru", {"dropout": 0.3}),
    ],
)
def test_garbage_in_the_padding_changes_nothing_under_noise(
    make_stack: MakeStack, cell: str, choices: dict, training: bool
) -> None:
    stack = make_stack(12, cell=cell, hidden_size=6, num_layers=2, bidirectional=True, **choices)
    assert_padding_is_ignored(stack.train(training))


@pytest.mark.parametrize(
    ("norm", "training"), [("none", True), ("layer", True), ("layer", False), ("batch", False)]
)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_padded_batch_equals_its_rows_alone(
    make_stack: MakeStack, cell: str, bidirectional: bool, norm: str, training: bool
) -> None:
    stack = make_stack(
        3, cell=cell, hidden_size=4, num_layers=2, bidirectional=bidirectional, norm=norm
    ).train(training)
    x, lengths = torch.randn(3, 6, 3), torch.tensor([5, 1, 3])
    outputs = stack(x, lengths)
    last = stack.last_state(outputs, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = stack(x[row : row + 1, :length])
        torch.testing.assert_close(outputs[row, :length], alone[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(last[row], stack.last_state(alone)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("cell", CELLS)
def test_one_row_and_one_step_are_enough(
    make_stack: MakeStack, cell: str, norm: str, bidirectional: bool, training: bool
) -> None:
    stack = make_stack(
        3, cell=cell, hidden_size=4, num_layers=2, bidirectional=bidirectional, norm=norm
    ).train(training)
    for batch, time in ((1, 1), (1, 3), (3, 1)):
        for lengths in (None, torch.full((batch,), time), torch.ones(batch, dtype=torch.long)):
            stack.zero_grad()
            outputs = stack(torch.randn(batch, time, 3), lengths)
            last = stack.last_state(outputs, lengths)
            assert outputs.shape == (batch, time, stack.output_size)
            assert last.shape == (batch, stack.output_size)
            assert outputs.isfinite().all()
            last.sum().backward()
            assert all(p.grad.isfinite().all() for p in stack.parameters())
