"""The forecaster beside neuralforecast and pytorch-forecasting on StockNet, by the peers' protocol.

Context 60, horizons 1 to 20, the last 240 days of each ticker in 12 windows, no refit. The peers
run through their own scripts, in their own environment; whatever is on disk already is not run
again. A model that gives one number alone is scored as a range without width: its CRPS is its MAE.
"""

import argparse
import logging
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from apps.stock_forecast.datamodule import PriceDataModule, read_table
from benchmarks.own_forecaster import forecast_by_seed
from benchmarks.protocol import CONTEXT, HORIZONS, Forecast, Protocol, Scored, normal_fan
from benchmarks.record import ROOT, record
from core.bootstrap import interval as ends
from core.comparison import align
from data.windows import Rows, WindowConfig, target_of

logger = logging.getLogger(__name__)

PEERS = {  # name: the script of the peers' folder and its arguments
    "nf.NHITS": ("nf_peer.py", "NHITS"),
    "nf.GRU": ("nf_peer.py", "GRU"),
    "nf.RNN": ("nf_peer.py", "RNN"),
    "nf.LSTM": ("nf_peer.py", "LSTM"),
    "pf.DeepAR": ("pf_peer.py", "model=DeepAR"),
    "nf.DeepAR": ("nf_peer.py", "DeepAR", "max_steps=200"),
    "pf.RecurrentNetwork": ("pf_peer.py", "model=RecurrentNetwork"),
    "nf.DeepAR-standard": ("nf_peer.py", "DeepAR", "max_steps=200", "scaler=standard"),
    "nf.NHITS-robust": ("nf_peer.py", "NHITS", "scaler=robust"),
    "nf.NHITS-seed2": ("nf_peer.py", "NHITS", "seed=2"),
    "nf.NHITS-seed3": ("nf_peer.py", "NHITS", "seed=3"),
}
OURS, NAIVE, DRIFT = "ours", "naive", "drift60"


def main() -> None:
    """Run what is missing, record a row per model and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--peers", type=Path, default=ROOT / "../shared/peers", help="their scripts"
    )
    parser.add_argument("--python", type=Path, help="of the peers' environment; left out: run none")
    parser.add_argument("--store", type=Path, default=ROOT / "runs/benchmarks/stocknet_protocol")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    protocol = Protocol.read(options.peers)
    if options.python is not None:
        for name in PEERS:
            run_peer(name, options.peers, options.python, options.store)
    own = run_own(protocol, options.seeds, options.store)
    forecasts = {OURS: own, **classical(protocol, options)}
    for name in PEERS:
        path = options.store / f"{name}.npz"
        if path.exists():
            forecasts[name] = Forecast.read(path, protocol)
        else:
            logger.warning("%s was not run: give --python", name)
    scored = {name: Scored.of(forecast, protocol) for name, forecast in forecasts.items()}
    rows = [row(name, scored) for name in scored]
    record("stocknet_protocol", rows)
    print(table(rows))


def run_peer(name: str, peers: Path, python: Path, store: Path) -> None:
    """Run one of the peers' scripts, unless its forecasts are there."""
    if (store / f"{name}.npz").exists():
        return
    script, *words = PEERS[name]
    command = [python, "-W", "ignore", ROOT / "benchmarks/peer_forecast.py", peers / script, store]
    pinned = {**os.environ, "FC_THREADS": "1", "OMP_NUM_THREADS": "1"}
    subprocess.run([*map(str, command), name, *words], check=True, env=pinned)


def classical(protocol: Protocol, options: argparse.Namespace) -> dict[str, Forecast]:
    """No change with the training part's volatility, and training drift with that of 60 days."""
    path = options.store / "rwd+vol60.npz"
    if not path.exists():
        wrapper = ROOT / "benchmarks/peer_forecast.py"
        script = options.peers / "volnaive.py"
        python = options.python or "python3"
        command = [python, wrapper, script, options.store, "each"]
        subprocess.run([*map(str, command)], check=True)
    return {
        NAIVE: Forecast(normal_fan(protocol)[None], "normal"),
        DRIFT: Forecast.read(path, protocol),
    }


def run_own(protocol: Protocol, seeds: int, store: Path) -> Forecast:
    """The project's own forecasts of the windows, by seed."""
    datamodule = own_data(protocol)
    rows = same_windows(datamodule, protocol)
    check_no_leak(datamodule, protocol)
    quantiles = forecast_by_seed(store, datamodule, seeds, datamodule, rows)
    return Forecast(quantiles, "the app's defaults")


