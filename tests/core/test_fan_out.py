import logging
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from core import fan_out as module
from core.cli import guarded
from core.fan_out import check_workers, fan_out
from core.progress import progress

POOLS = ["2", pytest.param("ray", marks=pytest.mark.slow)]
ITEMS = {"one": 1, "two": 2, "three": 3, "four": 4}


@pytest.fixture(params=POOLS)
def workers(request: pytest.FixtureRequest) -> str:
    if request.param == "ray":
        pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    return str(request.param)


def noisy_square(number: int) -> tuple[int, int, int]:
    """Of the process, too, and its threads; the first one takes longest."""
    logging.getLogger("worker").info("doing %d", number)
    print("on standard output")
    with progress("a bar of its own", 1) as advance:
        advance(1)
    time.sleep(0.4 if number == 1 else 0.1)
    return number**2, os.getpid(), torch.get_num_threads()


def refuse(number: int) -> int:
    if number == 2:
        raise ValueError("number=2 must be odd")
    return number


def die(number: int) -> int:
    """Kill the worker at the third item."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60 if number == 4 else 0)
    return number


class Counted:
    """Knows how often it was opened in this process."""

    opened = 0

    def __reduce__(self) -> tuple[object, ...]:
        return Counted.open, ()

    @classmethod
    def open(cls) -> "Counted":
        cls.opened += 1
        return cls()

    def times(self, _: int) -> int:
        return self.opened


def test_results_come_in_order_and_nothing_but_the_log_is_heard(
    workers: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture
) -> None:
    caplog.set_level("INFO")
    found = fan_out(noisy_square, ITEMS, workers, tmp_path)
    assert [square for square, _, _ in found] == [1, 4, 9, 16]
    assert os.getpid() not in {pid for _, pid, _ in found}
    assert {threads for _, _, threads in found} == {1}
    said = [record.getMessage() for record in caplog.records if record.name == "worker"]
    assert sorted(said) == ["doing 1", "doing 2", "doing 3", "doing 4"]
    out, err = capfd.readouterr()
    assert out == ""
    assert "a bar of its own" not in err
    assert "tasks" in err


def test_what_a_worker_refuses_comes_out_as_it_is(workers: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^number=2 must be odd$"):
        fan_out(refuse, ITEMS, workers, tmp_path)


def test_a_killed_worker_is_told_in_one_line_with_what_to_do(
    workers: str, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as ended:
        guarded("tool", lambda: fan_out(die, ITEMS, workers, tmp_path / "c") and None)
    out, err = capfd.readouterr()
    assert (ended.value.code, out) == (2, "")
    last = err.splitlines()[-1]
    assert last.startswith("tool: a worker died")
    assert "three" in last
    assert f"call again with --run {tmp_path / 'c'} to go on" in last


def test_what_tasks_share_is_opened_once_in_a_worker(tmp_path: Path) -> None:
    assert fan_out(Counted().times, ITEMS, "2", tmp_path) == [1, 1, 1, 1]


def test_workers_divide_the_threads(tmp_path: Path) -> None:
    torch.set_num_threads(4)
    try:
        found = fan_out(noisy_square, ITEMS, "2", tmp_path)
    finally:
        torch.set_num_threads(1)
    assert {threads for _, _, threads in found} == {2}


@pytest.mark.parametrize(("workers", "items"), [("1", ITEMS), ("4", {"one": 1})])
def test_one_worker_and_one_task_stay_in_this_process(
    workers: str, items: dict[str, int], tmp_path: Path
) -> None:
    found = fan_out(noisy_square, items, workers, tmp_path)
    assert {pid for _, pid, _ in found} == {os.getpid()}


@pytest.mark.parametrize("workers", ["0", 0, "-1", -1, "many", "", "1.5", "²", "Ray"])
def test_a_wrong_number_of_workers_is_named(workers: int | str) -> None:
    with pytest.raises(ValueError, match=r"must be a whole number above 0 .* or ray") as error:
        check_workers(workers)
    assert f"workers={workers!r}" in str(error.value)


def test_without_ray_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'recurrent-suite\[ray\]'"):
        check_workers("ray")


SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from functools import partial
from pathlib import Path
from core.cli import guarded
from core.fan_out import fan_out
code = "import pathlib, time; pathlib.Path({!r}, {!r}).touch(); time.sleep(60)"
items = {name: code.format(sys.argv[1], name) for name in "abc"}
guarded("tool", partial(fan_out, exec, items, "2", Path("c")))
"""


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_no_worker_outlives_who_started_it(sent: int, code: int, tmp_path: Path) -> None:
    started = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    of_group = partial(subprocess.run, ["pgrep", "-g", str(started.pid)], capture_output=True)
    while len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.1)
    # A terminal's Ctrl-C reaches the whole group; a kill one process.
    os.killpg(started.pid, sent) if sent == signal.SIGINT else os.kill(started.pid, sent)
    _, err = started.communicate(timeout=30)
    assert started.returncode == code
    if sent == signal.SIGINT:
        assert err == "tool: interrupted\n"
    deadline = time.monotonic() + 20
    while of_group().stdout:
        assert time.monotonic() < deadline
        time.sleep(0.1)
