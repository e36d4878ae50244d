"""What retraining gains and costs: 10 % new data, and another support domain.

    python -m benchmarks.retraining --data dialogues.jsonl.gz
    python -m benchmarks.retraining --prices prices.csv.gz --seeds 3

Three trainings on one corpus: on 90 % of its training dialogues, going on from there with the other
10 %, and from scratch on all. All answer the same held-out dialogues. Then the first champion is
retrained on the support sample, another domain. Likewise of prices: on nine tickers of ten, with
the tenth, on all; all forecast the test days of all tickers. Each command's CPU seconds are those
of its process and its children. What is trained already is read again.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.record import record
from core.files import write_json
from data.dialogues import hash64

NAME = "retraining"
MOST_TIME = 0.25  # of the first training's
LEAST_SCORE = 0.98  # of the score from scratch
TEST, NEW = 0.05, 0.10  # shares of all dialogues, and of those that are no test
FAR_SHARE = 0.9  # of old replies where the new ones lie far from them
OTHER_DOMAIN = 600  # dialogues of the sample


def main() -> None:
    """Split, train, retrain, score, record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", type=Path, help="dialogues, .jsonl or .jsonl.gz")
    what.add_argument("--prices", type=Path, help="prices of many tickers, .csv or .csv.gz")
    parser.add_argument("--work", type=Path, default=Path("runs/bench-retraining"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--config", help="of `chatbot train`, such as a small model's")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    if given.prices:
        told = [measure_prices(given, seed) for seed in range(given.seeds)]
        for row in told:
            print(
                f"seed {row['seed']}: retraining took {row['time_share']:.3f} of the first "
                f"training's CPU time; CRPS over that from scratch {row['crps_ratio']:.4f}, the "
                f"first's {row['first_crps_ratio']:.4f}; promoted {row['promoted']}: "
                f"{row['reason']}"
            )
        record(NAME, told)
        return
    parts = split(given.data, given.work)
    rows = [measure(given, parts, seed) for seed in range(given.seeds)]
    for row in rows:
        print(
            f"seed {row['seed']}: retraining took {row['time_share']:.3f} of the first training's "
            f"CPU time (bound {MOST_TIME}); chrF {row['retrained']['chrf']:.2f}, from scratch "
            f"{row['scratch']['chrf']:.2f}, first {row['first']['chrf']:.2f}: "
            f"{row['score_share']:.3f} of from scratch (at least {LEAST_SCORE}); BLEU "
            f"{row['retrained']['bleu']:.2f}, {row['scratch']['bleu']:.2f}, "
            f"{row['first']['bleu']:.2f}\n"
            f"10 % new: promoted {row['promoted']}: {row['reason']}\n"
            f"other domain: promoted {row['other_domain']['promoted']}: "
            f"{row['other_domain']['reason']}"
        )
    record(NAME, rows)


def split(data: Path, work: Path) -> dict[str, Path]:
    """Files of old, new, all training and test dialogues, by conversation."""
    import gzip

    read = gzip.open if data.suffix == ".gz" else open
    with read(data, "rt", encoding="utf-8") as file:
        lines = [line for line in file if line.strip()]

    def place(line: str) -> tuple[float, float]:
        name = str(json.loads(line)["dialogue_id"])
        return hash64(f"test {name}") / 2**64, hash64(f"new {name}") / 2**64

    places = [place(line) for line in lines]
    chosen = {
        "test": [line for line, (t, _) in zip(lines, places, strict=True) if t < TEST],
        "old": [line for line, (t, n) in zip(lines, places, strict=True) if t >= TEST and n >= NEW],
        "new": [line for line, (t, n) in zip(lines, places, strict=True) if t >= TEST and n < NEW],
    }
    chosen["all"] = chosen["old"] + chosen["new"]
    paths = {name: work / f"{name}.jsonl" for name in chosen}
    for name, path in paths.items():
        path.write_text("".join(chosen[name]), encoding="utf-8")
    return paths


def measure(given: argparse.Namespace, parts: dict[str, Path], seed: int) -> dict[str, Any]:
    """All three trainings with one seed, and the other domain."""
    work = given.work / f"seed{seed}"
    more = [f"--trainer.seed={seed}", *([f"--config={given.config}"] if given.config else [])]
    first, again, scratch, other = (work / name for name in ("first", "again", "scratch", "other"))
    fits = [("train", "--data", parts["old"], "--run", first, *more)]
    fits.append(("train", "--data", parts["all"], "--run", scratch, *more))
    took = [once(run, words) for run, words in zip((first, scratch), fits, strict=True)]
    renew = ["retrain", "--run", first, "--json"]
    retrained = once(again, [*renew, "--data", parts["new"], "--out", again])
    sample = work / "sample.jsonl"
    write_sample(sample)
    far = ["--data", sample, "--out", other, f"--old_share={FAR_SHARE}"]
    moved = once(other, [*renew, *far])
    scores = {
        name: score(run, parts["test"])
        for name, run in (("first", first), ("retrained", again), ("scratch", scratch))
    }
    decision, other_decision = retrained["answer"], moved["answer"]
    return {
        "seed": seed,
        "data": given.data.name,
        **scores,
        "cpu_seconds": {
            "first": took[0]["cpu_seconds"],
            "scratch": took[1]["cpu_seconds"],
            "retrained": retrained["cpu_seconds"],
            "other_domain": moved["cpu_seconds"],
        },
        "time_share": retrained["cpu_seconds"] / took[0]["cpu_seconds"],
        "score_share": scores["retrained"]["chrf"] / scores["scratch"]["chrf"],
        "promoted": decision["promoted"],
        "reason": decision["reason"],
        "other_domain": {
            "promoted": other_decision["promoted"],
            "reason": other_decision["reason"],
            "old": other_decision["old"],
            "new": other_decision["new"],
        },
    }


def measure_prices(given: argparse.Namespace, seed: int) -> dict[str, Any]:
    """The same of prices: nine tickers of ten, the tenth, all."""
    import pandas as pd

    work = given.work / f"prices-seed{seed}"
    work.mkdir(parents=True, exist_ok=True)
    prices = pd.read_csv(given.prices)
    names = sorted(prices["Ticker"].unique())
    parts = {name: work / f"{name}.csv" for name in ("old", "all")}
    prices[~prices["Ticker"].isin(names[::10])].to_csv(parts["old"], index=False)
    prices.to_csv(parts["all"], index=False)
    more = [f"--trainer.seed={seed}"]
    first, again, scratch = (work / name for name in ("first", "again", "scratch"))
    words = ["train", "--run", first, "--data", parts["old"], *more]
    took = once(first, words, "stock_forecast")
    once(scratch, ["train", "--run", scratch, "--data", parts["all"], *more], "stock_forecast")
    words = ["retrain", "--run", first, "--data", parts["all"], "--out", again, "--json", *more]
    retrained = once(again, [*words, "--trainer.max_epochs=3"], "stock_forecast")
    crps = {}
    for run in (first, again, scratch):
        options = ("--run", str(run), "--data", str(parts["all"]), "--json")
        found = json.loads(command("evaluate", *options, app="stock_forecast")[0])
        crps[run.name] = found["crps"]

    def ratio(name: str) -> float:
        own = [crps[name][h] / crps["scratch"][h] for h in crps["scratch"]]
        return sum(own) / len(own)

    return {
        "seed": seed,
        "data": given.prices.name,
        "crps": crps,
        "crps_ratio": ratio("again"),
        "first_crps_ratio": ratio("first"),
        "time_share": retrained["cpu_seconds"] / took["cpu_seconds"],
        "promoted": retrained["answer"]["promoted"],
        "reason": retrained["answer"]["reason"],
    }


def once(run: Path, words: Sequence[object], app: str = "chatbot") -> dict[str, Any]:
    """Run a command that writes a run, unless it was run to its end already: time and answer."""
    note = run.with_name(f"{run.name}.took.json")
    if note.exists():
        return json.loads(note.read_text())
    verb, *options = map(str, words)
    if (run / "started.json").exists():
        options.append("--resume")
    out, seconds, cpu_seconds = command(verb, *options, app=app)
    took = {"seconds": seconds, "cpu_seconds": cpu_seconds}
    took["answer"] = json.loads(out) if out.strip() else None
    write_json(note, took)
    return took


def score(run: Path, test: Path) -> dict[str, Any]:
    """What a run's replies to the held-out dialogues are worth."""
    note = run.with_name(f"{run.name}.score.json")
    if not note.exists():
        found = json.loads(command("evaluate", "--run", str(run), "--data", str(test), "--json")[0])
        names = ("num_pairs", "perplexity", "bleu", "chrf", "intervals", "handoff_rate")
        write_json(note, {name: found[name] for name in names})
    return json.loads(note.read_text())


def command(verb: str, *options: str, app: str = "chatbot") -> tuple[str, float, float]:
    """Run a command on one thread: standard output, wall seconds, CPU seconds."""
    words = [sys.executable, "-m", f"apps.{app}", verb, *options]
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        words, stdout=subprocess.PIPE, text=True, check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, time.perf_counter() - started, cpu


def write_sample(path: Path) -> None:
    """Some dialogues of the support sample, evenly spread over it."""
    from data.support_sample import generate_dialogues

    made = list(generate_dialogues())
    kept = made[:: max(len(made) // OTHER_DOMAIN, 1)][:OTHER_DOMAIN]
    lines = [json.dumps({k: v for k, v in one.items() if k != "part"}) for one in kept]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