def own_data(protocol: Protocol) -> PriceDataModule:
    """The protocol's tickers, its last 240 days the test part."""
    table = read_table(str(protocol.prices), None)
    table = table[table["Ticker"].isin(np.unique(protocol.tickers))]
    share = protocol.num_test_days / table["Date"].nunique()
    windows = WindowConfig(context_length=CONTEXT, horizons=HORIZONS, test_share=share)
    return PriceDataModule(table, windows)


def same_windows(datamodule: PriceDataModule, protocol: Protocol) -> Rows:
    """The row that each window is forecast from: the same ticker, day and outcome.

    Raises:
        ValueError: A window is not there, or something else happened in it.
    """
    history = datamodule.history
    own = pd.MultiIndex.from_arrays([np.asarray(history.tickers)[history.ticker], history.dates])
    rows = own.get_indexer(pd.MultiIndex.from_arrays([protocol.tickers, protocol.cutoffs]))
    if (rows < 0).any():
        missing = np.flatnonzero(rows < 0)[0]
        raise ValueError(f"{protocol.tickers[missing]} has no day {protocol.cutoffs[missing]}")
    outcome = target_of(history, rows, HORIZONS)
    if not np.allclose(outcome, protocol.outcome, atol=1e-5):
        raise ValueError("the windows' outcomes differ between the protocol and the project")
    return rows


def check_no_leak(datamodule: PriceDataModule, protocol: Protocol) -> None:
    """Refuse a split in which a training or validation outcome reaches into a ticker's test days.

    Raises:
        ValueError: It does.
    """
    history, fitted = datamodule.history, datamodule.fitted
    first = pd.Series(protocol.cutoffs).groupby(protocol.tickers).min()  # the last day known
    known = first.reindex(history.tickers).to_numpy()[history.ticker].astype("datetime64[D]")
    rows = np.concatenate([datamodule.rows("train"), datamodule.rows("validation")])
    late = rows[history.dates[rows + HORIZONS[-1]] > known[rows]]
    if len(late) or fitted.validation_start > known.min() or fitted.known_until > known.min():
        raise ValueError(f"{len(late)} training outcomes reach into the test days")


def row(name: str, scored: dict[str, Scored]) -> dict[str, Any]:
    """Scores of one model and how ours compares, the 95 % intervals over window dates."""
    own, it = scored[OURS], scored[name]
    against_naive, against_drift = it.ratio("mae", scored[NAIVE]), it.ratio("crps", scored[DRIFT])
    difference = own.difference("crps", it)
    low, high = ends(difference.resampled)
    verdict = (
        "-" if name == OURS else "worse" if low > 0 else "better" if high < 0 else "no different"
    )
    return {
        "model": name,
        "seeds": it.num_seeds,
        "about": it.about,
        **flat("mae_of_naive", against_naive.observed, against_naive.resampled),
        "mae_seed_half_width": it.seed_half_width("mae", scored[NAIVE]),
        "crps_1000": round(1000 * it.mean("crps"), 4),
        **flat("crps_of_drift60", against_drift.observed, against_drift.resampled),
        "crps_seed_half_width": it.seed_half_width("crps", scored[DRIFT]),
        **flat("coverage_80", it.mean("in_80"), it.difference("in_80", None).resampled),
        **flat("coverage_90", it.mean("in_90"), it.difference("in_90", None).resampled),
        "crossings": round(it.crossings, 5),
        **flat("own_crps_less_its_1000", 1000 * difference.observed, 1000 * difference.resampled),
        "ours_is": verdict,
    }


def flat(name: str, observed: float, resampled: np.ndarray) -> dict[str, float]:
    """A figure and its interval under three keys."""
    low, high = ends(resampled)
    figures = {name: observed, f"{name}_low": low, f"{name}_high": high}
    return {key: round(float(value), 4) for key, value in figures.items()}


def table(rows: list[dict[str, Any]]) -> str:
    """The rows for people."""
    names = ("mae_of_naive", "crps_of_drift60", "coverage_80", "coverage_90")
    last = "own_crps_less_its_1000"
    lines = [["model", "seeds", "crps_1000", *names, "crossings", last, "ours_is"]]
    for it in rows:
        cells = [
            f"{it[n]:.3f} [{it[f'{n}_low']:.3f}, {it[f'{n}_high']:.3f}]" for n in (*names, last)
        ]
        first = [it["model"], str(it["seeds"]), f"{it['crps_1000']:.2f}"]
        lines.append([*first, *cells[:-1], f"{it['crossings']:.4f}", cells[-1], it["ours_is"]])
    return align(lines)


if __name__ == "__main__":
    main()
