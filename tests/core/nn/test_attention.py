import math

import pytest
import torch
from torch import Tensor

from core.nn.attention import ATTENTION_KINDS, Attention, make_attention
from core.nn.masking import masked_softmax

KINDS = tuple(kind for kind in ATTENTION_KINDS if kind != "none")
WINDOW = 2
LENGTHS = (7, 3, 1)
FIRST_STEPS = (0, 2, 20)  # of the decoder; the last row is far past its source's end


def build(kind: str, query_size: int = 4) -> tuple[Attention, int]:
    """An attention, and the size of its memory."""
    torch.manual_seed(0)
    memory_size = query_size if kind == "dot" else query_size + 2
    attention = make_attention(kind, query_size, memory_size, WINDOW)
    for parameter in attention.parameters():
        parameter.data.normal_()  # at the start centres and weights hardly differ
    return attention, memory_size


def sample(memory_size: int, query_size: int = 4) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Queries, a memory, its mask and the decoder's steps."""
    query, memory = torch.randn(3, 5, query_size), torch.randn(3, 7, memory_size)
    mask = torch.arange(7) < torch.tensor(LENGTHS)[:, None]
    return query, memory, mask, torch.tensor(FIRST_STEPS)[:, None] + torch.arange(5)


def read(attention: Attention, query: Tensor, memory: Tensor, mask: Tensor, positions: Tensor):
    return attention(query, attention.project(memory, mask), memory, mask, positions)


def score(attention: Attention, kind: str, q: Tensor, k: Tensor) -> Tensor:
    match kind:
        case "additive":
            hidden = attention.query.weight @ q + attention.key.weight @ k
            return attention.energy.weight[0] @ hidden.tanh()
        case "concat":
            joint = torch.cat([attention.query.weight, attention.key.weight], dim=1)
            return attention.energy.weight[0] @ (joint @ torch.cat([q, k])).tanh()
        case "dot":
            return q @ k / math.sqrt(len(q))
        case _:
            return q @ attention.key.weight @ k / math.sqrt(len(q))


def loop(attention: Attention, kind: str, query: Tensor, memory: Tensor, positions: Tensor):
    """Contexts and weights, one query and one memory position at a time."""
    weights = torch.zeros(*query.shape[:2], memory.size(1))
    context = torch.zeros(*query.shape[:2], memory.size(2))
    for row, length in enumerate(LENGTHS):
        for t in range(query.size(1)):
            q, readable, factor = query[row, t], list(range(length)), {}
            if kind == "local_monotonic":
                centre = int(positions[row, t])
                readable = [s for s in readable if abs(s - centre) <= WINDOW] or [length - 1]
            if kind == "local_predictive":
                hidden = (attention.position.weight @ q).tanh()
                centre = length * (attention.centre.weight[0] @ hidden).sigmoid().item()
                readable = [s for s in readable if abs(s - centre) <= WINDOW]
                factor = {
                    s: math.exp(-((s - centre) ** 2) / (2 * (WINDOW / 2) ** 2)) for s in readable
                }
            scores = torch.stack([score(attention, kind, q, memory[row, s]) for s in readable])
            for s, weight in zip(readable, scores.softmax(0), strict=True):
                weights[row, t, s] = weight * factor.get(s, 1.0)
                context[row, t] += weights[row, t, s] * memory[row, s]
    return context, weights


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_equals_a_plain_loop(kind: str) -> None:
    attention, size = build(kind)
    query, memory, mask, positions = sample(size)
    context, weights = read(attention, query, memory, mask, positions)
    expected_context, expected = loop(attention, kind, query, memory, positions)
    torch.testing.assert_close(weights, expected)
    torch.testing.assert_close(context, expected_context)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_sum_to_one_and_skip_the_padding(kind: str) -> None:
    attention, size = build(kind)
    query, memory, mask, positions = sample(size)
    _, weights = read(attention, query, memory, mask, positions)
    assert (weights.masked_select(~mask[:, None]) == 0).all()
    total = weights.sum(-1)
    if kind == "local_predictive":  # the Gaussian takes some away, Luong et al. 2015 keep it so
        assert (total > 0).all()
        assert (total < 1).all()
    else:
        torch.testing.assert_close(total, torch.ones(3, 5))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("garbage", [1e9, float("inf"), float("nan")])
def test_garbage_in_the_padding_changes_neither_outputs_nor_gradients(
    kind: str, garbage: float
) -> None:
    attention, size = build(kind)
    query, memory, mask, positions = sample(size)
    found = []
    for filling in (0.0, garbage):
        given = memory.masked_fill(~mask[..., None], filling).requires_grad_()
        asked = query.clone().requires_grad_()
        context, weights = read(attention, asked, given, mask, positions)
        inputs = [asked, given, *attention.parameters()]
        gradients = torch.autograd.grad((context**2).sum() + (weights**2).sum(), inputs)
        found.append([context, weights, *gradients])
    for clean, dirty in zip(*found, strict=True):
        assert torch.equal(clean, dirty)
    assert (found[1][3].masked_select(~mask[..., None]) == 0).all()


