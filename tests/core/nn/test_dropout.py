import pytest
import torch
from torch import Tensor

from core.nn.dropout import LockedDropout, zoneout


def test_locked_dropout_drops_the_same_units_at_every_step() -> None:
    torch.manual_seed(0)
    dropped = LockedDropout(0.4)(torch.ones(5, 7, 11))
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))


def test_locked_dropout_drops_other_units_in_each_row_and_call() -> None:
    torch.manual_seed(0)
    layer = LockedDropout(0.5)
    first, second = layer(torch.ones(8, 1, 64)), layer(torch.ones(8, 1, 64))
    assert len(torch.unique(first[:, 0], dim=0)) == 8
    assert not torch.equal(first, second)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_locked_dropout_keeps_the_expectation(share: float) -> None:
    torch.manual_seed(0)
    dropped = LockedDropout(share)(torch.full((100, 2, 1000), 3.0))
    assert float((dropped == 0).float().mean()) == pytest.approx(share, abs=0.01)
    torch.testing.assert_close(dropped.max(), torch.tensor(3.0 / (1 - share)))
    assert float(dropped.mean()) == pytest.approx(3.0, rel=0.05)


def test_locked_dropout_does_nothing_in_evaluation_or_at_a_share_of_zero() -> None:
    x = torch.randn(2, 3, 4)
    assert torch.equal(LockedDropout(0.5).eval()(x), x)
    assert torch.equal(LockedDropout(0.0)(x), x)


def test_locked_dropout_with_a_frozen_mask_passes_gradcheck() -> None:
    layer = LockedDropout(0.5)

    def frozen(x: Tensor) -> Tensor:
        torch.manual_seed(0)
        return layer(x)

    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(frozen, (x,))


@pytest.mark.parametrize("share", [0.1, 0.7])
def test_zoneout_keeps_this_share_of_the_units_as_they_were(share: float) -> None:
    torch.manual_seed(0)
    before, after = torch.randn(100, 1000), torch.randn(100, 1000)
    mixed = zoneout(before, after, share, is_training=True)
    kept = mixed == before
    assert torch.equal(mixed, torch.where(kept, before, after))
    assert float(kept.float().mean()) == pytest.approx(share, abs=0.01)


def test_zoneout_is_its_expectation_in_evaluation() -> None:
    torch.manual_seed(0)
    before, after = torch.randn(1, 6), torch.randn(1, 6)
    expected = zoneout(before, after, 0.3, is_training=False)
    torch.testing.assert_close(expected, 0.3 * before + 0.7 * after)
    many = zoneout(before.expand(100_000, 6), after.expand(100_000, 6), 0.3, is_training=True)
    torch.testing.assert_close(many.mean(0), expected[0], atol=0.02, rtol=0)


@pytest.mark.parametrize("is_training", [True, False])
def test_zoneout_of_nothing_is_the_new_state(is_training: bool) -> None:
    before, after = torch.randn(4, 5), torch.randn(4, 5)
    assert torch.equal(zoneout(before, after, 0.0, is_training), after)


@pytest.mark.parametrize("is_training", [True, False])
def test_zoneout_with_a_frozen_mask_passes_gradcheck(is_training: bool) -> None:
    def frozen(before: Tensor, after: Tensor) -> Tensor:
        torch.manual_seed(0)
        return zoneout(before, after, 0.4, is_training)

    leaves = [torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(frozen, leaves)
