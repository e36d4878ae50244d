"""Attention as pure functions of queries, keys and values: no state is kept between calls.

Every kind is used in the same two steps: `project` a memory to keys once per source, then read it
with as many queries as there are. The memory's padding may hold anything, even a NaN: it reaches
neither a context nor a gradient.
"""

import math
from typing import Literal, cast, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from core.nn.masking import clear_padding, exact, masked_softmax

AttentionKind = Literal[
    "additive", "concat", "dot", "general", "local_monotonic", "local_predictive", "none"
]
ATTENTION_KINDS: tuple[str, ...] = get_args(AttentionKind)


class Attention(nn.Module):
    """What the kinds share: each says how a query and a key are scored."""

    key: nn.Module

    def project(
        self, memory: Float[Tensor, "B S M"], valid_mask: Bool[Tensor, "B S"]
    ) -> Float[Tensor, "B S A"]:
        """Keys of a memory; compute them once per source."""
        return cast(Tensor, self.key(clear_padding(memory, valid_mask)))

    def score(
        self, query: Float[Tensor, "B T Q"], keys: Float[Tensor, "B S A"]
    ) -> Float[Tensor, "B T S"]:
        """How well each query fits each key."""
        raise NotImplementedError

    def weigh(
        self,
        query: Float[Tensor, "B T Q"],
        keys: Float[Tensor, "B S A"],
        valid_mask: Bool[Tensor, "B S"],
        positions: Int[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T S"]:
        """The weight of each memory position; arguments as in `forward`."""
        scores = self.score(query, keys)
        return masked_softmax(scores, valid_mask.unsqueeze(1))

    def forward(
        self,
        query: Float[Tensor, "B T Q"],
        keys: Float[Tensor, "B S A"],
        values: Float[Tensor, "B S M"],
        valid_mask: Bool[Tensor, "B S"],
        positions: Int[Tensor, "B T"] | None = None,
    ) -> tuple[Float[Tensor, "B T M"], Float[Tensor, "B T S"]]:
        """Read the memory.

        Args:
            query: Decoder states.
            keys: What `project` gave.
            values: The memory itself.
            valid_mask: True where a memory position is real, right-padded.
            positions: The decoder's step of each query, from 0; only `local_monotonic` reads it.

        Returns:
            Contexts, and weights, zero in the padding. They sum to 1, but for
            `local_predictive` to less.

        Raises:
            ValueError: `local_monotonic` without positions.
        """
        weights = self.weigh(query, keys, valid_mask, positions)
        return torch.bmm(weights.to(values.dtype), clear_padding(values, valid_mask)), weights


class ProductAttention(Attention):
    """A query and a key multiplied, Luong et al. 2015 (arXiv:1508.04025), eq. 8.

    Differs from the paper by the factor 1/sqrt(query_size), which keeps the softmax out of
    saturation at the start (Vaswani et al. 2017).
    """

    def score(
        self, query: Float[Tensor, "B T Q"], keys: Float[Tensor, "B S A"]
    ) -> Float[Tensor, "B T S"]:
        """The scaled product."""
        return torch.bmm(query, keys.transpose(1, 2)) * (1.0 / math.sqrt(query.size(-1)))


class DotAttention(ProductAttention):
    """Eq. 8 `dot`: score = q k, and the keys are the values themselves.

    Raises:
        ValueError: Query and memory differ in size.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        if query_size != memory_size:
            raise ValueError(
                f"attention='dot' multiplies a query of query_size={query_size} with a memory of "
                f"memory_size={memory_size}; make them equal or choose general"
            )
        self.key = nn.Identity()


class GeneralAttention(ProductAttention):
    """Eq. 8 `general`: score = q W k."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(memory_size, query_size, bias=False)


class AdditiveAttention(Attention):
    """Bahdanau et al. 2015 (arXiv:1409.0473), appendix A.1.2: score = v tanh(W q + U k)."""

    key: nn.Linear

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, query_size, bias=False)
        self.key = nn.Linear(memory_size, query_size, bias=False)
        self.energy = nn.Linear(query_size, 1, bias=False)

    def score(
        self, query: Float[Tensor, "B T Q"], keys: Float[Tensor, "B S A"]
    ) -> Float[Tensor, "B T S"]:
        """The energies; U is in the keys."""
        joint = self.query(query).unsqueeze(2) + keys.unsqueeze(1)  # (B, T, S, A)
        return cast(Tensor, self.energy(torch.tanh(joint)).squeeze(-1))


class ConcatAttention(AdditiveAttention):
    """Luong et al. 2015 (arXiv:1508.04025), eq. 8 `concat`: score = v tanh(W [q; k]).

    W [q; k] is W_q q + W_k k, so that the keys are computed once here too. Bahdanau's score is the
    same function; his query is the decoder's state before the step, Luong's the one after it, and
    every kind here reads the latter. What differs here is the start: the two halves are spread
    like one matrix that reads query_size + memory_size numbers.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        bound = 1.0 / math.sqrt(query_size + memory_size)  # what nn.Linear takes
        for half in (self.query, self.key):
            nn.init.uniform_(half.weight, -bound, bound)


class LocalMonotonicAttention(GeneralAttention):
    """Luong et al. 2015, section 3.2 `local-m`: reads the window [t - D, t + D] alone.

    t is the decoder's step. Differs from the paper where the window holds no real position, after
    the source's end: there the nearest real position is read.

    Args:
        query_size: Numbers per query.
        memory_size: Numbers per memory position.
        window: D, in positions, at least 1.
    """

    def __init__(self, query_size: int, memory_size: int, window: int) -> None:
        super().__init__(query_size, memory_size)
        self.window = window

    def weigh(
        self,
        query: Float[Tensor, "B T Q"],
        keys: Float[Tensor, "B S A"],
        valid_mask: Bool[Tensor, "B S"],
        positions: Int[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T S"]:
        """The softmax over the window."""
        if positions is None:
            raise ValueError(
                "positions=None: attention='local_monotonic' needs the decoder's step of each "
                "query, (B, T) integers from 0; pass them"
            )
        _, visible = _window(positions.float(), valid_mask, self.window)
        return masked_softmax(self.score(query, keys), visible)


class LocalPredictiveAttention(GeneralAttention):
    """Luong et al. 2015, section 3.2 `local-p`: reads around a predicted centre p.

    p = S sigmoid(v tanh(W q)) (eq. 9), S the row's real length. The softmax over [p - D, p + D] is
    multiplied by exp(-(s - p)^2 / (2 (D/2)^2)) (eq. 10) and not normalised again. Positions count
    from 0, so that p < S and a window always holds a real one.

    Args:
        query_size: Numbers per query.
        memory_size: Numbers per memory position.
        window: D, in positions, at least 1.
    """

    def __init__(self, query_size: int, memory_size: int, window: int) -> None:
        super().__init__(query_size, memory_size)
        self.position = nn.Linear(query_size, query_size, bias=False)
        self.centre = nn.Linear(query_size, 1, bias=False)
        self.window = window

    def weigh(
        self,
        query: Float[Tensor, "B T Q"],
        keys: Float[Tensor, "B S A"],
        valid_mask: Bool[Tensor, "B S"],
        positions: Int[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T S"]:
        """The softmax over the window times the Gaussian; the gradient of p comes through it."""
        energy = self.centre(torch.tanh(self.position(query))).squeeze(-1)  # (B, T)
        centre = torch.sigmoid(exact(energy)) * valid_mask.sum(dim=1, keepdim=True)
        offset, visible = _window(centre, valid_mask, self.window)  # (B, T, S)
        weights = masked_softmax(self.score(query, keys), visible)
        return weights * torch.exp(-offset.square() / (2 * (self.window / 2) ** 2))


def _window(centre: Tensor, valid_mask: Tensor, half_width: int) -> tuple[Tensor, Tensor]:
    """Of each memory position: its offset from each centre, and whether it may be read."""
    steps = torch.arange(valid_mask.size(1), device=centre.device)
    offset = steps - centre.unsqueeze(-1)  # (B, T, S)
    valid = valid_mask.unsqueeze(1)
    distance = offset.detach().abs().masked_fill(~valid, math.inf)
    nearest = distance.amin(dim=-1, keepdim=True)  # (B, T, 1)
    return offset, (distance <= nearest.clamp(min=half_width)) & valid


def make_attention(  # noqa: PLR0911
    kind: AttentionKind, query_size: int, memory_size: int, window: int
) -> Attention | None:
    """Build the attention of that name; `none` gives None.

    Args:
        kind: One of ATTENTION_KINDS.
        query_size: Numbers per query.
        memory_size: Numbers per memory position.
        window: Of the local kinds: positions read to either side of the centre, at least 1.
    """
    match kind:
        case "additive":
            return AdditiveAttention(query_size, memory_size)
        case "concat":
            return ConcatAttention(query_size, memory_size)
        case "dot":
            return DotAttention(query_size, memory_size)
        case "general":
            return GeneralAttention(query_size, memory_size)
        case "local_monotonic":
            return LocalMonotonicAttention(query_size, memory_size, window)
        case "local_predictive":
            return LocalPredictiveAttention(query_size, memory_size, window)
        case "none":
            return None
    raise ValueError(f"attention={kind!r} is unknown; choose one of {', '.join(ATTENTION_KINDS)}")