@pytest.mark.parametrize("kind", ["dot", "general"])
def test_products_equal_torch_scaled_dot_product_attention(kind: str) -> None:
    attention, size = build(kind)
    query, memory, mask, positions = sample(size)
    context, _ = read(attention, query, memory, mask, positions)
    expected = torch.nn.functional.scaled_dot_product_attention(
        query, attention.key(memory), memory, attn_mask=mask[:, None, :]
    )
    torch.testing.assert_close(context, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_memory_of_one_position_is_read_whole(kind: str) -> None:
    attention, size = build(kind)
    query, memory = torch.randn(1, 1, 4), torch.randn(1, 1, size)
    mask, positions = torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 1, dtype=torch.long)
    context, weights = read(attention, query, memory, mask, positions)
    assert weights.shape == (1, 1, 1)
    torch.testing.assert_close(context, weights * memory)
    if kind != "local_predictive":
        torch.testing.assert_close(context, memory)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_alone_gives_what_it_gives_in_a_batch(kind: str) -> None:
    attention, size = build(kind)
    query, memory, mask, positions = sample(size)
    together, _ = read(attention, query, memory, mask, positions)
    for row, length in enumerate(LENGTHS):
        one = slice(row, row + 1)
        short = memory[one, :length]
        alone, _ = read(attention, query[one], short, mask[one, :length], positions[one])
        torch.testing.assert_close(alone, together[one])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_right_in_double_precision(kind: str) -> None:
    attention, size = build(kind, query_size=2)
    attention = attention.double()
    query, memory, mask, positions = sample(size, query_size=2)
    query, memory = query[:2, :2].double(), memory[:2, :4].double()
    mask, positions = mask[:2, :4], positions[:2, :2]

    def context(query: Tensor, memory: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
        return read(attention, query, memory, mask, positions)

    inputs = (query.requires_grad_(), memory.requires_grad_(), *attention.parameters())
    assert torch.autograd.gradcheck(context, inputs)


def test_after_the_sources_end_the_last_real_position_is_read() -> None:
    attention, size = build("local_monotonic")
    query, memory, mask, _ = sample(size)
    context, weights = read(attention, query, memory, mask, torch.full((3, 5), 1000))
    for row, length in enumerate(LENGTHS):
        assert (weights[row, :, length - 1] == 1).all()
        torch.testing.assert_close(context[row], memory[row, length - 1].expand(5, -1))


@pytest.mark.parametrize("kind", ["local_monotonic", "local_predictive"])
def test_a_window_that_holds_the_source_hides_nothing(kind: str) -> None:
    attention, size = build(kind)
    query, memory, mask, positions = sample(size)
    attention.window = 10**6
    expected = build("general")[0]
    expected.key = attention.key
    found, _ = read(attention, query, memory, mask, positions)
    torch.testing.assert_close(found, read(expected, query, memory, mask, positions)[0])


def test_concat_starts_like_one_matrix_that_reads_query_and_key() -> None:
    torch.manual_seed(0)
    concat = make_attention("concat", 40, 60, WINDOW)
    weights = torch.cat([concat.query.weight, concat.key.weight], dim=1)
    assert weights.abs().max().item() == pytest.approx(1 / math.sqrt(100), rel=0.01)
    assert weights.std().item() == pytest.approx(1 / math.sqrt(300), rel=0.05)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_the_softmax_runs_in_single_precision_at_least(
    dtype: torch.dtype, expected: torch.dtype
) -> None:
    weights = masked_softmax(torch.randn(2, 3).to(dtype), torch.ones(2, 3, dtype=torch.bool))
    assert weights.dtype == expected


def test_a_fully_masked_row_gives_zero_weights() -> None:
    weights = masked_softmax(torch.randn(1, 3), torch.zeros(1, 3, dtype=torch.bool))
    assert (weights == 0).all()


def test_none_builds_nothing() -> None:
    assert make_attention("none", 2, 3, WINDOW) is None


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match="attention='dto'.*additive, concat, dot"):
        make_attention("dto", 2, 2, WINDOW)


def test_dot_refuses_sizes_that_differ() -> None:
    with pytest.raises(ValueError, match="query_size=4 .*memory_size=8; .*choose general"):
        make_attention("dot", 4, 8, WINDOW)


def test_local_monotonic_asks_for_the_decoders_steps() -> None:
    attention, size = build("local_monotonic")
    query, memory, mask, _ = sample(size)
    with pytest.raises(ValueError, match="positions=None"):
        attention(query, attention.project(memory, mask), memory, mask)
