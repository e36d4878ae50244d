"""CONTRIBUTING's ways to add a cell and an attention, each followed in a copy of the project."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CELL = '''class UGRNN(nn.Module):
    """Update-gate RNN, Collins et al. 2017 (arXiv:1611.09913): h = g h + (1 - g) tanh(W x + U h).

    Gates in the order g, candidate.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.projection = nn.Linear(input_size, 2 * hidden_size)
        self.recurrent = nn.Parameter(torch.empty(2 * hidden_size, hidden_size))
        nn.init.uniform_(self.recurrent, -(hidden_size**-0.5), hidden_size**-0.5)

    def gate_bias(self, gate: int) -> Tensor:
        """The bias of one gate, as a view, (H,)."""
        return self.projection.bias[gate * self.hidden_size : (gate + 1) * self.hidden_size]

    def zero_state(self, batch_size: int, like: Tensor) -> LayerState:
        """The state before the first step."""
        return (like.new_zeros(batch_size, self.hidden_size),)

    def step(self, x: Float[Tensor, "B F"], state: LayerState) -> tuple[Tensor, LayerState]:
        """One time step: the output, which is the state, and the state."""
        joint = _at_least_single(self.projection(x) + state[0] @ self.recurrent.t())
        gate, candidate = joint.chunk(2, dim=-1)
        before = state[0].to(joint.dtype)
        hidden = torch.lerp(torch.tanh(candidate), before, torch.sigmoid(gate))
        return hidden, (hidden,)

    def forward(
        self, x: Float[Tensor, "B T F"], state: LayerState | None = None
    ) -> tuple[Float[Tensor, "B T H"], LayerState]:
        """All states, and the last one."""
        after = self.zero_state(x.size(0), x) if state is None else state
        hidden = []
        for inputs in x.unbind(1):
            output, after = self.step(inputs, after)
            hidden.append(output)
        return torch.stack(hidden, dim=1), after


class LRU(nn.Module):
'''
ADD_CELL = [
    ("core/nn/cells.py", "class LRU(nn.Module):\n", CELL),
    ("core/nn/initialization.py", "import LRU, SLSTM,", "import LRU, SLSTM, UGRNN,"),
    ("core/nn/initialization.py", '"lru", "slstm"]', '"lru", "slstm", "ugrnn"]'),
    ("core/nn/initialization.py", "| LRU | SLSTM\n", "| LRU | SLSTM | UGRNN\n"),
    (
        "core/nn/initialization.py",
        '    "slstm": SLSTM,\n',
        '    "slstm": SLSTM,\n    "ugrnn": UGRNN,\n',
    ),
    (
        "core/nn/initialization.py",
        "        case MinGRU():  # z writes\n",
        "        case UGRNN():\n            keeps = cell.gate_bias(0).data\n"
        "        case MinGRU():  # z writes\n",
    ),
    ("core/diagnostics.py", "import LRU, SLSTM,", "import LRU, SLSTM, UGRNN,"),
    (
        "core/diagnostics.py",
        "        case LRU():\n",
        "        case UGRNN():\n"
        '            matrix, names = cell.recurrent, ("update", "candidate")\n'
        "        case LRU():\n",
    ),
    (
        "apps/gradient_lab/pages/own.py",
        '    "slstm": "sLSTM",\n',
        '    "slstm": "sLSTM",\n    "ugrnn": "UGRNN",\n',
    ),
    (
        "tests/core/nn/test_initialization.py",
        "EFFECTIVE = {\n",
        'EFFECTIVE = {\n    "ugrnn": ("default", "orthogonal", "forget", "chrono", "identity"),\n',
    ),
    (
        "tests/core/nn/test_initialization.py",
        "KEPT = {\n",
        'KEPT = {\n    "ugrnn": lambda keep, _: torch.sigmoid(keep),\n',
    ),
    (
        "tests/core/test_diagnostics_of_cells.py",
        '        "rnn": ["candidate"],\n',
        '        "rnn": ["candidate"],\n        "ugrnn": ["update", "candidate"],\n',
    ),
    ("tests/core/test_watching.py", '("lru", "slstm")', '("lru", "slstm", "ugrnn")'),
]
ATTENTION = '''class CosineAttention(GeneralAttention):
    """The cosine of query and key, sharpened, Graves et al. 2014 (arXiv:1410.5401), eq. 5 and 6."""

    def score(
        self, query: Float[Tensor, "B T Q"], keys: Float[Tensor, "B S A"]
    ) -> Float[Tensor, "B T S"]:
        """Ten times the cosine."""
        query, keys = (nn.functional.normalize(x, dim=-1) for x in (query, keys))
        return 10 * torch.bmm(query, keys.transpose(1, 2))


class AdditiveAttention(Attention):
'''
ADD_ATTENTION = [
    ("core/nn/attention.py", '_predictive", "none"\n', '_predictive", "none", "cosine"\n'),
    ("core/nn/attention.py", "class AdditiveAttention(Attention):\n", ATTENTION),
    (
        "core/nn/attention.py",
        '        case "none":\n',
        '        case "cosine":\n            return CosineAttention(query_size, memory_size)\n'
        '        case "none":\n',
    ),
    (
        "tests/core/nn/test_attention.py",
        '        case "dot":\n',
        '        case "cosine":\n            k = attention.key.weight @ k\n'
        "            return 10 * q @ k / (q.norm() * k.norm())\n"
        '        case "dot":\n',
    ),
]


def copy_with(edits: list[tuple[str, str, str]], folder: Path) -> None:
    """The project in a folder, with the edits made."""
    for name in ("apps", "core", "data", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=lambda *_: ["__pycache__"])
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name, before, after in edits:
        text = (folder / name).read_text()
        assert text.count(before) == 1, (name, before)
        (folder / name).write_text(text.replace(before, after))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("edits", "added", "tests"),
    [
        (
            ADD_CELL,
            "ugrnn",
            (
                "nn/test_initialization.py",
                "nn/test_stepping.py",
                "nn/test_recurrent.py",
                "nn/test_seq2seq.py",
                "test_diagnostics_of_cells.py",
                "test_watching.py",
            ),
        ),
        (
            ADD_ATTENTION,
            "cosine",
            ("nn/test_attention.py", "nn/test_seq2seq.py", "test_exporting.py"),
        ),
    ],
    ids=["cell", "attention"],
)
def test_the_tests_find_what_is_added(tmp_path, edits, added, tests):
    copy_with(edits, tmp_path)
    paths = [f"tests/core/{name}" for name in tests]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-vv", *paths],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout
    assert f"[{added}" in result.stdout  # it has tests of its own
