import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.kills import End, Job, stage

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_jobs_that_are_killed_end_bit_equal_and_no_champion_is_lost(tmp_path: Path) -> None:
    # In a process of its own: it forks.
    code = (
        "import json, sys; from pathlib import Path; from benchmarks.kills import kill_all;"
        "print(json.dumps(kill_all(Path(sys.argv[1]), 5, seed=int(sys.argv[2]))))"
    )
    words = [sys.executable, "-c", code, str(tmp_path), "3"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env=environment, timeout=400
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout.splitlines()[-1])
    assert {row["job"] for row in rows} == {
        f"{app} {verb}" for app in ("chatbot", "stock_forecast") for verb in ("train", "retrain")
    }
    assert sum(row["kills"] for row in rows) >= 5
    assert [(row["different"], row["broken"]) for row in rows] == [(0, 0)] * len(rows)


def test_a_job_that_ends_differently_is_found(chat, tmp_path: Path) -> None:
    job = Job("chatbot", "train", [])
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        os.symlink(chat.run, tmp_path / name / "new")
        os.symlink("new", tmp_path / name / "champion")
    history = '{"run": "new", "replaced": null}\n'
    (tmp_path / "a" / "history.jsonl").write_text(history)
    assert End.of(job, tmp_path / "a") != End.of(job, tmp_path / "b")
    assert stage(tmp_path / "a" / "new") == "ended"
    assert stage(tmp_path / "nothing") == "before"
