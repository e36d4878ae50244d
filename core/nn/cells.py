"""The recent cells that torch lacks: minGRU, minLSTM, LRU and sLSTM, and the scan they run on.

Each cell has the same three methods: `zero_state(batch_size, like)`, `step(x, state)` for one time
step, and `forward(x, state)` for a whole sequence. The first three are linear in their state, so
that `forward` needs no step-by-step graph: `linear_recurrence` runs it with a backward of its own.
"""

import math
from typing import Any, cast

import torch
from jaxtyping import Float, Inexact
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

LayerState = tuple[Tensor, ...]  # what a cell carries from step to step; each part (B, H)


class _LinearRecurrence(torch.autograd.Function):
    """h_t = a_t h_{t-1} + b_t over the first dimension; see `linear_recurrence`."""

    @staticmethod
    def forward(ctx: Any, decay: Tensor, drive: Tensor, start: Tensor) -> Tensor:
        states = torch.empty_like(drive)
        before = start
        for a, b, h in zip(decay.unbind(), drive.unbind(), states.unbind(), strict=True):
            torch.addcmul(b, a, before, out=h)
            before = h
        ctx.save_for_backward(decay, states, start)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        decay, states, start = ctx.saved_tensors
        gradient = upstream[0].clone(memory_format=torch.contiguous_format)  # (T, *, H)
        parts = gradient.unbind()
        conjugate = decay.conj().resolve_conj()
        weights = conjugate.unbind()
        for t in range(len(parts) - 2, -1, -1):
            parts[t].addcmul_(weights[t + 1], parts[t + 1])
        to_decay = torch.empty_like(gradient)
        torch.mul(gradient[1:], states[:-1].conj(), out=to_decay[1:])
        torch.mul(gradient[0], start.conj(), out=to_decay[0])
        return to_decay, gradient, conjugate[0] * gradient[0]


def linear_recurrence(
    decay: Inexact[Tensor, "T *B H"],
    drive: Inexact[Tensor, "T *B H"],
    start: Inexact[Tensor, "*B H"],
) -> Inexact[Tensor, "T *B H"]:
    """All states of h_t = decay_t * h_{t-1} + drive_t, real or complex, time first.

    One multiply-add a step in either direction: the backward pass is the same recurrence run from
    the end. Two parallel forms were measured beside it (`benchmarks/scan.py`): a doubling scan does
    log2(T) times the work, and the log-space scan loses two digits in float32 over 2,048 steps.

    Args:
        decay: Factor of the state before; the shape of `drive`.
        drive: What each step adds.
        start: The state before the first step.
    """
    run: Any = _LinearRecurrence.apply  # torch gives it no type
    return cast(Tensor, run(decay, drive, start))


