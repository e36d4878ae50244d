"""An encoder and a head for quantiles at several horizons at once."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, cast, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.batch import NewsBatch
from core.nn.initialization import CELLS, CellName
from core.nn.linear_encoder import LinearEncoder
from core.nn.multi_head import check_heads
from core.nn.news_encoder import NewsEncoder
from core.nn.quantile_heads import LEVELS as LEVELS  # noqa: PLC0414  (handed on)
from core.nn.quantile_heads import QuantileHead, StudentTHead
from core.nn.recurrent import RecurrentConfig, RecurrentStack
from core.nn.transformer import TransformerEncoder
from core.nn.transformer_layers import TransformerConfig

MAX_MEMBERS = 256
FEEDFORWARD_RATIO = 4  # as in Vaswani et al. 2017
ForecasterCell = CellName | Literal["transformer", "linear"]
HeadName = Literal["quantiles", "student_t"]


@dataclass(frozen=True, kw_only=True)
class ForecasterConfig(RecurrentConfig):
    """What a person chooses about a forecaster.

    Attributes:
        cell: A recurrent cell, or `transformer` (Vaswani et al. 2017, arXiv:1706.03762), or
            `linear`, the means of the last days alone. A Transformer reads hidden_size, num_layers,
            num_heads, dropout and bidirectional, `linear` dropout alone; the rest is the recurrent
            cells'.
        hidden_size: Units per layer and direction; of a Transformer, its width, whose feed-forward
            parts are FEEDFORWARD_RATIO times as wide.
        num_heads: Of the Transformer, at least 1; its width is a multiple of it.
        head: `quantiles` gives the distribution a free shape; `student_t` keeps it to Student's t.
        shift: Learn to move the median as well. Off, because the direction of prices is nearly
            noise, and a network that may follow it learns the training years' luck.
        num_members: Networks with starts of their own that are trained side by side, 1 to
            MAX_MEMBERS; the forecast is the mean of their quantiles.
    """

    cell: ForecasterCell = "gru"  # type: ignore[assignment]  # wider than the stack's, see recurrent
    hidden_size: int = 32
    dropout: float = 0.1
    num_heads: int = 4
    head: HeadName = "quantiles"
    shift: bool = False
    num_members: int = 1

    def __post_init__(self) -> None:
        known = (*CELLS, "transformer", "linear")
        if self.cell not in known:
            raise ValueError(f"cell={self.cell!r} is unknown; choose one of {', '.join(known)}")
        if self.head not in get_args(HeadName):
            raise ValueError(f"head={self.head!r} is unknown; choose quantiles or student_t")
        if self.num_heads < 1 or not 1 <= self.num_members <= MAX_MEMBERS:
            raise ValueError(
                f"num_heads={self.num_heads} must be at least 1, num_members={self.num_members} "
                f"between 1 and {MAX_MEMBERS}"
            )
        if self.cell == "transformer":
            check_heads("hidden_size", self.hidden_size, self.num_heads)
        self.recurrent()  # checks what both have

    def recurrent(self) -> RecurrentConfig:
        """The choices of the recurrent stack; the cell is its default where it is not recurrent."""
        own = {field.name: getattr(self, field.name) for field in fields(RecurrentConfig)}
        if self.cell not in CELLS:
            del own["cell"]
        return RecurrentConfig(**own)


class Member(nn.Module):
    """One network: quantiles of the return at every horizon, each read from the last state.

    A forecast starts from a fan that is known without a network and is corrected by a head
    (`core.nn.quantile_heads`): an untrained network gives exactly the known fan.

    Args:
        input_size: Features per day.
        horizons: Days ahead, P of them.
        config: The choices.
        base_quantiles: The fan to start from, at LEVELS, in units of the scale, rising, (P, Q).

    Raises:
        ValueError: The fan's shape does not fit or its quantiles do not rise.
    """

    def __init__(
        self,
        input_size: int,
        horizons: Sequence[int],
        config: ForecasterConfig,
        base_quantiles: Float[Tensor, "P Q"],
    ) -> None:
        super().__init__()
        self.encoder = make_encoder(input_size, config)
        self.dropout = nn.Dropout(config.dropout)
        kind = QuantileHead if config.head == "quantiles" else StudentTHead
        self.head = kind(self.encoder.output_size, horizons, base_quantiles, config.shift)

    def forward(self, inputs: Float[Tensor, "B L F"]) -> Float[Tensor, "B P Q"]:
        """Forecast from the last state.

        Args:
            inputs: Features of the last L days, oldest first.

        Returns:
            Quantiles at LEVELS in units of the scale (`ForecastBatch.scale`), rising.
        """
        outputs = self.encoder(inputs)  # (B, L, DH)
        return cast(Tensor, self.head(self.dropout(self.encoder.last_state(outputs))))


class Forecaster(nn.Module):
    """One network, or several whose starts differ; the mean of their quantiles is the forecast.

    Averaging quantiles keeps their order and the shape of the members' distributions, where a mean
    of probabilities would widen them (Vincent 1912; Lichtendahl et al. 2013).

    Args:
        input_size: Features per day.
        horizons: Days ahead, P of them.
        config: The choices; `num_members` says how many.
        base_quantiles: As for `Member`.
        vocab_size: Words of the texts that are read beside the features, that of padding among
            them; 0 for no texts.
    """

    levels: Tensor

    def __init__(
        self,
        input_size: int,
        horizons: Sequence[int],
        config: ForecasterConfig,
        base_quantiles: Float[Tensor, "P Q"],
        *,
        vocab_size: int = 0,
    ) -> None:
        super().__init__()
        self.config = config
        self.horizons = tuple(horizons)
        self.news_encoder = NewsEncoder(vocab_size, config.dropout) if vocab_size else None
        if self.news_encoder is not None:
            input_size += self.news_encoder.output_size
        self.members = nn.ModuleList(
            Member(input_size, horizons, config, base_quantiles) for _ in range(config.num_members)
        )
        self.register_buffer("levels", torch.tensor(LEVELS))

    @property
    def encoder(self) -> nn.Module:
        """The first member's encoder, for diagnostics."""
        return self.members[0].encoder  # type: ignore[return-value]

    def read(
        self, inputs: Float[Tensor, "B L F"], news: NewsBatch | None = None
    ) -> Float[Tensor, "B L N"]:
        """What the members read: the features and, beside them, the encoded texts.

        Raises:
            ValueError: There are texts and the network reads none, or the other way round.
        """
        if (news is None) != (self.news_encoder is None):
            reads = "no texts" if self.news_encoder is None else "texts"
            raise ValueError(f"this network reads {reads}; the batch must match")
        if news is None or self.news_encoder is None:
            return inputs
        return torch.cat([inputs, self.news_encoder(news)], dim=-1)

    def by_member(
        self, inputs: Float[Tensor, "B L F"], news: NewsBatch | None = None
    ) -> Float[Tensor, "M B P Q"]:
        """Each member's quantiles; training scores them one by one, so that they stay apart."""
        read = self.read(inputs, news)
        return torch.stack([member(read) for member in self.members])

    def forward(
        self, inputs: Float[Tensor, "B L F"], news: NewsBatch | None = None
    ) -> Float[Tensor, "B P Q"]:
        """The mean of the members' quantiles; arguments and units as in `Member`."""
        return self.by_member(inputs, news).mean(dim=0)


def make_encoder(
    input_size: int, config: ForecasterConfig
) -> RecurrentStack | TransformerEncoder | LinearEncoder:
    """Build the chosen encoder.

    Args:
        input_size: Features per day.
        config: The choices.
    """
    match config.cell:
        case "linear":
            return LinearEncoder(input_size)
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
        case _:
            return RecurrentStack(input_size, config.recurrent())
