"""Heads that turn a state into quantiles at several horizons which cannot cross.

Both start from a fan that is known without a network, the training part's quantiles in units of
trailing volatility, and correct it: a factor on the width, the shape, and where asked a move of the
median. Their weights start at zero, so that an untrained head gives the known fan.

The correction's reach falls with the square root of the horizon. Returns over 60 days overlap, so
training holds 60 times fewer independent ones than of a single day, and a network that may move all
horizons alike learns the training years' luck by heart.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))  # 0.05, 0.10 ... 0.95
MIDDLE = LEVELS.index(0.5)
LARGEST_CORRECTION = 1.0  # of a logarithm: a width changes by a factor of e at most
SHIFT_REACH, GAP_REACH = 0.1, 0.2  # of the width's: direction and shape are mostly noise
TAILS = np.linspace(0.0, 0.45, 46)  # 1 / degrees of freedom: from the normal to 2.2 degrees


class QuantileHead(nn.Module):
    """The fan with a free shape: one factor on its width and one on each gap between quantiles.

    Gaps are positive and are added up from the median outwards, so that quantiles cannot cross
    (Gasthaus et al. 2019, AISTATS, with gaps instead of spline knots).

    Args:
        state_size: Numbers in the encoder's last state, N.
        horizons: Days ahead, P of them.
        base: The fan to start from, at LEVELS, rising along each row, (P, Q).
        shift: Whether to move the median.

    Raises:
        ValueError: The fan's shape does not fit or its quantiles do not rise.
    """

    base_median: Tensor
    base_gaps: Tensor
    reach: Tensor

    def __init__(
        self, state_size: int, horizons: Sequence[int], base: Float[Tensor, "P Q"], shift: bool
    ) -> None:
        super().__init__()
        check_fan(base, len(horizons))
        self.shift = shift
        self.linear = zero_linear(state_size, len(horizons) * (len(LEVELS) + shift))
        self.register_buffer("base_median", base[:, MIDDLE].clone().float())
        self.register_buffer("base_gaps", base.diff(dim=1).float())
        self.register_buffer("reach", reach_of(horizons))

    def forward(self, state: Float[Tensor, "B N"]) -> Float[Tensor, "B P Q"]:
        """Quantiles at LEVELS in units of the scale, rising."""
        correction = self.linear(state).float().unflatten(-1, (len(self.reach), -1))
        log_width, log_gaps, shift = correction.tensor_split([1, len(LEVELS)], dim=-1)
        reach = self.reach[:, None]  # (P, 1)
        log_factor = reach * (bounded(log_width) + GAP_REACH * bounded(log_gaps))  # (B, P, Q - 1)
        gaps = self.base_gaps * log_factor.exp()
        below = -gaps[..., :MIDDLE].flip(-1).cumsum(-1).flip(-1)
        above = gaps[..., MIDDLE:].cumsum(-1)
        median = self.base_median[:, None].expand_as(log_width)  # (B, P, 1)
        if self.shift:
            median = median + SHIFT_REACH * reach * shift
        return torch.cat([median + below, median, median + above], dim=-1)


class StudentTHead(nn.Module):
    """The fan as Student's t: three numbers a horizon, and tails that the levels alone do not fix.

    It starts at the t distribution that lies nearest to the fan. Quantiles of t have no closed form
    in the degrees of freedom, so they are interpolated between rows of a table over their inverse;
    both rows rise, and so does every mixture of them.

    Args:
        state_size: Numbers in the encoder's last state, N.
        horizons: Days ahead, P of them.
        base: The fan to start from, at LEVELS, rising along each row, (P, Q).
        shift: Whether to move the median.

    Raises:
        ValueError: The fan's shape does not fit or its quantiles do not rise.
    """

    base_median: Tensor
    base_scale: Tensor
    base_tail: Tensor
    reach: Tensor
    table: Tensor

    def __init__(
        self, state_size: int, horizons: Sequence[int], base: Float[Tensor, "P Q"], shift: bool
    ) -> None:
        super().__init__()
        check_fan(base, len(horizons))
        self.shift = shift
        self.linear = zero_linear(state_size, len(horizons) * (2 + shift))
        table = t_table()
        scale, tail = nearest_t(base.double().numpy(), table)
        self.register_buffer("base_median", base[:, MIDDLE].clone().float())
        self.register_buffer("base_scale", torch.from_numpy(scale).float())
        self.register_buffer("base_tail", torch.from_numpy(tail).float())
        self.register_buffer("reach", reach_of(horizons))
        self.register_buffer("table", torch.from_numpy(table).float())

    def forward(self, state: Float[Tensor, "B N"]) -> Float[Tensor, "B P Q"]:
        """Quantiles at LEVELS in units of the scale, rising."""
        correction = self.linear(state).float().unflatten(-1, (len(self.reach), -1))
        log_width, log_tail, shift = correction.tensor_split([1, 2], dim=-1)
        reach = self.reach[:, None]  # (P, 1)
        scale = self.base_scale[:, None] * (reach * bounded(log_width)).exp()  # (B, P, 1)
        # At the start the place in the table is the base's; it stays inside whatever comes.
        place = self.base_tail[:, None] + reach * bounded(log_tail) * len(TAILS)
        place = place.clamp(0.0, len(TAILS) - 1.0)
        row = place.floor().clamp(max=len(TAILS) - 2.0)
        weight = place - row  # (B, P, 1)
        row = row.long()[..., 0]  # a squeeze is exported as a branch on the size
        quantiles = torch.lerp(self.table[row], self.table[row + 1], weight)  # (B, P, Q)
        median = self.base_median[:, None]
        if self.shift:
            median = median + SHIFT_REACH * reach * shift
        return median + scale * quantiles


def check_fan(base: Tensor, num_horizons: int) -> None:
    """Refuse a fan that does not fit.

    Raises:
        ValueError: Its shape is wrong or its quantiles do not rise.
    """
    expected = (num_horizons, len(LEVELS))
    if tuple(base.shape) != expected:
        raise ValueError(
            f"base_quantiles has shape {tuple(base.shape)}, must be {expected}: horizons by LEVELS"
        )
    if not bool((base.diff(dim=1) > 0).all()):
        raise ValueError("base_quantiles must rise along each row; give more training data")


def reach_of(horizons: Sequence[int]) -> Float[Tensor, " P"]:
    """How far the correction reaches at each horizon, 1 at one day."""
    return torch.tensor(tuple(horizons)).float().rsqrt()


def zero_linear(input_size: int, output_size: int) -> nn.Linear:
    """A linear layer that gives zero until it is trained."""
    layer = nn.Linear(input_size, output_size)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def bounded(x: Tensor) -> Tensor:
    """Softly keep a correction within LARGEST_CORRECTION, with slope 1 at zero."""
    return LARGEST_CORRECTION * torch.tanh(x / LARGEST_CORRECTION)


def t_table() -> Float[np.ndarray, "K Q"]:
    """Quantiles of Student's t at LEVELS for each of TAILS, the first row the normal's."""
    from scipy.stats import norm, t  # half a second that only this head pays

    rows = [t.ppf(LEVELS, 1 / tail) for tail in TAILS[1:]]
    return np.stack([norm.ppf(LEVELS), *rows])


def nearest_t(
    base: Float[np.ndarray, "P Q"], table: Float[np.ndarray, "K Q"]
) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]:
    """Scale and row of the table whose quantiles are nearest to each horizon's, by least squares.

    Args:
        base: The fan.
        table: What `t_table` gives.
    """
    centred = base - base[:, [MIDDLE]]
    scale = centred @ table.T / (table**2).sum(axis=1)  # (P, K)
    error = ((centred[:, None] - scale[..., None] * table) ** 2).sum(axis=-1)  # (P, K)
    best = error.argmin(axis=1)
    return scale[np.arange(len(base)), best], best.astype(float)
