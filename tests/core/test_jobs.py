import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core import jobs

WORKS = """
import time
from pathlib import Path

def count(seconds: float, fail: str = "") -> dict[str, float]:
    '''Wait.

    Args:
        seconds: How long.
        fail: What to fail with.
    '''
    print("counting", flush=True)
    time.sleep(seconds)
    if fail == "value":
        raise ValueError("the file x is broken;\\nmend it")
    if fail == "other":
        raise RuntimeError("what nobody foresaw")
    return {"seconds": seconds}
"""
TARGET = "job_of_a_test:count"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "job_of_a_test.py").write_text(WORKS)
    paths = [str(tmp_path), str(Path(jobs.__file__).parents[1])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    yield tmp_path / "job"
    jobs.cancel(tmp_path / "job")


def wait(folder, seconds=30.0):
    deadline = time.monotonic() + seconds
    while jobs.is_running(folder):
        assert time.monotonic() < deadline, "the job did not end"
        time.sleep(0.05)
    return jobs.status(folder)


def test_without_a_job_there_is_none(tmp_path):
    assert jobs.status(tmp_path / "job").state == "none"
    assert not jobs.is_running(tmp_path / "job")


def test_a_job_gives_what_its_function_returned_and_clears_up(folder, tmp_path):
    upload = tmp_path / "upload.csv"
    upload.write_text("x")
    assert jobs.start(folder, TARGET, ["--seconds=0"], "wait", [upload])
    ended = wait(folder)
    assert (ended.state, ended.kind, ended.result) == ("done", "wait", {"seconds": 0.0})
    assert ended.words == ("--seconds=0",)
    assert not upload.exists()


def test_there_is_only_one_at_a_time_whoever_asks(folder):
    assert jobs.start(folder, TARGET, ["--seconds=60"], "first")
    assert not jobs.start(folder, TARGET, ["--seconds=0"], "second")
    ask = f"from core import jobs; from pathlib import Path; f = Path({str(folder)!r}); "
    ask += f"print(jobs.is_running(f), jobs.start(f, {TARGET!r}, [], 'third'))"
    other = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert other.stdout.split() == ["True", "False"]
    assert jobs.status(folder).kind == "first"


def test_a_job_outlives_the_process_that_started_it(folder):
    begin = f"from core import jobs; from pathlib import Path; f = Path({str(folder)!r}); "
    begin += f"jobs.start(f, {TARGET!r}, ['--seconds=1'], 'orphan')"
    subprocess.run([sys.executable, "-c", begin], check=True)
    assert jobs.is_running(folder)
    assert wait(folder).state == "done"


def test_what_can_be_mended_is_told_in_one_line(folder):
    jobs.start(folder, TARGET, ["--seconds=0", "--fail=value"], "wait")
    ended = wait(folder)
    assert (ended.state, ended.message) == ("failed", "the file x is broken; mend it")


def test_a_refused_argument_is_told(folder):
    jobs.start(folder, TARGET, ["--minutes=0"], "wait")
    ended = wait(folder)
    assert ended.state == "failed"
    assert "minutes" in ended.message


def test_an_error_that_nobody_foresaw_leaves_its_traceback_in_the_log(folder):
    jobs.start(folder, TARGET, ["--seconds=0", "--fail=other"], "wait")
    ended = wait(folder)
    assert ended.state == "failed"
    assert "what nobody foresaw" in ended.message
    assert "Traceback" in (folder / "log.txt").read_text()


def test_a_cancelled_job_is_gone_and_another_can_start(folder, tmp_path):
    upload = tmp_path / "upload.csv"
    upload.write_text("x")
    jobs.start(folder, TARGET, ["--seconds=60"], "wait", [upload])
    while jobs.status(folder).message != "counting":
        time.sleep(0.05)
    jobs.cancel(folder)
    assert not jobs.is_running(folder)
    assert jobs.status(folder).state == "cancelled"
    assert not upload.exists()
    assert jobs.start(folder, TARGET, ["--seconds=0"], "wait")
    assert wait(folder).state == "done"


def test_a_killed_job_is_told_as_failed(folder):
    jobs.start(folder, TARGET, ["--seconds=60"], "wait")
    pid = jobs._read(folder / jobs.SPEC)["pid"]
    os.killpg(pid, signal.SIGKILL)
    ended = wait(folder)
    assert ended.state == "failed"
    assert "killed" in ended.message


def test_a_read_outcome_is_forgotten_and_a_running_job_is_not(folder):
    jobs.start(folder, TARGET, ["--seconds=60"], "wait")
    jobs.forget(folder)
    assert jobs.status(folder).state == "running"
    jobs.cancel(folder)
    jobs.forget(folder)
    assert jobs.status(folder).state == "none"
