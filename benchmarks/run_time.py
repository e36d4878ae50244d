"""Wall time and peak memory of what a newcomer runs: `make run`, `make test`, `--help`."""

import argparse
import os
import resource
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.record import record

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "chatbot --help": [".venv/bin/chatbot", "--help"],
    "stock-forecast --help": [".venv/bin/stock-forecast", "--help"],
    "make run": ["make", "run"],
    "make test": ["make", "test"],
}


def main() -> None:
    """Run each command once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="*", default=list(COMMANDS), help="which, by name")
    for name in parser.parse_args().commands:
        record("run_time", [{"command": name, **measure(COMMANDS[name])}])


def measure(command: list[str]) -> dict[str, Any]:
    """Wall seconds, CPU seconds and the largest sum of resident memory of the process tree."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peaks = [0]
    watcher = threading.Thread(target=_watch, args=(process, peaks), daemon=True)
    watcher.start()
    status = process.wait()
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "exit_code": status,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 1),
        "peak_gib": round(peaks[0] / 2**30, 2),
    }


def _watch(process: subprocess.Popen[bytes], peaks: list[int]) -> None:
    """Sum the resident memory of the process and its descendants, five times a second."""
    page = os.sysconf("SC_PAGE_SIZE")
    while process.poll() is None:
        parents, resident = {}, {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                resident[int(entry.name)] = int((entry / "statm").read_text().split()[1]) * page
            except (OSError, IndexError):
                continue  # it ended while being read
            parents[int(entry.name)] = int(fields[1])
        tree, grown = {process.pid}, True
        while grown:
            children = {pid for pid, parent in parents.items() if parent in tree} - tree
            tree |= children
            grown = bool(children)
        peaks[0] = max(peaks[0], sum(resident.get(pid, 0) for pid in tree))
        time.sleep(0.2)


if __name__ == "__main__":
    main()
