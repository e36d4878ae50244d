"""Back-propagation through time by hand, step by step, beside autograd."""

from collections.abc import Sequence

import plotly.graph_objects as go
import torch
from torch import Tensor, nn

from apps.gradient_lab.topics.shown import Shown
from core.nn.initialization import initialize_recurrent, make_cell
from core.nn.stepping import cell_weights, run_steps, step_cell
from core.plots import style


def back_propagation(*, length: int = 20, hidden_size: int = 16) -> Shown:
    """What each step adds to the recurrent matrix's gradient: by hand, and by autograd.

    Args:
        length: T, at least 2.
        hidden_size: Units of the tanh RNN.
    """
    torch.manual_seed(0)
    cell = make_cell("rnn", 2, hidden_size).double()
    initialize_recurrent(cell, "orthogonal")
    assert isinstance(cell, nn.RNN)
    x = torch.randn(32, length, 2, dtype=torch.float64)
    target = torch.randn(32, hidden_size, dtype=torch.float64)
    own = by_hand(cell, x, target)
    reference = by_autograd(cell, x, target)
    total, expected = sum(own), whole_gradient(cell, x, target)
    error = float((total - expected).abs().max() / expected.abs().max())
    steps = list(range(1, length + 1))
    hand = [float(part.norm()) for part in own]
    auto = [float(part.norm()) for part in reference]
    figure = go.Figure(go.Bar(x=steps, y=hand, name="by hand"))
    figure.add_scatter(x=steps, y=auto, name="autograd", mode="markers", marker={"size": 8})
    style(
        figure, "What each step adds to the gradient of W", "step t", "norm of its share of dL/dW"
    )
    lines = [
        f"The {length} shares by hand add up to autograd's gradient to {error:.0e} of its largest "
        "entry (float64).",
        f"The last step's share has norm {hand[-1]:.2g}, that of the first with a state before it "
        f"{hand[1]:.2g}.",
    ]
    return Shown(figure, lines, {"by_hand": hand, "autograd": auto, "relative_error": error})


def by_hand(cell: nn.RNN, x: Tensor, target: Tensor) -> list[Tensor]:
    """Each step's share of dL/dW, from the chain rule alone, (H, H).

    With h_t = tanh(a_t) and d_t = dL/da_t: d_t = (dL/dh_t) (1 - h_t^2), dL/dh_t-1 = W' d_t, and
    step t adds the mean over the rows of d_t h_t-1'. The loss is half the squared error at T.
    """
    with torch.no_grad():
        states = [state[0] for state in run_steps(cell, x).states]
        before = [torch.zeros_like(states[0]), *states[:-1]]
        recurrent = cell_weights(cell)[1]
        to_state = (states[-1] - target) / len(x)  # (B, H)
        shares = []
        for now, last in zip(reversed(states), reversed(before), strict=True):
            to_sum = to_state * (1 - now.square())
            shares.append(to_sum.t() @ last)
            to_state = to_sum @ recurrent
    return shares[::-1]


def by_autograd(cell: nn.RNN, x: Tensor, target: Tensor) -> list[Tensor]:
    """The same shares: every step is given its own copy of W."""
    weights = cell_weights(cell)
    copies = [weights[1].detach().clone().requires_grad_() for _ in range(x.size(1))]
    state: tuple[Tensor, ...] = (x.new_zeros(len(x), cell.hidden_size),)
    for step, copy in zip(x.unbind(1), copies, strict=True):
        _, state = step_cell(cell, step, state, [weights[0], copy, *weights[2:]])
    return list(torch.autograd.grad(_loss(state[0], target), copies))


def whole_gradient(cell: nn.RNN, x: Tensor, target: Tensor) -> Tensor:
    """dL/dW of torch's own fused RNN."""
    last: Sequence[Tensor] = cell(x)[1]
    return torch.autograd.grad(_loss(last[0], target), cell_weights(cell)[1])[0]


def _loss(last: Tensor, target: Tensor) -> Tensor:
    return 0.5 * (last - target).square().sum() / len(last)
