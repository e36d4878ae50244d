import pytest
import torch
from torch import nn

from core.nn.recurrent import RecurrentConfig, RecurrentStack

CELLS = ("rnn", "lstm", "gru")


def reference(stack: RecurrentStack, input_size: int) -> nn.RNNBase:
    """torch's own stack with the same weights."""
    config = stack.config
    classes = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
    theirs = classes[config.cell](
        input_size,
        config.hidden_size,
        config.num_layers,
        batch_first=True,
        bidirectional=config.bidirectional,
    )
    for layer, cells in enumerate(stack.layers):
        for direction, cell in enumerate(cells):
            suffix = f"_l{layer}" + ("_reverse" if direction else "")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(theirs, name + suffix).data = getattr(cell, f"{name}_l0").data.clone()
    return theirs


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_stack_equals_torch_packed(cell: str, bidirectional: bool) -> None:
    torch.manual_seed(0)
    config = RecurrentConfig(
        cell=cell, hidden_size=6, num_layers=2, bidirectional=bidirectional, start="default"
    )
    stack = RecurrentStack(5, config)
    x, lengths = torch.randn(4, 9, 5), torch.tensor([9, 1, 4, 7])
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    theirs, final = reference(stack, 5)(packed)
    expected, _ = nn.utils.rnn.pad_packed_sequence(theirs, batch_first=True)
    ours = stack(x, lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(ours[row, :length], expected[row, :length])
    hidden = final[0] if cell == "lstm" else final
    last = torch.cat([hidden[-2], hidden[-1]], -1) if bidirectional else hidden[-1]
    torch.testing.assert_close(stack.last_state(ours, lengths), last)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("residual", [False, True])
def test_garbage_in_the_padding_changes_nothing(cell: str, residual: bool) -> None:
    torch.manual_seed(0)
    config = RecurrentConfig(
        cell=cell, hidden_size=4, num_layers=3, bidirectional=True, residual=residual
    )
    stack = RecurrentStack(8, config)
    lengths = torch.tensor([6, 2, 1])
    clean = torch.randn(3, 6, 8)
    dirty = clean.clone()
    for row, length in enumerate(lengths.tolist()):
        dirty[row, length:] = 1e6
    ours, theirs = stack(clean, lengths), stack(dirty, lengths)
    for row, length in enumerate(lengths.tolist()):
        assert torch.equal(ours[row, :length], theirs[row, :length])
    assert torch.equal(stack.last_state(ours, lengths), stack.last_state(theirs, lengths))


@pytest.mark.parametrize("cell", CELLS)
def test_advancing_step_by_step_equals_one_call(cell: str) -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(
        3, RecurrentConfig(cell=cell, hidden_size=4, num_layers=2, residual=True)
    )
    x = torch.randn(2, 5, 3)
    parts = 2 if cell == "lstm" else 1
    zero = tuple(tuple(torch.zeros(2, 4) for _ in range(parts)) for _ in range(2))
    whole, final = stack.advance(x, zero)
    state, steps = zero, []
    for t in range(5):
        out, state = stack.advance(x[:, t : t + 1], state)
        steps.append(out)
    torch.testing.assert_close(torch.cat(steps, 1), whole)
    torch.testing.assert_close(whole, stack(x))
    for ours, theirs in zip(state, final, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("cell", CELLS)
def test_residual_adds_the_input_of_equal_width(cell: str) -> None:
    torch.manual_seed(0)
    plain = RecurrentStack(4, RecurrentConfig(cell=cell, hidden_size=4))
    torch.manual_seed(0)
    added = RecurrentStack(4, RecurrentConfig(cell=cell, hidden_size=4, residual=True))
    x = torch.randn(2, 3, 4)
    torch.testing.assert_close(added(x), plain(x) + x)


def test_length_zero_is_an_error() -> None:
    stack = RecurrentStack(3, RecurrentConfig(hidden_size=2))
    with pytest.raises(ValueError, match="length 0"):
        stack(torch.randn(2, 3, 3), torch.tensor([3, 0]))


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_start_is_orthogonal_per_gate(cell: str) -> None:
    stack = RecurrentStack(3, RecurrentConfig(cell=cell, hidden_size=8, start="orthogonal"))
    for gate in stack.layers[0][0].weight_hh_l0.split(8):
        torch.testing.assert_close(gate @ gate.T, torch.eye(8), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("cell", "keeps"), [("lstm", True), ("gru", True), ("rnn", False)])
def test_forget_start_keeps_the_gradient_alive_longer(cell: str, keeps: bool) -> None:
    def gradient_at_first_step(start: str) -> float:
        torch.manual_seed(1)
        stack = RecurrentStack(4, RecurrentConfig(cell=cell, hidden_size=32, start=start))
        first = torch.zeros(1, 32, requires_grad=True)
        state = ((first, first),) if cell == "lstm" else ((first,),)
        out, _ = stack.advance(torch.randn(1, 40, 4), state)
        out[:, -1].sum().backward()
        return float(first.grad.norm())

    longer = gradient_at_first_step("forget") / gradient_at_first_step("orthogonal")
    assert longer > 10 if keeps else longer == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"cell": "lsmt"}, "cell='lsmt'"),
        ({"hidden_size": 0}, "hidden_size=0"),
        ({"dropout": 1.0}, "dropout=1.0"),
    ],
)
def test_a_wrong_choice_is_named(options: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        RecurrentConfig(**options)
