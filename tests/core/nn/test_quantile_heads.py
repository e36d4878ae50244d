import numpy as np
import pytest
import torch
from scipy.stats import norm
from scipy.stats import t as student

from core.nn.quantile_heads import GAP_REACH, LEVELS, TAILS, QuantileHead, StudentTHead

HORIZONS = (1, 5, 60)


def test_every_gap_between_quantiles_has_a_factor_of_its_own() -> None:
    base = torch.tensor(norm.ppf(LEVELS)).float().expand(len(HORIZONS), -1)
    head = QuantileHead(4, HORIZONS, base, shift=False)
    bias = head.linear.bias.data.view(len(HORIZONS), -1)
    bias[:, 1 + 3] = 2.0  # after the width's: the gap from the fourth to the fifth quantile
    factors = head(torch.randn(1, 4))[0].diff(dim=-1) / base.diff(dim=-1)  # (P, Q - 1)
    expected = torch.ones_like(factors)
    reach = torch.tensor(HORIZONS).rsqrt()
    expected[:, 3] = (GAP_REACH * reach * torch.tensor(2.0).tanh()).exp()
    torch.testing.assert_close(factors, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("asked", "shape"),
    [(-50.0, norm.ppf(LEVELS)), (50.0, student.ppf(LEVELS, 1 / TAILS[-1]))],
)
def test_student_t_tails_end_at_the_normal_and_at_the_heaviest(
    asked: float, shape: np.ndarray
) -> None:
    base = torch.tensor(student.ppf(LEVELS, 4.0)).float()[None]
    head = StudentTHead(4, (1,), base, shift=False)
    head.linear.bias.data[1] = asked  # after the width's
    found = head(torch.randn(1, 4))[0, 0]
    torch.testing.assert_close(found / found[-1], torch.tensor(shape / shape[-1]).float())
