"""The choice between a recurrent network and a Transformer, the same for both tasks."""

from dataclasses import dataclass
from typing import Literal

from core.nn.recurrent import RecurrentConfig

Architecture = Literal["recurrent", "transformer"]


@dataclass(frozen=True, kw_only=True)
class ArchitectureConfig(RecurrentConfig):
    """What a person chooses about a network of either architecture.

    Both read `num_layers`, `dropout` and `bidirectional` (a Transformer that is not reads what
    came before a position alone); the other fields of `RecurrentConfig` are the recurrent one's.

    Attributes:
        architecture: `recurrent`, or `transformer` (Vaswani et al. 2017, arXiv:1706.03762).
        num_heads: Of the Transformer, at least 1; its width is a multiple of it.
    """

    architecture: Architecture = "recurrent"
    num_heads: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.architecture not in ("recurrent", "transformer"):
            raise ValueError(
                f"architecture={self.architecture!r} is unknown; choose recurrent or transformer"
            )
        if self.num_heads < 1:
            raise ValueError(f"num_heads={self.num_heads} must be at least 1")
