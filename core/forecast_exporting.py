"""A forecaster as one ONNX graph, `model.onnx`, and the engine that runs it."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from core.exporting import export_graph, largest_difference
from core.nn.forecaster import Forecaster
from core.nn.recurrent import TORCH_CELLS
from core.onnx_engine import open_graph

GRAPH = "model.onnx"
EXPORTABLE = (*TORCH_CELLS, "linear")
ROWS = (1, 2, 7, 64)  # batch sizes at which the graph is checked
LENGTHS = (2, 5, 20, 60, 250)  # and days of context


class _OneOutput(nn.Module):
    """`forward` with a tuple out, as `core.exporting` checks it."""

    def __init__(self, model: Forecaster) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        return (self.model(inputs),)


def export_forecaster(model: Forecaster, input_size: int, folder: Path) -> float:
    """Write `model.onnx`, and check it against torch at each of ROWS and LENGTHS.

    Args:
        model: In evaluation mode, on the CPU.
        input_size: Features per day.
        folder: Where the file goes; made where missing.

    Returns:
        The largest difference to torch, in units of the scale.

    Raises:
        ValueError: The model cannot be exported, or the graph disagrees with it.
    """
    config = model.config
    known = f"ONNX export knows forecasters of {', '.join(EXPORTABLE)}"
    if config.cell not in EXPORTABLE:
        raise ValueError(f"cell={config.cell!r}: {known}; use the torch engine")
    if config.zoneout:
        raise ValueError(f"zoneout={config.zoneout}: {known} without it; use the torch engine")
    if model.news_encoder is not None:
        raise ValueError(
            "news_encoder=True: texts have no place in the graph; use the torch engine"
        )
    assert not model.training, "dropout would be traced"
    module = _OneOutput(model).eval()
    # One row: of an example with several, the number is frozen into a recurrent layer.
    example = {"inputs": torch.zeros(1, LENGTHS[0], input_size)}
    axes = {"inputs": {0: "batch", 1: "days"}, "quantiles": {0: "batch"}}
    export_graph(folder / GRAPH, module, example, ["quantiles"], axes)
    return largest_difference(folder / GRAPH, module, _cases(input_size))


def _cases(input_size: int) -> Iterator[dict[str, Tensor]]:
    """Random windows of every size that is checked."""
    generator = torch.Generator().manual_seed(0)
    for rows in ROWS:
        for length in LENGTHS:
            yield {"inputs": torch.randn(rows, length, input_size, generator=generator)}


class OnnxForecaster:
    """The graph that `export_forecaster` wrote, called like the network that it was made of.

    Args:
        folder: Where the graph stands.
        threads: Cores that one operation may use, at least 1.

    Raises:
        ValueError: The graph is missing or spoilt.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self._graph = open_graph(folder / GRAPH, threads)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Quantiles at LEVELS in units of the scale; (B, L, F) to (B, P, Q)."""
        (quantiles,) = self._graph.run(None, {"inputs": inputs.numpy()})
        return torch.from_numpy(quantiles)
