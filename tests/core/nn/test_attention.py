import pytest
import torch

from core.nn.attention import make_attention, masked_softmax

KINDS = ("general", "additive")


@pytest.mark.parametrize("kind", KINDS)
def test_weights_sum_to_one_and_skip_the_padding(kind: str) -> None:
    torch.manual_seed(0)
    attention = make_attention(kind, 4, 6)
    memory, mask = (
        torch.randn(2, 5, 6),
        torch.tensor([[True] * 5, [True, True, False, False, False]]),
    )
    _, weights = attention(torch.randn(2, 3, 4), attention.project(memory), memory, mask)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3))
    assert (weights[1, :, 2:] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("garbage", [1e9, float("inf"), float("nan")])
def test_garbage_in_masked_positions_changes_nothing(kind: str, garbage: float) -> None:
    torch.manual_seed(0)
    attention = make_attention(kind, 4, 6)
    query, memory = torch.randn(2, 3, 4), torch.randn(2, 5, 6)
    mask = torch.arange(5) < torch.tensor([[5], [2]])
    dirty = memory.clone()
    dirty[1, 2:] = garbage
    clean_context, clean = attention(query, attention.project(memory), memory, mask)
    dirty_context, found = attention(query, attention.project(dirty), dirty, mask)
    torch.testing.assert_close(found, clean)
    torch.testing.assert_close(dirty_context, clean_context)


def test_general_equals_scaled_dot_product_of_projected_keys() -> None:
    torch.manual_seed(0)
    attention = make_attention("general", 4, 6)
    query, memory = torch.randn(2, 3, 4), torch.randn(2, 5, 6)
    mask = torch.arange(5) < torch.tensor([[5], [3]])
    context, _ = attention(query, attention.project(memory), memory, mask)
    expected = torch.nn.functional.scaled_dot_product_attention(
        query, attention.key(memory), memory, attn_mask=mask[:, None, :]
    )
    torch.testing.assert_close(context, expected)


def test_additive_equals_a_plain_loop() -> None:
    torch.manual_seed(0)
    attention = make_attention("additive", 4, 6)
    query, memory = torch.randn(1, 2, 4), torch.randn(1, 3, 6)
    mask = torch.ones(1, 3, dtype=torch.bool)
    context, _ = attention(query, attention.project(memory), memory, mask)
    for t in range(2):
        scores = torch.stack(
            [
                attention.energy.weight[0]
                @ torch.tanh(attention.query.weight @ query[0, t] + attention.key.weight @ key)
                for key in memory[0]
            ]
        )
        torch.testing.assert_close(context[0, t], scores.softmax(0) @ memory[0])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_right(kind: str) -> None:
    torch.manual_seed(0)
    attention = make_attention(kind, 3, 2).double()
    query = torch.randn(1, 2, 3, dtype=torch.double, requires_grad=True)
    memory = torch.randn(1, 4, 2, dtype=torch.double, requires_grad=True)
    mask = torch.tensor([[True, True, True, False]])

    def context(query: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        keys = attention.project(memory)
        weights = attention(query, keys, memory, mask)[1]
        return weights.double() @ memory

    # The softmax runs in float32: compare with a tolerance of that size.
    assert torch.autograd.gradcheck(context, (query, memory), eps=1e-3, atol=1e-3)


def test_a_fully_masked_row_gives_zero_weights() -> None:
    weights = masked_softmax(torch.randn(1, 3), torch.zeros(1, 3, dtype=torch.bool))
    assert (weights == 0).all()


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match="attention='dto'"):
        make_attention("dto", 2, 2)
