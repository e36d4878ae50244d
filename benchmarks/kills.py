"""Kill trainings and retrainings at random moments, resume them, and compare with nobody's killing.

    python -m benchmarks.kills --kills 200

Each job (`train` and `retrain` of both apps) first runs undisturbed. Then it runs again in an empty
folder and gets SIGKILL, again and again, until it comes through: half of the times at a moment
drawn evenly over the undisturbed time, half of the times just before a file is opened to be
written, renamed, linked or removed in the folder of runs, drawn evenly over all that were. Every
kill must leave a champion that loads; the end must be the same weights, bit for bit,
the same manifest but for its time, and the same champion and history.

A job runs in a fork of this process.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.record import record
from core.champions import history
from core.cli import call, quiet_libraries
from core.progress import progress
from core.runs import load_run

NAME = "kills"
CHAT = [
    "--text.vocab_size=400", "--text.batch_size=16", "--model.hidden_size=24",
    "--model.embedding_size=24", "--trainer.max_epochs=4", "--trainer.checkpoint_steps=3",
    "--trainer.progress=false", "--decoding.beam_size=2", "--optim.learning_rate=0.02",
]  # fmt: skip
STOCK = [
    "--windows.context_length=20", "--windows.horizons=[1,5]", "--model.hidden_size=8",
    "--trainer.max_epochs=2", "--trainer.checkpoint_steps=3", "--trainer.progress=false",
    "--windows.batch_size=64",
]  # fmt: skip
MOST_KILLS = 6  # of one job: then it is left in peace


@dataclass(frozen=True)
class Job:
    """A command that writes a run.

    Attributes:
        app: Whose.
        verb: `train` or `retrain`.
        words: Its options but for the run folder.
        base: What stands in the folder of runs before.
    """

    app: str
    verb: str
    words: Sequence[str]
    base: Path | None = None

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.app} {self.verb}"

    def prepare(self, runs: Path) -> None:
        """Lay out the folder of runs."""
        if self.base is None:
            runs.mkdir(parents=True)
        else:
            shutil.copytree(self.base, runs, symlinks=True)

    def run(self, runs: Path) -> None:
        """Do it, or go on with it, in this process."""
        module = "train" if self.verb == "train" else "retrain"
        function = getattr(import_module(f"apps.{self.app}.{module}"), self.verb)
        path = runs / "new"
        place = ["--run", str(path)]
        if self.verb == "retrain":
            place = ["--run", str(runs / "first"), "--out", str(path)]
        is_begun = (path / "started.json").exists() or (path / "manifest.json").exists()
        call(function, [*self.words, *place, *(["--resume"] if is_begun else [])], self.name)


@dataclass(frozen=True)
class End:
    """What a job left: hashes of every file that counts, the champion, and the history's runs."""

    files: dict[str, str]
    champion: str
    promoted: list[tuple[str, str | None]]

    @classmethod
    def of(cls, job: Job, runs: Path) -> "End":
        """Read it.

        Raises:
            ValueError: Something is broken.
            OSError: Something is missing.
        """
        opened = load_run(runs / "new", job.app)
        load_run(runs / "champion", job.app)
        # Seconds and paths differ from one time to the next, and the card tells the seconds.
        files = {k: v for k, v in opened.manifest["files"].items() if k not in VARYING}
        lines = [(entry["run"], entry["replaced"]) for entry in history(runs)]
        return cls(files, os.readlink(runs / "champion"), lines)


VARYING = ("metrics.json", "card.md", "config.yaml", "data_report.json")
WRITES = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.truncate")