class _ElementwiseCell(nn.Module):
    """Shared by minGRU and minLSTM: gates and candidate come from the input alone."""

    num_gates: int

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.projection = nn.Linear(input_size, (self.num_gates + 1) * hidden_size)

    def gate_bias(self, gate: int) -> Tensor:
        """The bias of one gate, in the order that the class names, as a view, (H,)."""
        return self.projection.bias[gate * self.hidden_size : (gate + 1) * self.hidden_size]

    def decay_and_drive(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Factor of the old state and what is added, each (*, H)."""
        raise NotImplementedError

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """Gates and candidate, each (*, H), in float32 at least.

        bfloat16 has no factor between 0.996 and 1: a memory of over 256 steps would never fade.
        """
        projected = self.projection(x)
        exact = projected.to(torch.promote_types(projected.dtype, torch.float32))
        return cast(tuple[Tensor, ...], exact.chunk(self.num_gates + 1, dim=-1))

    def zero_state(self, batch_size: int, like: Tensor) -> LayerState:
        """The state before the first step."""
        return (like.new_zeros(batch_size, self.hidden_size),)

    def step(self, x: Float[Tensor, "B F"], state: LayerState) -> tuple[Tensor, LayerState]:
        """One time step: the output, which is the state, and the state."""
        decay, drive = self.decay_and_drive(x)
        hidden = decay * state[0] + drive
        return hidden, (hidden,)

    def forward(
        self, x: Float[Tensor, "B T F"], state: LayerState | None = None
    ) -> tuple[Float[Tensor, "B T H"], LayerState]:
        """All states, and the last one."""
        start = (self.zero_state(x.size(0), x) if state is None else state)[0]
        decay, drive = self.decay_and_drive(x.transpose(0, 1))  # (T, B, H)
        decay, drive = _at_least_single(decay), _at_least_single(drive)
        states = linear_recurrence(decay, drive, start.to(drive.dtype))
        return states.transpose(0, 1), (states[-1],)


class MinGRU(_ElementwiseCell):
    """Feng et al. 2024 (arXiv:2410.01201), section 3.1: h = (1 - z) h + z W x, z = sigmoid(V x).

    Gates: z. The candidate is linear, as in the paper's plain form; its log-space form makes it
    positive, which this scan does not need.
    """

    num_gates = 1

    def decay_and_drive(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """1 - z, and z times the candidate."""
        update, candidate = self.project(x)
        gate = torch.sigmoid(update)
        return 1 - gate, gate * candidate


class MinLSTM(_ElementwiseCell):
    """Feng et al. 2024, section 3.2: h = f' h + i' W x with f' = f / (f + i), i' = i / (f + i).

    Gates: f, i. The shares are computed from the gates' logarithms, so that two gates near zero
    divide nothing by nothing.
    """

    num_gates = 2

    def decay_and_drive(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """f', and i' times the candidate."""
        forget, write, candidate = self.project(x)
        softplus = nn.functional.softplus
        share = torch.sigmoid(softplus(-write) - softplus(-forget))  # log f - log i
        return share, (1 - share) * candidate


class LRU(nn.Module):
    """Linear Recurrent Unit, Orvieto et al. 2023 (arXiv:2303.06349), eq. 5 to 7, with its GLU.

    x_t = lambda x_{t-1} + gamma (B u_t), y_t = Re(C x_t) + D u_t, output GLU(gelu(y_t)). The paper
    puts normalisation and a residual connection around it: those are the stack's options. State:
    the real and the imaginary part of x.

    Args:
        input_size: Features of u.
        hidden_size: Of the complex state and of the output.
        smallest: Smallest |lambda| at the start, 0 to below `largest`.
        largest: Largest |lambda| at the start, below 1.
    """

    def __init__(
        self, input_size: int, hidden_size: int, smallest: float = 0.9, largest: float = 0.999
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        u = torch.rand(hidden_size)
        modulus = (u * (largest**2 - smallest**2) + smallest**2).sqrt()
        self.log_decay = nn.Parameter((-modulus.log()).log())  # nu
        self.log_phase = nn.Parameter((math.pi / 10 * torch.rand(hidden_size)).log())  # theta
        self.log_scale = nn.Parameter(0.5 * (1 - modulus**2).log())  # gamma
        self.encode = nn.Linear(input_size, 2 * hidden_size, bias=False)  # B, real and imaginary
        nn.init.normal_(self.encode.weight, std=(2 * input_size) ** -0.5)
        self.decode = nn.Linear(2 * hidden_size, hidden_size, bias=False)  # C
        nn.init.normal_(self.decode.weight, std=hidden_size**-0.5)
        self.skip = nn.Linear(input_size, hidden_size)  # D
        self.glu = nn.Linear(hidden_size, 2 * hidden_size)

    def eigenvalues(self) -> Tensor:
        """The diagonal of the recurrent matrix, complex, (H,)."""
        return torch.polar((-self.log_decay.exp()).exp(), self.log_phase.exp())

    def zero_state(self, batch_size: int, like: Tensor) -> LayerState:
        """The state before the first step."""
        zero = like.new_zeros(batch_size, self.hidden_size)
        return (zero, zero)

    def step(self, x: Float[Tensor, "B F"], state: LayerState) -> tuple[Tensor, LayerState]:
        """One time step: output, state."""
        drive = self._drive(x)
        after = self.eigenvalues() * _join(state, drive) + drive
        parts = (after.real, after.imag)
        return self._read(torch.cat(parts, dim=-1), x), parts

    def forward(
        self, x: Float[Tensor, "B T F"], state: LayerState | None = None
    ) -> tuple[Float[Tensor, "B T H"], LayerState]:
        """All outputs, and the last state."""
        before = self.zero_state(x.size(0), x) if state is None else state
        drive = self._drive(x.transpose(0, 1))  # (T, B, H) complex
        decay = self.eigenvalues().expand_as(drive)
        states = linear_recurrence(decay, drive, _join(before, drive))
        flat = torch.cat([states.real, states.imag], dim=-1).transpose(0, 1)  # (B, T, 2H)
        return self._read(flat, x), (states[-1].real, states[-1].imag)

    def _drive(self, x: Tensor) -> Tensor:
        real, imaginary = _at_least_single(self.encode(x)).chunk(2, dim=-1)
        scale = self.log_scale.exp()
        return torch.complex(scale * real, scale * imaginary)

    def _read(self, flat: Tensor, x: Tensor) -> Tensor:
        y = self.decode(flat) + self.skip(x)
        return nn.functional.glu(self.glu(nn.functional.gelu(y)), dim=-1)


def _join(state: LayerState, like: Tensor) -> Tensor:
    """Real and imaginary part as one, in the precision of `like`."""
    return torch.complex(*(part.to(like.real.dtype) for part in state))


class SLSTM(nn.Module):
    """Scalar LSTM of xLSTM, Beck et al. 2024 (arXiv:2405.04517), eq. 8 to 17: exponential gating.

    The input gate is exp, the forget gate a sigmoid; a normaliser n divides the cell and a running
    maximum m keeps exp in range (eq. 15). One head: the recurrent matrix is full, as in an LSTM.
    State: h, c, n, m. Gates in the order i, f, z, o. m scales c and n alike and cancels in c / n,
    so no gradient need pass through it.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.projection = nn.Linear(input_size, 4 * hidden_size)
        self.recurrent = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        bound = hidden_size**-0.5
        nn.init.uniform_(self.recurrent, -bound, bound)

    def gate_bias(self, gate: int) -> Tensor:
        """The bias of one gate, in the order i, f, z, o, as a view, (H,)."""
        return self.projection.bias[gate * self.hidden_size : (gate + 1) * self.hidden_size]

    def zero_state(self, batch_size: int, like: Tensor) -> LayerState:
        """The state before the first step: nothing stored, and a maximum below any gate."""
        zero = like.new_zeros(batch_size, self.hidden_size)
        return (zero, zero, zero, torch.full_like(zero, -1e30))

    def step(self, x: Float[Tensor, "B F"], state: LayerState) -> tuple[Tensor, LayerState]:
        """One time step: the output, which is h, and the state."""
        return self._advance(self.projection(x), state)

    def forward(
        self, x: Float[Tensor, "B T F"], state: LayerState | None = None
    ) -> tuple[Float[Tensor, "B T H"], LayerState]:
        """All states h, and the last state."""
        after = self.zero_state(x.size(0), x) if state is None else state
        hidden = []
        for projected in self.projection(x.transpose(0, 1)).unbind():
            output, after = self._advance(projected, after)
            hidden.append(output)
        return torch.stack(hidden, dim=1), after

    def _advance(self, projected: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        hidden, cell, normalizer, maximum = state
        gates = torch.addmm(projected, hidden.to(projected.dtype), self.recurrent.t())
        write, forget, candidate, output = gates.chunk(4, dim=-1)  # (B, H)
        kept = nn.functional.logsigmoid(forget) + maximum
        highest = torch.maximum(kept, write).detach()
        write, keep = (write - highest).exp(), (kept - highest).exp()
        cell = keep * cell + write * torch.tanh(candidate)
        normalizer = keep * normalizer + write
        hidden = torch.sigmoid(output) * cell / normalizer
        return hidden, (hidden, cell, normalizer, highest)


def _at_least_single(x: Tensor) -> Tensor:
    """Sums over thousands of steps need more than the seven bits of bfloat16."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
