"""An encoder and a head for quantiles at several horizons at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.nn.architecture import ArchitectureConfig
from core.nn.initialization import CellName
from core.nn.multi_head import check_heads
from core.nn.recurrent import RecurrentStack
from core.nn.transformer import TransformerEncoder
from core.nn.transformer_layers import TransformerConfig

LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))  # 0.05, 0.10 ... 0.95
LARGEST_CORRECTION = 1.0  # of a logarithm: a width changes by a factor of e at most
SHIFT_REACH, GAP_REACH = 0.1, 0.2  # of the width's: direction and shape are mostly noise
FEEDFORWARD_RATIO = 4  # as in Vaswani et al. 2017


@dataclass(frozen=True, kw_only=True)
class ForecasterConfig(ArchitectureConfig):
    """What a person chooses about a forecaster; see `ArchitectureConfig`.

    Attributes:
        hidden_size: Units per layer and direction; of a Transformer, its width, whose feed-forward
            parts are FEEDFORWARD_RATIO times as wide.
    """

    cell: CellName = "gru"
    hidden_size: int = 32
    dropout: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.architecture == "transformer":
            check_heads("hidden_size", self.hidden_size, self.num_heads)


class Forecaster(nn.Module):
    """Quantiles of the cumulative return at every horizon, each read from the last state.

    A forecast starts from a fan that is known without a network, the training part's quantiles in
    units of trailing volatility. The network corrects it: a shift of the median, one factor on the
    fan's width and one on each gap between neighbouring quantiles. Gaps are positive and are added
    up from the median outwards, so that quantiles cannot cross (Gasthaus et al. 2019, AISTATS,
    with gaps instead of spline knots). The head starts at zero: an untrained network gives exactly
    the known fan.

    The correction's reach falls with the square root of the horizon. Returns over 60 days overlap,
    so training holds 60 times fewer independent ones than of a single day, and a network that may
    move all horizons alike learns the training years' luck by heart.

    Args:
        input_size: Features per day.
        horizons: Days ahead, P of them.
        config: The choices.
        base_quantiles: The fan to start from, at LEVELS, in units of the scale, rising, (P, Q).

    Raises:
        ValueError: The fan's shape does not fit or its quantiles do not rise.
    """

    base_median: Tensor
    base_gaps: Tensor
    levels: Tensor
    reach: Tensor

    def __init__(
        self,
        input_size: int,
        horizons: Sequence[int],
        config: ForecasterConfig,
        base_quantiles: Float[Tensor, "P Q"],
    ) -> None:
        super().__init__()
        expected = (len(horizons), len(LEVELS))
        if tuple(base_quantiles.shape) != expected:
            raise ValueError(
                f"base_quantiles has shape {tuple(base_quantiles.shape)}, must be {expected}: "
                "horizons by LEVELS"
            )
        gaps = base_quantiles.diff(dim=1)  # (P, Q - 1)
        if not bool((gaps > 0).all()):
            raise ValueError("base_quantiles must rise along each row; give more training data")
        self.config = config
        self.horizons = tuple(horizons)
        self.middle = LEVELS.index(0.5)
        self.encoder = make_encoder(input_size, config)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.encoder.output_size, len(horizons) * (len(LEVELS) + 1))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("levels", torch.tensor(LEVELS))
        self.register_buffer("base_median", base_quantiles[:, self.middle].clone().float())
        self.register_buffer("base_gaps", gaps.float())
        self.register_buffer("reach", torch.tensor(self.horizons).float().rsqrt())

    def forward(self, inputs: Float[Tensor, "B L F"]) -> Float[Tensor, "B P Q"]:
        """Forecast from the last state.

        Args:
            inputs: Features of the last L days, oldest first.

        Returns:
            Quantiles at LEVELS in units of the scale (`ForecastBatch.scale`), rising.
        """
        outputs = self.encoder(inputs)  # (B, L, DH)
        state = self.dropout(self.encoder.last_state(outputs))  # (B, DH)
        correction = self.head(state).float().unflatten(-1, (len(self.horizons), -1))
        shift, log_width, log_gaps = correction.split([1, 1, len(LEVELS) - 1], dim=-1)
        reach = self.reach[:, None]  # (P, 1)
        log_factor = reach * (bounded(log_width) + GAP_REACH * bounded(log_gaps))  # (B, P, Q - 1)
        gaps = self.base_gaps * log_factor.exp()
        below = -gaps[..., : self.middle].flip(-1).cumsum(-1).flip(-1)
        above = gaps[..., self.middle :].cumsum(-1)
        from_median = torch.cat([below, torch.zeros_like(shift), above], dim=-1)  # (B, P, Q)
        return self.base_median[:, None] + SHIFT_REACH * reach * shift + from_median


def make_encoder(input_size: int, config: ForecasterConfig) -> RecurrentStack | TransformerEncoder:
    """Build the encoder of the chosen architecture.

    Args:
        input_size: Features per day.
        config: The choices.
    """
    match config.architecture:
        case "recurrent":
            return RecurrentStack(input_size, config)
        case "transformer":
            sizes = TransformerConfig(
                width=config.hidden_size,
                feedforward_size=FEEDFORWARD_RATIO * config.hidden_size,
                num_heads=config.num_heads,
                num_layers=config.num_layers,
                dropout=config.dropout,
                is_causal=not config.bidirectional,
            )
            return TransformerEncoder(input_size, sizes)


def bounded(x: Tensor) -> Tensor:
    """Softly keep a correction within LARGEST_CORRECTION, with slope 1 at zero."""
    return LARGEST_CORRECTION * torch.tanh(x / LARGEST_CORRECTION)
