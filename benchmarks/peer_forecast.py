"""Run a peer's script as it is and keep its quantile forecasts: one .npz per line it reports.

Stands alone: it runs in the peers' own environment, where nothing of this project is installed.
"""

import argparse
import json
import os
import re
import runpy
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

LEVELS = np.round(np.arange(0.05, 0.951, 0.05), 2)
BOUND = re.compile(r"-(?P<side>lo|hi)-(?P<share>[0-9.]+)$")


def main() -> None:
    """Run one script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("script", type=Path, help="of the peers' folder, beside common.py")
    parser.add_argument("out", type=Path, help="where NAME.npz and results.jsonl go")
    parser.add_argument("name", help="of the forecasts; `each` takes the names of the script")
    parser.add_argument("words", nargs="*", help="the script's own arguments")
    options = parser.parse_args()
    script, out = options.script.resolve(), options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    os.chdir(out)
    sys.path.insert(0, str(script.parent))
    sys.argv = [str(script), *options.words]
    keep_forecasts(out, options.name)
    if script.name == "nf_peer.py":
        ask_for_all_levels()
    runpy.run_path(str(script), run_name="__main__")


def keep_forecasts(out: Path, name: str) -> None:
    """Let the scripts' `report` write the forecasts as well."""
    import common  # type: ignore[import-not-found]

    report = common.report

    def keep(title: str, outcome: Any, last: Any, point: Any, *rest: Any) -> None:
        report(title, outcome, last, point, *rest)
        found, more = (*rest, None, None)[:2]
        quantiles = frame_quantiles() if found is None else found
        arrays: dict[str, Any] = {
            "outcome": outcome,
            "last": last,
            "point": np.asarray(point, float),
        }
        if quantiles is not None:
            arrays["quantiles"] = np.asarray(quantiles, float)
        about = {"title": title, "cpu_seconds": time.process_time(), **(more or {})}
        path = out / f"{title if name == 'each' else name}.npz"
        part = path.with_suffix(".part.npz")  # a run that is stopped leaves no half file
        np.savez_compressed(part, about=np.array(json.dumps(about, default=str)), **arrays)
        part.replace(path)

    common.report = keep


FRAMES: list[Any] = []


def ask_for_all_levels() -> None:
    """Let neuralforecast's distributions give the 19 levels, and keep its table of forecasts.

    The script asks for two intervals alone; which quantiles are read changes nothing in training.
    """
    import neuralforecast
    from neuralforecast.losses import pytorch as losses

    distribution = losses.DistributionLoss.__init__
    validate = neuralforecast.NeuralForecast.cross_validation

    def all_levels(self: Any, name: str, level: Any = None, quantiles: Any = None) -> None:
        distribution(self, name, quantiles=LEVELS.tolist())

    def kept(self: Any, *args: Any, **kwargs: Any) -> Any:
        frame = validate(self, *args, **kwargs)
        FRAMES.append(frame.reset_index())
        return frame

    losses.DistributionLoss.__init__ = all_levels
    neuralforecast.NeuralForecast.cross_validation = kept


def frame_quantiles() -> Any:
    """The 19 levels by window and step from neuralforecast's table, (W, P, Q), or None."""
    if not FRAMES:
        return None
    frame = FRAMES[-1].sort_values(["unique_id", "ds"])
    columns = {}
    for column in frame.columns:
        if bound := BOUND.search(column):
            sign = -1 if bound["side"] == "lo" else 1
            columns[round(0.5 + sign * float(bound["share"]) / 200, 2)] = column
        elif column.endswith("-median"):
            columns[0.5] = column
    if set(columns) != set(LEVELS.tolist()):
        raise ValueError(f"no 19 levels among the columns {list(frame.columns)}")
    values = frame[[columns[level] for level in LEVELS.tolist()]].to_numpy(float)
    return values.reshape(-1, 20, len(LEVELS))


if __name__ == "__main__":
    main()