def main() -> None:
    """Kill, resume, compare, record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = kill_all(Path(folder), given.kills, given.seed)
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    record(NAME, rows)
    if any(row["different"] or row["broken"] for row in rows):
        sys.exit(1)


def kill_all(folder: Path, kills: int, seed: int = 0) -> list[dict[str, Any]]:
    """Kill so many times, evenly over the jobs; a row for each job."""
    torch.set_num_threads(1)
    quiet_libraries()
    for app in ("chatbot", "stock_forecast"):
        import_module(f"apps.{app}.retrain")  # so that a kill strikes work and not the imports
    chances = random.Random(seed)
    jobs = make_jobs(folder)
    each = -(-kills // len(jobs))
    with progress("kills", each * len(jobs)) as advance:
        return [kill_job(job, folder / job.name, each, chances, advance) for job in jobs]


def kill_job(
    job: Job, folder: Path, kills: int, chances: random.Random, advance: Callable[[int], None]
) -> dict[str, Any]:
    """Kill one job so many times."""
    whole = folder / "whole"
    job.prepare(whole)
    started = time.perf_counter()
    noted = folder / "events"
    in_fork(lambda: strike_at(None, whole, noted, job))
    seconds = time.perf_counter() - started
    events = int(noted.read_text())
    expected = End.of(job, whole)
    counts: dict[str, Any] = {"kills": 0, "ends": 0, "different": 0, "broken": 0}
    struck = {"before": 0, "preparing": 0, "training": 0, "ending": 0, "ended": 0}
    while counts["kills"] < kills:
        runs = folder / f"killed-{counts['ends']}"
        job.prepare(runs)
        here = 0
        while True:
            if here == MOST_KILLS or counts["kills"] >= kills:
                is_through = in_fork(partial(job.run, runs))
            elif chances.random() < 0.5:
                is_through = in_fork(partial(job.run, runs), chances.uniform(0, seconds))
            else:
                event = chances.randrange(events)
                is_through = in_fork(partial(strike_at, event, runs, noted, job))
            if is_through:
                break
            here += 1
            counts["kills"] += 1
            struck[stage(runs / "new")] += 1
            counts["broken"] += not is_sound(job, runs)
            advance(1)
        try:
            counts["different"] += End.of(job, runs) != expected
        except (OSError, ValueError) as error:
            print(f"{job.name}: {error}", file=sys.stderr)
            counts["broken"] += 1
        counts["ends"] += 1
        if not (counts["different"] or counts["broken"]):
            shutil.rmtree(runs)
    return {"job": job.name, **counts, "seconds": round(seconds, 2), "events": events, **struck}


def strike_at(event: int | None, runs: Path, noted: Path, job: Job) -> None:
    """Do a job, and kill this process before its file event of that number; None counts them."""
    seen = 0
    folder = str(runs.resolve())

    def watch(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if name not in WRITES or not any(folder in str(one) for one in arguments[:2]):
            return
        if name == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            return
        if seen == event:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    sys.addaudithook(watch)
    job.run(runs)
    if event is None:
        noted.write_text(str(seen))


def stage(run: Path) -> str:
    """How far a killed job had come."""
    if (run / "manifest.json").exists():
        return "ended"
    if (run / "model.safetensors").exists() or (run / "card.md").exists():
        return "ending"
    if (run / "checkpoints").exists():
        return "training"
    return "preparing" if run.exists() else "before"


def is_sound(job: Job, runs: Path) -> bool:
    """Whether the champion, where there was one, is there and loads, and the history reads."""
    try:
        names = [entry["run"] for entry in history(runs)]
        if job.base is not None or (runs / "champion").is_symlink():
            run = load_run(runs / "champion", job.app)
            return run.path.name in names
    except (OSError, ValueError) as error:
        print(f"{job.name}: {error}", file=sys.stderr)
        return False
    return True


def in_fork(work: Callable[[], None], delay: float | None = None) -> bool:
    """Do something in a child, which is killed after so many seconds; whether it ended well.

    Raises:
        RuntimeError: It failed by itself.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            if "KILLS_VERBOSE" not in os.environ:
                os.dup2(silence, 2)
            work()
            code = 0
        except BaseException as error:
            os.write(3 if "KILLS_VERBOSE" in os.environ else 1, f"{error}\n".encode())
        finally:
            os._exit(code)
    if delay is not None:
        deadline = time.monotonic() + delay
        while time.monotonic() < deadline:
            if os.waitpid(child, os.WNOHANG)[0]:
                return True
            time.sleep(0.001)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False
    if os.WEXITSTATUS(status):
        raise RuntimeError("the job failed by itself; KILLS_VERBOSE=1 shows what it says")
    return True


def make_jobs(folder: Path) -> list[Job]:
    """The four jobs, with data and first runs for those that retrain."""
    old, new = folder / "old.jsonl", folder / "new.jsonl"
    write_dialogues(old, "order", 60)
    write_dialogues(new, "parcel", 60)
    before, after = folder / "before.csv", folder / "after.csv"
    write_prices(before, 300)
    write_prices(after, 420)
    chat = Job("chatbot", "train", ["--data", str(old), *CHAT])
    stock = Job("stock_forecast", "train", ["--data", str(before), *STOCK])
    bases = []
    for job in (chat, stock):
        base = folder / "bases" / job.app
        job.prepare(base)
        in_fork(partial(job.run, base))
        (base / "new").rename(base / "first")
        lines = (base / "history.jsonl").read_text().replace('"run": "new"', '"run": "first"')
        (base / "history.jsonl").write_text(lines)
        (base / "champion").unlink()
        (base / "champion").symlink_to("first")
        bases.append(base)
    more = ["--epochs=4", "--learning_rate=0.02"]
    again = ["--trainer.max_epochs=2", "--trainer.checkpoint_steps=3", "--trainer.progress=false"]
    return [
        chat,
        Job("chatbot", "retrain", ["--data", str(new), *more], bases[0]),
        stock,
        Job("stock_forecast", "retrain", ["--data", str(after), *again], bases[1]),
    ]


def write_dialogues(path: Path, word: str, count: int) -> None:
    """Questions after a thing, and answers that repeat its number."""
    chances = random.Random(word)
    lines = []
    for number in range(count):
        thing = chances.choice(["kettle", "phone", "lamp", "chair"])
        name = f"{word} 402-{chances.randrange(10**6, 10**7)}-{chances.randrange(10**6, 10**7)}"
        said = [("user", f"where is my {thing}, {name}"), ("agent", f"your {thing}, {name}, comes")]
        turns = [{"speaker": speaker, "text": text} for speaker, text in said]
        lines.append(json.dumps({"dialogue_id": f"{word}-{number}", "turns": turns}))
    path.write_text("\n".join(lines) + "\n")


def write_prices(path: Path, days: int) -> None:
    """Two random walks; more days begin as fewer do."""
    frames = []
    for seed, ticker in enumerate("AB"):
        steps = np.random.default_rng(seed).standard_normal(1000)[:days]
        close = 50 * np.exp(np.cumsum(0.01 * steps))
        columns = {"Open": close, "High": 1.01 * close, "Low": 0.99 * close, "Close": close}
        dates = pd.bdate_range("2015-01-05", periods=days).strftime("%Y-%m-%d")
        frame = {"Ticker": ticker, "Date": dates, **columns, "Adj Close": close, "Volume": 1000}
        frames.append(pd.DataFrame(frame))
    pd.concat(frames).to_csv(path, index=False)


if __name__ == "__main__":
    main()
