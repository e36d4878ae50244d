"""StackWatch: rows of a step, without the padding, and nothing changed."""

from typing import Any

import pytest
import torch
from torch import Tensor

from core.batch import Seq2SeqBatch
from core.diagnostics import gate_saturation
from core.nn.initialization import CELLS
from core.nn.recurrent import RecurrentConfig, RecurrentStack
from core.nn.seq2seq import Seq2Seq, Seq2SeqConfig
from core.watching import LAG_ROWS, LONGEST_LAGS, SATURATION_ROWS, StackWatch, recurrent_stacks

LENGTHS = torch.tensor([3, 7, 1, 5, 6, 2])


def make_stack(cell: Any, **options: Any) -> RecurrentStack:
    torch.manual_seed(1)
    stack = RecurrentStack(2, RecurrentConfig(cell=cell, hidden_size=4, start="default", **options))
    for parameter in stack.parameters():
        parameter.data *= 3  # so that some gates are stuck
    return stack


def padded(filling: float = 0.0) -> Tensor:
    x = 2 * torch.randn(6, 7, 2, generator=torch.Generator().manual_seed(2))
    return x.masked_fill((torch.arange(7) >= LENGTHS.unsqueeze(1)).unsqueeze(-1), filling)


def unpadded_saturation(stack: RecurrentStack, x: Tensor) -> dict[str, float]:
    """Every cell of the first layer run alone on each row without its padding."""
    shares: dict[str, float] = {}
    total = int(LENGTHS[:SATURATION_ROWS].sum())
    for row in range(SATURATION_ROWS):
        length = int(LENGTHS[row])
        for direction, cell in enumerate(stack.cells()[0]):
            own = x[row : row + 1, :length]
            own = own.flip(1) if direction == 1 else own
            for gate, share in gate_saturation(cell, own, cell(own)[0]).items():
                name = f"layers.0.{direction}.{gate}"
                shares[name] = shares.get(name, 0.0) + share * length / total
    return shares


@pytest.mark.parametrize("filling", [0.0, 1e6, float("nan")])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_saturation_counts_real_steps_alone(cell: Any, bidirectional: bool, filling: float) -> None:
    stack, x = make_stack(cell, bidirectional=bidirectional), padded(filling)
    watch = StackWatch(stack, None)
    stack(x, LENGTHS)
    watch.close()
    expected = unpadded_saturation(stack, x)
    assert watch.saturation() == pytest.approx(expected, abs=1e-5)
    assert (cell in ("lru", "slstm")) == (not expected)
    assert not expected or 0 < sum(expected.values()) < len(expected)


@pytest.mark.parametrize("cell", CELLS)
def test_watching_changes_no_output_no_gradient_and_no_random_number(cell: Any) -> None:
    found = []
    options = {"num_layers": 2, "dropout": 0.4, "bidirectional": True, "norm": "batch"}
    for watched in (True, False):
        stack, x = make_stack(cell, **options), padded()
        keys = set(vars(stack))
        watch = StackWatch(stack, None) if watched else None
        outputs = stack(x, LENGTHS)
        outputs.square().mean().backward()
        if watch is not None:
            watch.saturation()
            watch.close()
            assert set(vars(stack)) == keys
            assert not stack._forward_pre_hooks
        gradients = [parameter.grad for parameter in stack.parameters()]
        found.append([outputs, *gradients, *stack.buffers(), torch.get_rng_state()])
    assert len(found[0]) > 10
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_the_inputs_kept_are_the_longest_rows_cut_to_the_shortest_of_them() -> None:
    stack = make_stack("gru")
    lengths = torch.arange(1, 31)  # 30 rows
    x = torch.randn(30, 30, 2)
    watch = StackWatch(stack, None)
    stack(x, lengths=lengths)
    watch.close()
    assert watch.inputs.shape == (LAG_ROWS, 15, 2)
    assert torch.equal(watch.inputs, x[range(29, 13, -1), :15])


def test_no_more_than_250_steps_are_kept() -> None:
    stack, x = make_stack("mingru"), torch.randn(3, 300, 2)
    watch = StackWatch(stack, None)
    stack(x)
    watch.close()
    assert LONGEST_LAGS == 250
    assert torch.equal(watch.inputs, x[:, :250])


@pytest.mark.parametrize("options", [{"zoneout": 0.3}, {"weight_drop": 0.3}], ids=str)
def test_zoneout_and_weight_drop_do_not_hide_the_cells(options: dict) -> None:
    stack = make_stack("lstm", **options)
    watch = StackWatch(stack, None)
    stack(padded(), LENGTHS)
    watch.close()
    gates = ("input", "forget", "candidate", "output")
    assert list(watch.saturation()) == [f"layers.0.0.{gate}" for gate in gates]
    assert watch.inputs is not None


def chat_batch() -> Seq2SeqBatch:
    generator = torch.Generator().manual_seed(5)
    target = torch.randint(3, 20, (6, 8), generator=generator)
    target[torch.arange(8) >= (LENGTHS + 1).unsqueeze(1)] = 0
    source = torch.randint(3, 20, (6, 4), generator=generator)
    return Seq2SeqBatch(source, torch.full((6,), 4), target)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru", "minlstm"])
def test_a_decoder_is_watched_from_its_own_start_and_without_its_padding(cell: Any) -> None:
    torch.manual_seed(6)
    model = Seq2Seq(20, Seq2SeqConfig(cell=cell, hidden_size=4, embedding_size=4))
    for parameter in model.decoder.parameters():
        parameter.data *= 4
    assert list(recurrent_stacks(model)) == ["encoder", "decoder"]
    batch = chat_batch()
    watch = StackWatch(model.decoder, batch)
    model(batch)
    watch.close()
    _, state = model.encode(batch.source, batch.source_lengths)
    (decoder,) = model.decoder.cells()[0]
    expected: dict[str, float] = {}
    total = int(LENGTHS[:SATURATION_ROWS].sum())
    for row in range(SATURATION_ROWS):
        length = int(LENGTHS[row])
        x = model.embed(batch.target[row : row + 1, :length])
        start = tuple(part[row : row + 1] for part in state[0])
        outputs, _ = model.decoder.advance(x, (start,))
        for gate, share in gate_saturation(decoder, x, outputs, start[0]).items():
            name = f"layers.0.0.{gate}"
            expected[name] = expected.get(name, 0.0) + share * length / total
    assert watch.saturation() == pytest.approx(expected, abs=1e-5)
    longest = LENGTHS.argsort(descending=True, stable=True)
    assert torch.equal(watch.inputs, model.embed(batch.target[longest, :1]).detach())


def test_a_decoder_that_is_stepped_token_by_token_is_left_out() -> None:
    torch.manual_seed(6)
    model, batch = Seq2Seq(20, Seq2SeqConfig(hidden_size=4, embedding_size=4)), chat_batch()
    watch = StackWatch(model.decoder, batch)
    memory, state = model.encode(batch.source, batch.source_lengths)
    model.decode_step(batch.target[:, 0], state, memory)
    watch.close()
    assert watch.saturation() == {}
    assert watch.inputs is None
