"""The GRU with a backward pass through time of its own: torch's weights, less work on a CPU."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class GRU(nn.GRU):
    """One layer of torch's GRU, one direction, batch first, trained faster on a CPU.

    The equations are torch's (Cho et al. 2014, arXiv:1406.1078, with the reset gate after the
    recurrent product), with r, z the reset and the update gate and n the candidate:

        n_t = tanh(W_in x_t + b_in + r_t * (W_hn h_t-1 + b_hn)),    h_t = n_t + z_t (h_t-1 - n_t)

    torch keeps a graph of some fifteen operations a step and adds a product to the recurrent
    matrix's gradient at each. Here the gates' derivatives are taken for all steps at once, the loop
    backwards keeps what depends on the step after, and each weight's gradient is one product over
    all steps. Where torch has a kernel of its own or nothing is learnt, that is used.

    Args:
        input_size: Features per step.
        hidden_size: Units.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, batch_first=True)

    def forward(  # type: ignore[override]  # torch's takes packed sequences too
        self, input: Float[Tensor, "B T F"], hx: Float[Tensor, "1 B H"] | None = None
    ) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "1 B H"]]:
        """Run the whole sequence, as `nn.GRU` does; the gradient has no gradient of its own.

        Args:
            input: Inputs.
            hx: The state before the first step; None for zero.

        Returns:
            All states, and the last.
        """
        if hx is None:
            hx = input.new_zeros(1, input.size(0), self.hidden_size)
        return run_gru(input, hx, list(self.parameters()), self.training)


def run_gru(
    x: Float[Tensor, "B T F"], start: Float[Tensor, "1 B H"], weights: Sequence[Tensor], train: bool
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "1 B H"]]:
    """A whole sequence through a GRU of one layer; all states, and the last.

    Args:
        x: Inputs.
        start: The state before the first step.
        weights: Input and recurrent matrix and their biases, gates in torch's order r, z, n.
        train: Of torch's kernels: whether a backward pass may follow.
    """
    is_plain = x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    if not (is_plain and torch.is_grad_enabled()):
        outputs, last = torch.gru(x, start, list(weights), True, 1, 0.0, train, False, True)
        return outputs, last
    run: Any = _ThroughTime.apply  # torch gives it no type
    states: Tensor = run(x.transpose(0, 1), start[0], *weights)
    return states.transpose(0, 1), states[-1:]


class _ThroughTime(torch.autograd.Function):
    """All states of a GRU, time first, and the gradients of what made them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, start: Tensor, *weights: Tensor) -> Tensor:
        weight_ih, weight_hh, bias_ih, bias_hh = weights
        time, batch, features = x.shape
        hidden = start.size(1)
        x = x.reshape(time * batch, features)
        bias = bias_ih.clone()
        bias[: 2 * hidden] += bias_hh[: 2 * hidden]
        gates = torch.addmm(bias, x, weight_ih.t()).view(time, batch, 3 * hidden)
        states = x.new_empty(time + 1, batch, hidden)
        states[0] = start
        recalled = x.new_empty(time, batch, hidden)  # W_hn h + b_hn
        product = x.new_empty(batch, 3 * hidden)
        for gate, after, before, r, z, n, m in zip(
            gates[..., : 2 * hidden],
            states[1:],
            states[:-1],
            *gates.split(hidden, dim=-1),
            recalled,
            strict=True,
        ):
            torch.mm(before, weight_hh.t(), out=product)
            gate.add_(product[:, : 2 * hidden]).sigmoid_()
            torch.add(product[:, 2 * hidden :], bias_hh[2 * hidden :], out=m)
            n.addcmul_(r, m).tanh_()
            torch.lerp(n, before, z, out=after)
        ctx.save_for_backward(x, weight_ih, weight_hh, gates, states, recalled)
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_ih, weight_hh, gates, states, recalled = ctx.saved_tensors
        time, batch, hidden = recalled.shape
        r, z, n = gates.split(hidden, dim=-1)
        new_share = 1 - z
        # d h_t / d (what stands inside tanh), and inside the sigmoids of z and r, but for dh or dn.
        of_n = torch.addcmul(new_share, new_share * n, n, value=-1)
        of_z = (states[:-1] - n).mul_(z).mul_(new_share)
        of_r = torch.addcmul(r, r, r, value=-1).mul_(recalled)
        to_gates = torch.empty_like(gates)  # of W_hh h + b_hh
        to_n = torch.empty_like(recalled)
        dh = states.new_zeros(batch, hidden)
        parts = (*to_gates.split(hidden, dim=-1), to_gates, to_n, of_r, of_z, of_n, r, z)
        steps = (reversed(part.unbind()) for part in (upstream[0], *parts))
        for above, dr, dz, dm, d, dn, at_r, at_z, at_n, r_t, z_t in zip(*steps, strict=True):
            dh.add_(above)
            torch.mul(dh, at_n, out=dn)
            torch.mul(dn, at_r, out=dr)
            torch.mul(dh, at_z, out=dz)
            torch.mul(dn, r_t, out=dm)
            dh = torch.addmm(dh.mul_(z_t), d, weight_hh)
        flat = to_gates.view(time * batch, 3 * hidden)
        to_weight_hh = flat.t() @ states[:-1].reshape(time * batch, hidden)
        to_bias_hh = flat.sum(0)
        to_gates[..., 2 * hidden :] = to_n  # of W_ih x + b_ih: no reset gate before the candidate
        to_x = (flat @ weight_ih).view(time, batch, -1) if ctx.needs_input_grad[0] else None
        return to_x, dh, flat.t() @ x, to_weight_hh, flat.sum(0), to_bias_hh
