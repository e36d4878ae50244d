"""Several processes that train together end as one does; each test starts real processes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

import core.loading
from core.loading import BatchLoader
from core.processes import RUN_VARIABLE, named_run, wait_for
from core.resuming import RandomState
from core.runs import begin_run
from tests.conftest import TINY_PRICES, write_dialogues, write_prices

BIN = Path(sys.executable).parent
STEPS = [
    "--text.vocab_size=400",
    "--text.batch_size=16",
    "--model.hidden_size=24",
    "--model.embedding_size=24",
    "--model.dropout=0",
    "--trainer.max_epochs=2",
    "--trainer.precision=32-true",
    "--trainer.checkpoint_steps=3",
    "--trainer.progress=false",
]
TWO = ["--trainer.devices=2", "--trainer.strategy=ddp"]


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != RUN_VARIABLE}
    return {**kept, "OMP_NUM_THREADS": "1"}


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [str(word) for word in words]
    return subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=False, timeout=240
    )


def largest_difference(first: Path, second: Path) -> float:
    one, two = (load_file(path / "model.safetensors") for path in (first, second))
    assert one.keys() == two.keys()
    return max(float((one[name] - two[name]).abs().max()) for name in one)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven batches of 16 an epoch, with lengths that differ between the processes."""
    return write_dialogues(tmp_path_factory.mktemp("data") / "d.jsonl", 130)


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("alone") / "run"
    done = run(BIN / "chatbot", "train", "--data", data, "--run", path, *STEPS)
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.slow
def test_two_processes_forecast_what_one_does(tmp_path: Path) -> None:
    prices = write_prices(tmp_path / "prices.csv")
    words = [BIN / "stock-forecast", "train", "--data", prices, *TINY_PRICES]
    words += ["--model.dropout=0", "--trainer.precision=32-true", "--windows.batch_size=31"]
    for name, more in (("one", []), ("two", TWO)):
        done = run(*words, "--run", tmp_path / name, *more)
        assert done.returncode == 0, done.stderr
    assert largest_difference(tmp_path / "one", tmp_path / "two") < 1e-5


