import math

import pytest
import torch
from torch import Tensor, nn

from core.nn.multi_head import MultiHeadAttention

WIDTH, HEADS = 6, 3
LENGTHS = (5, 2, 1)


def build() -> MultiHeadAttention:
    torch.manual_seed(0)
    attention = MultiHeadAttention(WIDTH, HEADS)
    for parameter in attention.parameters():
        parameter.data.normal_()  # biases too
    return attention


def reference(attention: MultiHeadAttention) -> nn.MultiheadAttention:
    """torch's own with the same weights."""
    theirs = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    parts = (attention.query, attention.key, attention.value)
    theirs.in_proj_weight.data = torch.cat([part.weight for part in parts]).detach()
    theirs.in_proj_bias.data = torch.cat([part.bias for part in parts]).detach()
    theirs.out_proj.load_state_dict(attention.output.state_dict())
    return theirs


def sample() -> tuple[Tensor, Tensor]:
    """A memory of three rows and its mask."""
    return torch.randn(3, 5, WIDTH), torch.arange(5) < torch.tensor(LENGTHS)[:, None]


@pytest.mark.parametrize("is_padded", [False, True])
@pytest.mark.parametrize("use", ["self", "causal", "cross"])
def test_it_equals_torch_multi_head_attention(use: str, is_padded: bool) -> None:
    attention, (memory, mask) = build(), sample()
    query = torch.randn(3, 4, WIDTH) if use == "cross" else memory
    valid_mask = mask if is_padded else None
    keys, values = attention.project(memory, valid_mask)
    found = attention(query, keys, values, valid_mask, is_causal=use == "causal")
    later = torch.ones(5, 5).triu(1).bool() if use == "causal" else None
    padding = ~mask if is_padded else None
    expected = reference(attention)(
        query, memory, memory, attn_mask=later, key_padding_mask=padding
    )
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_it_equals_a_plain_loop() -> None:
    attention, (memory, mask) = build(), sample()
    query = torch.randn(3, 2, WIDTH)
    found, weights = attention(query, *attention.project(memory, mask), mask)
    size = WIDTH // HEADS
    for row, length in enumerate(LENGTHS):
        for t in range(2):
            joined, seen = [], []
            for head in range(HEADS):
                part = slice(head * size, (head + 1) * size)
                q = attention.query(query[row, t])[part]
                keys = [attention.key(memory[row, s])[part] for s in range(length)]
                scores = torch.stack([q @ k / math.sqrt(size) for k in keys]).softmax(0)
                values = [attention.value(memory[row, s])[part] for s in range(length)]
                joined.append(sum(w * v for w, v in zip(scores, values, strict=True)))
                seen.append(scores)
            torch.testing.assert_close(found[row, t], attention.output(torch.cat(joined)))
            torch.testing.assert_close(weights[row, t, :length], torch.stack(seen).mean(0))


@pytest.mark.parametrize("garbage", [1e9, float("inf"), float("nan")])
def test_garbage_in_the_padding_changes_neither_outputs_nor_gradients(garbage: float) -> None:
    attention, (memory, mask) = build(), sample()
    query = torch.randn(3, 4, WIDTH)
    found = []
    for filling in (0.0, garbage):
        given = memory.masked_fill(~mask[..., None], filling).requires_grad_()
        context, weights = attention(query, *attention.project(given, mask), mask)
        inputs = [given, *attention.parameters()]
        gradients = torch.autograd.grad((context**2).sum() + (weights**2).sum(), inputs)
        found.append([context, weights, *gradients])
    for clean, dirty in zip(*found, strict=True):
        assert torch.equal(clean, dirty)
    assert (found[1][2].masked_select(~mask[..., None]) == 0).all()


@pytest.mark.parametrize("pieces", [(1, 1, 1, 1, 1), (2, 3), (4, 1)])
def test_with_a_cache_pieces_give_what_the_whole_gives(pieces: tuple[int, ...]) -> None:
    attention, (x, _) = build(), sample()
    whole, _ = attention(x, *attention.project(x), is_causal=True)
    cache, parts = None, []
    for piece in x.split(pieces, dim=1):
        cache = attention.project(piece, cache=cache)
        parts.append(attention(piece, *cache, is_causal=True)[0])
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)


def test_a_causal_query_reads_nothing_later() -> None:
    attention, (x, _) = build(), sample()
    changed = x.clone()
    changed[:, 3:] += 1.0
    before, _ = attention(x, *attention.project(x), is_causal=True)
    after, weights = attention(changed, *attention.project(changed), is_causal=True)
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.isclose(before[:, 3:], after[:, 3:]).all()
    assert (weights.triu(1) == 0).all()


def test_a_memory_of_one_position_is_read_whole() -> None:
    attention, x = build(), torch.randn(1, 1, WIDTH)
    context, weights = attention(x, *attention.project(x), torch.ones(1, 1, dtype=torch.bool))
    torch.testing.assert_close(context, attention.output(attention.value(x)))
    assert weights.tolist() == [[[1.0]]]


@pytest.mark.parametrize("is_causal", [False, True])
def test_gradients_are_right_in_double_precision(is_causal: bool) -> None:
    torch.manual_seed(0)
    attention = MultiHeadAttention(4, 2).double()
    x = torch.randn(2, 3, 4, dtype=torch.double, requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, True, False]])

    def context(x: Tensor, *_: Tensor) -> Tensor:
        return attention(x, *attention.project(x, mask), mask, is_causal)[0]

    assert torch.autograd.gradcheck(context, (x, *attention.parameters()))


@pytest.mark.parametrize(("width", "heads"), [(0, 3), (4, 3), (7, 3), (6, 0)])
def test_a_width_that_the_heads_cannot_share_is_an_error(width: int, heads: int) -> None:
    with pytest.raises(ValueError, match=f"width={width} must be a multiple of num_heads={heads}"):
        MultiHeadAttention(width, heads)
