"""Write a run's network as ONNX."""

from pathlib import Path
from typing import Any

from apps.stock_forecast.inference import StockForecaster, write_onnx
from core.cli import verb
from core.run_graphs import hand_out, write_graphs


def summary(result: dict[str, Any]) -> str:
    """What was written, for people."""
    lines = [f"{name}  {size / 1024:.0f} KiB" for name, size in result["files"].items()]
    return "\n".join([*lines, f"largest difference to torch: {result['max_difference']:.1e}"])


@verb(summary)
def export(run: Path | None = None, out: Path | None = None) -> dict[str, Any]:
    """Write `model.onnx`, checked against torch at many batch sizes and context lengths.

    The graph reads `inputs`, the scaled features of the last days (batch, days, features), and
    gives `quantiles` in units of trailing volatility (batch, horizons, levels).

    Args:
        run: The run folder; left out: runs/stock_forecast/champion. The file goes into its `onnx/`.
        out: A folder that gets a copy of it.
    """
    forecaster = StockForecaster.load(run)
    opened = forecaster.run
    note = write_graphs(opened, lambda folder: write_onnx(opened, forecaster.model, folder))
    return hand_out(opened, note, out)