@pytest.mark.slow
def test_torchrun_starts_them_too(alone: Path, data: Path, tmp_path: Path) -> None:
    words = [BIN / "torchrun", "--standalone", "--nproc-per-node=2", "--"]
    words += [BIN / "chatbot", "train"]
    done = run(*words, "--data", data, "--run", tmp_path / "run", *STEPS, *TWO)
    assert done.returncode == 0, done.stderr
    assert largest_difference(alone, tmp_path / "run") < 1e-5


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces joined by a cable, as two hosts with one disk."""
    names = (f"suite-a{os.getpid()}", f"suite-b{os.getpid()}")
    cable = (f"sa{os.getpid()}", f"sb{os.getpid()}")
    if shutil.which("ip") is None:
        pytest.skip("no `ip` command: no network namespaces on this machine")
    steps = [["ip", "link", "add", cable[0], "type", "veth", "peer", "name", cable[1]]]
    for number, (name, end) in enumerate(zip(names, cable, strict=True), 1):
        inside = ["ip", "netns", "exec", name, "ip"]
        steps += [
            ["ip", "netns", "add", name],
            ["ip", "link", "set", end, "netns", name],
            [*inside, "addr", "add", f"10.77.0.{number}/24", "dev", end],
            [*inside, "link", "set", end, "up"],
            [*inside, "link", "set", "lo", "up"],
        ]
    try:
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"this machine makes no network namespaces: {done.stderr.strip()}")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", cable[0]], capture_output=True, check=False)


@pytest.mark.slow
def test_two_hosts_learn_what_one_learns(
    alone: Path, data: Path, tmp_path: Path, hosts: tuple[str, str]
) -> None:
    path, port = tmp_path / "run", 29511
    words = ["--data", data, "--run", path, *STEPS]
    words += ["--trainer.num_nodes=2", "--trainer.strategy=ddp"]
    processes = []
    for rank, host in enumerate(hosts):
        launch = ["ip", "netns", "exec", host, BIN / "torchrun", "--nnodes=2", "--nproc-per-node=1"]
        launch += [f"--node-rank={rank}", "--master-addr=10.77.0.1", f"--master-port={port}"]
        command = [str(word) for word in (*launch, "--", BIN / "chatbot", "train", *words)]
        end = f"s{'ab'[rank]}{os.getpid()}"
        own = {**environment(), "GLOO_SOCKET_IFNAME": end, "TP_SOCKET_IFNAME": end}
        processes.append(
            subprocess.Popen(command, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        )
    for process in processes:
        _, error = process.communicate(timeout=240)
        assert process.returncode == 0, error.decode()
    assert largest_difference(alone, path) < 1e-5


@pytest.mark.slow
def test_two_processes_that_were_killed_go_on_bit_equal(data: Path, tmp_path: Path) -> None:
    # With dropout: each has random states of its own.
    words = [BIN / "chatbot", "train", "--data", data, *STEPS, *TWO, "--model.dropout=0.3"]
    whole = run(*words, "--run", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    assert whole.stderr.count("training part:") == 1  # the second process keeps quiet
    path = tmp_path / "killed"
    command = [str(word) for word in (*words, "--run", path)]
    process = subprocess.Popen(
        command, env=environment(), stderr=subprocess.DEVNULL, start_new_session=True
    )
    checkpoint = path / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (path / "manifest.json").exists(), "it had ended before it was killed"
    resumed = run(*words, "--run", path, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert largest_difference(tmp_path / "whole", path) == 0


def test_a_training_of_two_is_not_gone_on_with_by_one(data: Path, tmp_path: Path, command) -> None:
    path = tmp_path / "run"
    begin_run(path, {"trainer": {"devices": 2}}, "ab")
    (path / "checkpoints").mkdir()
    done = command("chatbot", "train", "--data", data, "--run", path, "--resume", *STEPS)
    assert done.code == 2
    assert "when the training began" in done.err
    state = RandomState()
    with pytest.raises(ValueError, match="had 2 processes, now there are 1"):
        state.load_state_dict({"processes": [{}, {}]})


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_shares_of_a_batch_are_the_batch(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def shares(is_training: bool) -> list[list[np.ndarray]]:
        found = []
        for rank in range(size):
            monkeypatch.setattr(core.loading, "share", lambda rank=rank: (rank, size))
            loader = BatchLoader(plan, lambda rows: rows, 3, is_training=is_training)
            batches = list(loader)
            assert len(batches) == len(loader)
            found.append(batches)
        return found

    def plan(generator: np.random.Generator) -> list[np.ndarray]:
        return np.split(generator.permutation(45), [8, 16, 24, 32, 40])  # the last has five

    monkeypatch.setattr(core.loading, "share", lambda: (0, 1))
    whole = list(BatchLoader(plan, lambda rows: rows, 3))
    whole = [batch for batch in whole if len(batch) >= size]
    for batch, *parts in zip(whole, *shares(True), strict=True):
        assert sorted(np.concatenate(parts)) == sorted(batch)
        assert min(map(len, parts)) > 0
    validated = [row for batches in shares(False) for batch in batches for row in batch]
    times = 1 if size <= 6 else size  # too few batches for all: each validates the whole
    assert sorted(validated) == sorted(list(range(45)) * times)


def test_processes_that_nobody_told_where_to_write_say_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="give --run"):
        named_run(None, {})
    assert named_run(None, {RUN_VARIABLE: "x"}) == Path("x")
    monkeypatch.setattr("core.processes.PATIENCE", 0.1)
    with pytest.raises(TimeoutError, match="share the disk"):
        wait_for(tmp_path / "never")


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--trainer.devices=2"], "several processes need strategy=ddp"),
        (["--trainer.devices=0"], "must be at least 1"),
        ([*TWO, "--trainer.cpu_minutes=1"], "cpu_minutes=0"),
    ],
)
def test_what_cannot_be_shared_is_refused(words, match, data, tmp_path, command) -> None:
    done = command("chatbot", "train", "--data", data, "--run", tmp_path / "run", *words)
    assert done.code == 2
    assert match in done.err
