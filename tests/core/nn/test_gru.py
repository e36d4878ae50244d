import pytest
import torch
from torch import Tensor, nn

from core.nn.gru import GRU


def both(dtype: torch.dtype, features: int = 5, hidden: int = 7) -> tuple[GRU, nn.GRU]:
    torch.manual_seed(0)
    ours = GRU(features, hidden).to(dtype)
    theirs = nn.GRU(features, hidden, batch_first=True).to(dtype)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def gradients(cell: nn.GRU, x: Tensor, start: Tensor | None) -> list[Tensor]:
    """Outputs and last state, then the gradients of the inputs, the start and the weights."""
    leaves = [x.clone().requires_grad_()]
    if start is not None:
        leaves.append(start.clone().requires_grad_())
    outputs, last = cell(leaves[0], *leaves[1:])
    weighted = torch.linspace(-1, 2, outputs.numel(), dtype=x.dtype).view_as(outputs)
    loss = (weighted * outputs.square()).sum() + last.sin().sum()
    return [outputs, last, *torch.autograd.grad(loss, [*leaves, *cell.parameters()])]


@pytest.mark.parametrize("time", [1, 2, 60])
@pytest.mark.parametrize("has_start", [False, True])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_it_is_torchs_gru_forwards_and_backwards(time, has_start, dtype, bound):
    ours, theirs = both(dtype)
    x = torch.randn(3, time, 5, dtype=dtype)
    start = torch.randn(1, 3, 7, dtype=dtype) if has_start else None
    for found, expected in zip(gradients(ours, x, start), gradients(theirs, x, start), strict=True):
        assert found.shape == expected.shape
        error = (found - expected).detach().abs().max()
        assert float(error) <= bound * float(expected.detach().abs().max())


def test_its_gradient_is_that_of_finite_differences():
    ours, _ = both(torch.float64, features=2, hidden=3)
    x = torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)
    start = torch.randn(1, 2, 3, dtype=torch.float64, requires_grad=True)
    weights = list(ours.parameters())

    def run(x: Tensor, start: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
        return ours(x, start)

    assert torch.autograd.gradcheck(run, (x, start, *weights))


def test_the_weights_learn_where_the_inputs_need_no_gradient():
    ours, theirs = both(torch.float64)
    x = torch.randn(3, 6, 5, dtype=torch.float64)
    for cell in (ours, theirs):
        cell(x)[0][:, -1].sum().backward()
    for found, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad)


def test_the_weights_are_not_touched_and_two_backward_passes_add_up():
    ours, _ = both(torch.float32)
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    x = torch.randn(3, 6, 5)
    ours(x)[0].sum().backward()
    once = ours.weight_hh_l0.grad.clone()
    ours(x)[0].sum().backward()
    torch.testing.assert_close(ours.weight_hh_l0.grad, 2 * once)
    for name, value in ours.state_dict().items():
        assert torch.equal(value, before[name])


def test_it_trains_in_bf16_as_torch_does():
    ours, theirs = both(torch.float32)
    x = torch.randn(3, 6, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ours(x)[0], theirs(x)[0])


def test_nothing_is_kept_for_a_gradient_that_nobody_asks_for():
    ours, theirs = both(torch.float32)
    x = torch.randn(3, 6, 5)
    with torch.no_grad():
        outputs, last = ours(x)
        assert outputs.grad_fn is None
        assert torch.equal(outputs, theirs(x)[0])
        assert torch.equal(last[0], outputs[:, -1])
