"""Does a GRU forecast further ahead than a vanilla RNN? Raw days in, 1 to 60 days ahead out.

Contexts of 20 to 250 trading days of return, range and volume change alone; the fan that a network
corrects has one width per ticker, so that what is known of today's volatility is what the network
has kept of the past. Training days, test days and the number of steps are the same for every run.
Reads ../shared/data/stocknet/prices.csv.gz, or the sample where that is absent. Goes on where it
stopped: a row counts while the code that decides it is unchanged.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.long_horizon_data import CONTEXTS, GROUPS, Task, baselines, prepare
from benchmarks.long_horizon_picture import draw
from benchmarks.long_horizon_report import report
from benchmarks.long_horizon_runs import RATES, STEPS, VARIANTS, Job, measure
from benchmarks.record import record, standing
from core.comparison import align
from core.memory import keep_freed_memory

DECIDES = (
    "benchmarks/long_horizon_data.py",
    "benchmarks/long_horizon_runs.py",
    "core/nn/forecaster.py",
    "core/nn/gru.py",
    "core/nn/initialization.py",
    "core/nn/linear_encoder.py",
    "core/nn/quantile_heads.py",
    "core/clipping.py",
)
PICTURE = Path(__file__).parents[1] / "docs" / "long_horizon.svg"
RATE_SEED = 100


def main() -> None:
    """Train what is not on record; print the tables and the finding, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--contexts", nargs="+", type=int, choices=CONTEXTS, default=CONTEXTS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument(
        "--rates",
        action="store_true",
        help="only score RATES on the validation part; the choice was made with --contexts 60",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    task = prepare()
    if options.rates:
        print(rate_table(task, options.names, options.contexts, options.steps))
        return
    rows = [row for row in standing("long_horizon", DECIDES) if row["steps"] == options.steps]
    done = {(row["name"], row["context"], row["seed"]) for row in rows}
    for seed in range(options.seeds):  # seed by seed, so that what is done is comparable
        for context in options.contexts:
            for name in options.names:
                if (name, context, seed) not in done:
                    job = Job(name=name, context=context, seed=seed, steps=options.steps)
                    rows.append(measure(task, job))
                    record("long_horizon", rows[-1:], DECIDES)
    fans = {part: baselines(task, part) for part in ("train", "test")}
    print(report(rows, fans))
    draw(rows, fans["test"], PICTURE)


def rate_table(task: Task, names: Sequence[str], contexts: Sequence[int], steps: int) -> str:
    """CRPS on the validation part by learning rate, of a seed that no other run has."""
    lines = [["variant", "rate", "context", *(f"validation CRPS {group}" for group in GROUPS)]]
    for name, fan in baselines(task, "validation").items():
        lines.append([name, "-", "-", *(f"{fan[group]:.3f}" for group in GROUPS)])
    for context in contexts:
        for name in names:
            for rate in RATES:
                job = Job(
                    name=name, context=context, seed=RATE_SEED, steps=steps, learning_rate=rate
                )
                row = measure(task, job, "validation")
                scores = [row.get(f"validation {group}", float("nan")) for group in GROUPS]
                cells = [name, f"{rate:g}", str(context), *(f"{score:.3f}" for score in scores)]
                lines.append(cells)
    return align(lines)


if __name__ == "__main__":
    main()
