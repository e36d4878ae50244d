"""Ctrl-C, a full disk and a folder that may not be written: real processes."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.cli import _one_line
from core.runs import load_run
from tests.conftest import write_dialogues

BIN = Path(sys.executable).parent
OPTIONS = [
    "--text.vocab_size=400",
    "--text.batch_size=8",
    "--model.hidden_size=24",
    "--model.embedding_size=24",
    "--trainer.max_epochs=40",
    "--trainer.patience=0",
    "--trainer.checkpoint_steps=500",
    "--trainer.progress=false",
    "--decoding.beam_size=1",
]


def start(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(BIN / "chatbot"), *map(str, words)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def wait_until_trained_for_a_while(run: Path) -> None:
    deadline = time.monotonic() + 120
    while not (run / "checkpoints" / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.005)


def weights(run: Path) -> str:
    return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.slow
def test_ctrl_c_leaves_a_run_that_answers_and_goes_on_bit_equal(tmp_path: Path, command) -> None:
    data = write_dialogues(tmp_path / "d.jsonl", 60)
    words = ["train", "--data", data, *OPTIONS]
    run = tmp_path / "runs" / "stopped"
    process = start(*words, "--run", run)
    wait_until_trained_for_a_while(run)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert "Ctrl-C again leaves at once" in error
    assert "holds the best weights so far" in error.splitlines()[-1]
    assert command("chatbot", "reply", "hello", "--run", run).code == 0
    assert load_run(run, "chatbot").metrics["is_stopped"]
    assert not (tmp_path / "runs" / "champion").exists()  # it is not what was asked for

    steps = load_run(run, "chatbot").metrics["steps"]
    assert command("chatbot", *words, "--run", run).code == 2  # only with --resume
    assert command("chatbot", *words, "--run", run, "--resume").code == 0
    assert not load_run(run, "chatbot").metrics["is_stopped"]
    assert (tmp_path / "runs" / "champion").exists()
    whole = tmp_path / "whole"
    assert command("chatbot", *words, "--run", whole).code == 0
    assert steps < load_run(whole, "chatbot").metrics["steps"]
    assert weights(run) == weights(whole)


@pytest.mark.slow
def test_a_second_ctrl_c_leaves_at_once_and_loses_nothing(tmp_path: Path, command) -> None:
    data = write_dialogues(tmp_path / "d.jsonl", 60)
    words = ["train", "--data", data, *OPTIONS, "--run", tmp_path / "run"]
    process = start(*words)
    wait_until_trained_for_a_while(tmp_path / "run")
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.002)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert "interrupted" in error.splitlines()[-1]
    assert command("chatbot", *words, "--resume").code == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of three MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine mounts no small disk: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_told_in_one_line_and_gone_on_from(
    tmp_path: Path, small_disk: Path, command
) -> None:
    data = write_dialogues(tmp_path / "d.jsonl", 60)
    short = [word for word in OPTIONS if "max_epochs" not in word] + ["--trainer.max_epochs=3"]
    words = ["train", "--data", data, *short]
    run = small_disk / "run"
    full = start(*words, "--run", run)
    _, error = full.communicate(timeout=120)
    assert full.returncode == 2, error
    assert "Traceback" not in error
    assert "No space left on device; free some space" in error.splitlines()[-1]
    more = ["mount", "-o", "remount,size=50m", str(small_disk)]
    subprocess.run(more, check=True)
    resume = ["--resume"] if (run / "started.json").exists() else []
    done = command("chatbot", *words, "--run", run, *resume)
    assert done.code == 0, done.err
    whole = tmp_path / "whole"
    assert command("chatbot", *words, "--run", whole).code == 0
    assert weights(run) == weights(whole)


def test_what_the_system_refuses_is_told_with_what_to_do() -> None:
    assert _one_line(OSError(28, "No space left on device", "x")).startswith("x: No space left")
    assert "--resume" in _one_line(OSError(28, "No space left on device"))
    assert "you may write to" in _one_line(OSError(30, "Read-only file system", "x"))
    assert "who may read" in _one_line(PermissionError(13, "Permission denied", "x"))
