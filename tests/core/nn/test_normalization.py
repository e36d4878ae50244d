import copy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from core.nn.normalization import MaskedBatchNorm, make_norm
from core.nn.recurrent import RecurrentConfig, RecurrentStack

LENGTHS = torch.tensor([5, 1, 3])
MASK = torch.arange(6) < LENGTHS.unsqueeze(1)  # (3, 6), every row padded


def random_norm(size: int = 4) -> MaskedBatchNorm:
    """Weights, and running statistics, unlike those of a fresh layer."""
    torch.manual_seed(0)
    norm = MaskedBatchNorm(size)
    with torch.no_grad():
        norm.norm.weight.normal_()
        norm.norm.bias.normal_()
        norm.norm.running_mean.normal_()
        norm.norm.running_var.uniform_(0.5, 2.0)
    return norm


def padded(garbage: float = 0.0) -> Tensor:
    torch.manual_seed(1)
    return (3 * torch.randn(3, 6, 4) + 1).masked_fill(~MASK.unsqueeze(-1), garbage)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("garbage", [0.0, 1e6, float("nan"), float("inf")])
def test_batch_norm_equals_torchs_on_the_rows_without_padding(
    garbage: float, training: bool
) -> None:
    ours = random_norm().train(training)
    theirs = copy.deepcopy(ours.norm)
    x = padded(garbage).requires_grad_()
    rows = x.detach()[MASK].requires_grad_()  # (9, 4)
    outputs, expected = ours(x, MASK), theirs(rows)
    torch.testing.assert_close(outputs[MASK], expected)
    assert (outputs[~MASK] == 0).all()

    weights = torch.randn_like(outputs)
    (outputs * weights).sum().backward()
    (expected * weights[MASK]).sum().backward()
    torch.testing.assert_close(x.grad[MASK], rows.grad)
    assert (x.grad[~MASK] == 0).all()
    torch.testing.assert_close(ours.norm.weight.grad, theirs.weight.grad)
    torch.testing.assert_close(ours.norm.bias.grad, theirs.bias.grad)
    torch.testing.assert_close(ours.norm.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.norm.running_var, theirs.running_var)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_without_a_mask_equals_torchs_over_rows_and_time(training: bool) -> None:
    ours = random_norm().train(training)
    theirs = copy.deepcopy(ours.norm)
    x = torch.randn(3, 6, 4)
    torch.testing.assert_close(ours(x), theirs(x.transpose(1, 2)).transpose(1, 2))
    torch.testing.assert_close(ours.norm.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.norm.running_var, theirs.running_var)


def test_batch_norm_moves_its_running_statistics_in_training_alone() -> None:
    norm = random_norm()
    before = norm.norm.running_mean.clone()
    norm.eval()(padded(), MASK)
    assert torch.equal(norm.norm.running_mean, before)
    norm.train()(padded(), MASK)
    expected = 0.9 * before + 0.1 * padded()[MASK].mean(0)
    torch.testing.assert_close(norm.norm.running_mean, expected)


@pytest.mark.parametrize("with_mask", [True, False])
def test_a_single_real_step_is_normalised_with_the_running_statistics(with_mask: bool) -> None:
    norm = random_norm()
    x = torch.randn(1, 3 if with_mask else 1, 4)
    mask = torch.tensor([[True, False, False]]) if with_mask else None
    expected = copy.deepcopy(norm).eval()(x, mask)
    before = norm.norm.running_mean.clone()
    torch.testing.assert_close(norm(x, mask), expected)
    assert torch.equal(norm.norm.running_mean, before)


@pytest.mark.parametrize("with_mask", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_passes_gradcheck(training: bool, with_mask: bool) -> None:
    norm = random_norm().double().train(training)
    names = [name for name, _ in norm.named_parameters()]

    def run(x: Tensor, *weights: Tensor) -> Tensor:
        mask = MASK if with_mask else None
        return functional_call(norm, dict(zip(names, weights, strict=True)), (x, mask))

    leaves = [padded().double(), *norm.parameters()]
    assert torch.autograd.gradcheck(run, [p.detach().clone().requires_grad_() for p in leaves])


def test_each_kind_builds_its_norm() -> None:
    assert make_norm("none", 4) is None
    assert isinstance(make_norm("batch", 4), MaskedBatchNorm)
    layer = make_norm("layer", 4)
    x = 3 * torch.randn(2, 3, 4) + 1
    torch.testing.assert_close(layer(x), nn.functional.layer_norm(x, (4,)))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["layer", "batch"])
@pytest.mark.parametrize("residual", [True, False])
def test_a_stack_normalises_what_the_first_layer_hands_to_the_second(
    kind: str, residual: bool, training: bool
) -> None:
    """By hand: layer, residual, norm, next layer; none after the last."""
    torch.manual_seed(0)
    config = RecurrentConfig(cell="gru", hidden_size=4, num_layers=2, norm=kind, residual=residual)
    stack = RecurrentStack(4, config).train(training)
    norm: nn.Module = nn.LayerNorm(4) if kind == "layer" else nn.BatchNorm1d(4)
    norm.train(training)
    x = torch.randn(3, 6, 4)
    (first,), (second,) = stack.cells()
    with torch.no_grad():
        hidden = first(x)[0] + (x if residual else 0)
        hidden = norm(hidden) if kind == "layer" else norm(hidden.transpose(1, 2)).transpose(1, 2)
        expected = second(hidden)[0] + (hidden if residual else 0)
        torch.testing.assert_close(stack(x), expected)
