"""Starting weights, chosen on purpose: the default start makes gated cells forget too."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from core.nn.cells import LRU, SLSTM, MinGRU, MinLSTM
from core.nn.gru import GRU

CellName = Literal["rnn", "irnn", "lstm", "gru", "mingru", "minlstm", "lru", "slstm"]
Start = Literal["default", "orthogonal", "forget", "chrono", "identity"]
CELLS: tuple[CellName, ...] = get_args(CellName)
STARTS: tuple[Start, ...] = get_args(Start)
RecentCell = MinGRU | MinLSTM | LRU | SLSTM
Cell = nn.RNNBase | RecentCell
RECENT: dict[CellName, type[RecentCell]] = {
    "mingru": MinGRU,
    "minlstm": MinLSTM,
    "lru": LRU,
    "slstm": SLSTM,
}


def make_cell(name: CellName, input_size: int, hidden_size: int) -> Cell:
    """Build one layer of one direction, batch first, with its default start."""
    match name:
        case "rnn" | "irnn":
            kind = "tanh" if name == "rnn" else "relu"
            return nn.RNN(input_size, hidden_size, batch_first=True, nonlinearity=kind)
        case "lstm":
            return nn.LSTM(input_size, hidden_size, batch_first=True)
        case "gru":
            return GRU(input_size, hidden_size)
        case _:
            return RECENT[name](input_size, hidden_size)


def effective_start(cell: CellName, start: Start) -> Start:
    """The start that a cell really gets: it cannot set a gate or a matrix that it lacks.

    A plain RNN has no gate, so that `forget` and `chrono` leave `orthogonal`, and for the IRNN
    `identity`, which makes it one. minGRU and minLSTM have no recurrent matrix; the LRU has its own
    start alone, eigenvalues on a ring.
    """
    match cell, start:
        case "rnn", "forget" | "chrono":
            return "orthogonal"
        case "irnn", "forget" | "chrono":
            return "identity"
        case "lru", _:
            return "default"
        case "mingru" | "minlstm", "orthogonal" | "identity":
            return "default"
    return start


def initialize_recurrent(cell: Cell, start: Start, longest_lag: int = 100) -> None:
    """Set the starting weights of one recurrent layer in place.

    Args:
        cell: What `make_cell` built.
        start: `default` keeps torch's uniform start, or the paper's own. `orthogonal` makes each
            gate's recurrent matrix orthogonal (Saxe et al. 2014, arXiv:1312.6120) and the biases
            zero; `identity` makes it the identity (Le et al. 2015, arXiv:1504.00941). `forget` is
            orthogonal with a bias of 1 on the gate that keeps the old state: the LSTM's forget gate
            (Jozefowicz et al. 2015), the GRU's update gate, which in torch multiplies the old state
            (the minGRU's is the other way round). `chrono` draws that bias from log U(1, L - 1),
            so that the units forget after 2 to L steps, and gives an input gate its negative
            (Tallec & Ollivier 2018, arXiv:1804.11188). What a cell lacks: `effective_start`.
        longest_lag: L of `chrono`, in steps, at least 3.
    """
    name = cell_name(cell)
    start = effective_start(name, start)
    if start == "default":
        return
    hidden = cell.hidden_size
    for label, parameter in cell.named_parameters():
        if label.startswith(("weight_hh", "recurrent")):
            for gate in parameter.data.split(hidden):
                if start == "identity":
                    nn.init.eye_(gate)
                else:
                    nn.init.orthogonal_(gate)
        elif label.startswith(("weight_ih", "projection.weight")):
            for gate in parameter.data.split(hidden):
                if name == "irnn":
                    nn.init.normal_(gate, std=0.001**0.5)
                else:
                    nn.init.xavier_uniform_(gate)
        else:
            nn.init.zeros_(parameter)
    if start in ("forget", "chrono"):
        _set_memory(cell, start, longest_lag)


def cell_name(cell: Cell) -> CellName:
    """The name under which `make_cell` builds this cell."""
    if isinstance(cell, nn.RNNBase):
        modes: dict[str, CellName] = {"RNN_TANH": "rnn", "RNN_RELU": "irnn", "LSTM": "lstm"}
        return modes.get(cell.mode, "gru")
    return next(name for name, kind in RECENT.items() if kind is type(cell))


def _set_memory(cell: Cell, start: Start, longest_lag: int) -> None:
    """Set the bias of the gate that keeps, and for chrono of the gate that writes."""
    hidden = cell.hidden_size
    keep = torch.ones(hidden)
    if start == "chrono":
        # The gates' own biases are spread; the keeping time of a unit is exp(bias) + 1 steps.
        keep = torch.empty(hidden).uniform_(1.0, longest_lag - 1.0).log()
    writes: Tensor | None = None
    match cell:
        case nn.LSTM():  # torch: i, f, g, o
            bias = cell.get_parameter("bias_ih_l0").data
            keeps, writes = bias[hidden : 2 * hidden], bias[:hidden]
        case nn.GRU():  # torch: r, z, n, and z keeps
            keeps = cell.get_parameter("bias_ih_l0").data[hidden : 2 * hidden]
        case MinGRU():  # z writes
            keeps, keep = cell.gate_bias(0).data, -keep
        case MinLSTM():
            keeps, writes = cell.gate_bias(0).data, cell.gate_bias(1).data
        case SLSTM():
            keeps, writes = cell.gate_bias(1).data, cell.gate_bias(0).data
        case _:
            return
    keeps.copy_(keep)
    if start == "chrono" and writes is not None:
        writes.copy_(-keep)
