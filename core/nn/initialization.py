"""Starting weights, chosen on purpose: the default start makes gated cells forget too."""

from typing import Literal

from torch import nn

Start = Literal["default", "orthogonal", "forget"]


def initialize_recurrent(cell: nn.RNNBase, start: Start) -> None:
    """Set the starting weights of one recurrent layer in place.

    Args:
        cell: A one-layer, one-direction `nn.RNN`, `nn.LSTM` or `nn.GRU`.
        start: `default` keeps torch's uniform start. `orthogonal` makes each gate's recurrent
            matrix orthogonal (Saxe et al. 2014, arXiv:1312.6120) and the biases zero. `forget`
            adds a bias of 1 to the gate that keeps the old state: the LSTM's forget gate
            (Jozefowicz et al. 2015) and the GRU's update gate, which in torch multiplies the old
            state. A plain RNN has no such gate, so there `forget` equals `orthogonal`.
    """
    if start == "default":
        return
    hidden = cell.hidden_size
    for name, parameter in cell.named_parameters():
        if name.startswith("weight_hh"):
            for gate in parameter.data.split(hidden):
                nn.init.orthogonal_(gate)
        elif name.startswith("weight_ih"):
            for gate in parameter.data.split(hidden):
                nn.init.xavier_uniform_(gate)
        else:
            nn.init.zeros_(parameter)
    if start == "forget" and cell.mode in ("LSTM", "GRU"):
        bias = cell.get_parameter("bias_ih_l0")
        bias.data[hidden : 2 * hidden] = 1.0  # torch: LSTM i, f, g, o; GRU r, z, n
