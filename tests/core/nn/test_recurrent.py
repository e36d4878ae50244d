import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from core.nn.cells import LayerState
from core.nn.initialization import CELLS
from core.nn.recurrent import TORCH_CELLS, RecurrentConfig, RecurrentStack
from core.nn.stepping import zero_state

MakeStack = Callable[..., RecurrentStack]
HAS_BFLOAT16_LSTM = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
NORMS = ("none", "layer", "batch")


def some_state(stack: RecurrentStack, batch: int) -> tuple[LayerState, ...]:
    torch.manual_seed(2)
    return stack.start_state(torch.randn(batch, stack.start_size))


def reference(stack: RecurrentStack, input_size: int) -> nn.RNNBase:
    """torch's own stack with the same weights."""
    config = stack.config
    classes = {"rnn": nn.RNN, "irnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
    options = {"nonlinearity": "relu"} if config.cell == "irnn" else {}
    theirs = classes[config.cell](
        input_size,
        config.hidden_size,
        config.num_layers,
        batch_first=True,
        bidirectional=config.bidirectional,
        **options,
    )
    for layer, cells in enumerate(stack.layers):
        for direction, cell in enumerate(cells):
            suffix = f"_l{layer}" + ("_reverse" if direction else "")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(theirs, name + suffix).data = getattr(cell, f"{name}_l0").data.clone()
    return theirs


@pytest.mark.parametrize("cell", TORCH_CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_stack_equals_torch_packed(cell: str, bidirectional: bool) -> None:
    torch.manual_seed(0)
    config = RecurrentConfig(
        cell=cell, hidden_size=6, num_layers=2, bidirectional=bidirectional, start="default"
    )
    stack = RecurrentStack(5, config)
    theirs_stack = reference(stack, 5)
    x, lengths = torch.randn(4, 9, 5), torch.tensor([9, 1, 4, 7])
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    theirs, final = theirs_stack(packed)
    expected, _ = nn.utils.rnn.pad_packed_sequence(theirs, batch_first=True)
    ours = stack(x, lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(ours[row, :length], expected[row, :length])
    hidden = final[0] if cell == "lstm" else final
    last = torch.cat([hidden[-2], hidden[-1]], -1) if bidirectional else hidden[-1]
    torch.testing.assert_close(stack.last_state(ours, lengths), last)

    weights = torch.randn_like(expected) * (torch.arange(9) < lengths[:, None])[..., None]
    (ours * weights).sum().backward()
    (expected * weights).sum().backward()
    for layer, cells in enumerate(stack.layers):
        for direction, one in enumerate(cells):
            suffix = f"_l{layer}" + ("_reverse" if direction else "")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                torch.testing.assert_close(
                    getattr(one, f"{name}_l0").grad,
                    getattr(theirs_stack, name + suffix).grad,
                    rtol=1e-4,
                    atol=1e-5,
                )


def test_every_layer_and_direction_gets_the_start_and_its_longest_lag(
    make_stack: MakeStack,
) -> None:
    def longest(**choices: object) -> list[float]:
        stack = make_stack(
            3, cell="minlstm", hidden_size=64, num_layers=2, bidirectional=True, **choices
        )
        return [
            float(cell.gate_bias(0).detach().max()) for cells in stack.cells() for cell in cells
        ]

    assert all(bias <= math.log(2) for bias in longest(start="chrono", longest_lag=3))
    assert all(bias > 5 for bias in longest(start="chrono", longest_lag=1000))
    assert longest(start="forget") == [1.0] * 4


@pytest.mark.parametrize("cell", TORCH_CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_stack_equals_torch_without_padding(
    make_stack: MakeStack, cell: str, bidirectional: bool
) -> None:
    stack = make_stack(5, cell=cell, hidden_size=6, num_layers=3, bidirectional=bidirectional)
    x = torch.randn(4, 9, 5)
    outputs = stack(x)
    expected, final = reference(stack, 5)(x)
    torch.testing.assert_close(outputs, expected)
    hidden = final[0] if cell == "lstm" else final
    last = torch.cat([hidden[-2], hidden[-1]], -1) if bidirectional else hidden[-1]
    torch.testing.assert_close(stack.last_state(outputs), last)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("cell", CELLS)
def test_advancing_in_pieces_equals_one_call(
    make_stack: MakeStack, cell: str, norm: str, residual: bool
) -> None:
    stack = make_stack(
        4, cell=cell, hidden_size=4, num_layers=2, norm=norm, residual=residual
    ).eval()
    x = torch.randn(2, 6, 4)
    zero = tuple(zero_state(cells[0], 2, x) for cells in stack.cells())
    torch.testing.assert_close(stack.advance(x, zero)[0], stack(x))
    whole, final = stack.advance(x, some_state(stack, 2))
    for pieces in ((1,) * 6, (2, 4), (5, 1)):
        state, parts = some_state(stack, 2), []
        for piece in x.split(pieces, dim=1):
            outputs, state = stack.advance(piece, state)
            parts.append(outputs)
        torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-4, atol=1e-5)
        for ours, theirs in zip(state, final, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_a_start_state_is_used_in_every_number(make_stack: MakeStack, cell: str) -> None:
    stack = make_stack(3, cell=cell, hidden_size=4, num_layers=2)
    flat = torch.rand(2, stack.start_size) + 0.1
    flat.requires_grad_()
    x = torch.randn(2, 3, 3)
    outputs, final = stack.advance(x, stack.start_state(flat))
    assert outputs.isfinite().all()
    torch.manual_seed(4)
    total = (outputs * torch.randn_like(outputs)).sum()
    for part in (part for layer in final for part in layer):
        if part.requires_grad:
            total = total + (part * torch.randn_like(part)).sum()
    total.backward()
    assert (flat.grad != 0).all()


@pytest.mark.parametrize(
    ("cell", "parts"),
    [("rnn", 1), ("irnn", 1), ("lstm", 2), ("gru", 1), ("mingru", 1), ("minlstm", 1), ("lru", 2)],
)
def test_a_start_state_holds_the_numbers_layer_after_layer(
    make_stack: MakeStack, cell: str, parts: int
) -> None:
    """As the first checkpoints have it: for the LSTM h and c of a layer stand side by side."""
    stack = make_stack(3, cell=cell, hidden_size=4, num_layers=3)
    assert stack.start_size == 3 * parts * 4
    flat = torch.randn(2, stack.start_size)
    state = stack.start_state(flat)
    assert [len(layer) for layer in state] == [parts] * 3
    assert torch.equal(torch.cat([part for layer in state for part in layer], dim=1), flat)
    zero = zero_state(stack.cells()[0][0], 2, flat)
    assert [part.shape for part in state[0]] == [part.shape for part in zero]


def test_an_slstm_starts_from_h_and_c_as_given(make_stack: MakeStack) -> None:
    stack = make_stack(3, cell="slstm", hidden_size=4, num_layers=2)
    flat = torch.randn(2, stack.start_size)
    state = stack.start_state(flat)
    given = flat.split(4, dim=1)
    assert len(given) == 4
    for layer, (hidden, memory, normalizer, maximum) in enumerate(state):
        assert torch.equal(hidden, given[2 * layer])
        assert torch.equal(memory / normalizer, given[2 * layer + 1])
        assert (maximum == 0).all()  # of the size of a gate, so that the first step does not wipe c


def test_a_bidirectional_stack_does_not_advance(make_stack: MakeStack) -> None:
    stack = make_stack(3, hidden_size=2, bidirectional=True)
    with pytest.raises(AssertionError, match="one direction"):
        stack.advance(torch.randn(1, 2, 3), some_state(stack, 1))


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
    with pytest.raises(ValueError, match="length 0"):
        stack(torch.randn(2, 0, 3))


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
        ({"start": "xavier"}, "start='xavier'"),
        ({"norm": "group"}, "norm='group'"),
        ({"hidden_size": 0}, "hidden_size=0"),
        ({"num_layers": 0}, "num_layers=0"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"dropout": -0.1}, "dropout=-0.1"),
        ({"dropout": float("nan")}, "dropout=nan"),
        ({"weight_drop": 1.0}, "weight_drop=1.0"),
        ({"zoneout": -1.0}, "zoneout=-1.0"),
        ({"longest_lag": 2}, "longest_lag=2"),
        *(
            ({"cell": cell, "weight_drop": 0.1}, f"weight_drop=0.1.*{cell}")
            for cell in ("mingru", "minlstm", "lru", "slstm")
        ),
        *(({"cell": cell, "zoneout": 0.1}, f"zoneout=0.1.*{cell}") for cell in ("lru", "slstm")),
    ],
)
def test_a_wrong_choice_is_named(options: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        RecurrentConfig(**options)


@pytest.mark.parametrize(
    ("cell", "choices"),
    [
        *((cell, {"bidirectional": both}) for cell in CELLS for both in (False, True)),
        *((cell, {"zoneout": 1e-6}) for cell in ("rnn", "irnn", "lstm", "gru", "mingru")),
        *((cell, {"weight_drop": 1e-6}) for cell in TORCH_CELLS),
        *((cell, {"norm": "batch"}) for cell in CELLS),
    ],
)
def test_mixed_precision_stays_near_full_precision(
    make_stack: MakeStack, cell: str, choices: dict
) -> None:
    if cell == "lstm" and "zoneout" not in choices and not HAS_BFLOAT16_LSTM:
        pytest.skip("oneDNN has no bfloat16 LSTM for this processor")
    stack = make_stack(3, cell=cell, hidden_size=8, num_layers=2, **choices)
    x, lengths = torch.randn(2, 12, 3), torch.tensor([12, 5])
    valid_mask = (torch.arange(12) < lengths.unsqueeze(1)).unsqueeze(-1)
    expected = (stack(x, lengths) * valid_mask).detach()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = stack(x, lengths) * valid_mask
        outputs.float().square().mean().backward()
        if not stack.config.bidirectional:
            advanced, _ = stack.advance(x.bfloat16(), some_state(stack, 2))
            assert advanced.isfinite().all()
    scale = float(expected.abs().max())
    torch.testing.assert_close(outputs.float(), expected, rtol=0, atol=0.05 * scale)
    assert all(p.grad.isfinite().all() for p in stack.parameters())
