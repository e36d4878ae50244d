import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest

from core.logs import wants_json
from tests.conftest import TINY_CHAT, write_dialogues

BIN = Path(sys.executable).parent


def test_every_line_of_the_log_is_an_object(tmp_path: Path) -> None:
    data = write_dialogues(tmp_path / "d.jsonl", 30)
    words = [str(BIN / "chatbot"), "train", "--data", str(data), "--run", str(tmp_path / "run")]
    options = [word for word in TINY_CHAT if "progress" not in word]
    environment = {**os.environ, "LOG_FORMAT": "json", "OMP_NUM_THREADS": "1"}
    for code, more in ((0, []), (2, [])):  # the second time the folder is taken
        done = subprocess.run(
            [*words, *options, *more], capture_output=True, text=True, check=False, env=environment
        )
        assert done.returncode == code, done.stderr
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        assert lines
        for line in lines:
            assert line.keys() >= {"time", "level", "logger", "command", "message"}
            assert datetime.fromisoformat(line["time"]).utcoffset() is not None
    assert lines[-1]["exit_code"] == 2
    assert "holds a finished run already" in lines[-1]["message"]
    assert lines[-1]["level"] == "error"


@pytest.mark.parametrize("verb", ["demo", "serve"])
def test_a_servers_lines_are_objects_too(chat, verb: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [str(BIN / "chatbot"), verb, "--run", str(chat.run), "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LOG_FORMAT": "json", "OMP_NUM_THREADS": "1"},
    )
    try:
        for _ in range(600):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"no HTTP\r\n\r\n")
                client.recv(100)
                break
            time.sleep(0.1)
    finally:
        server.send_signal(signal.SIGINT)
        _, told = server.communicate(timeout=60)
    lines = [json.loads(line) for line in told.splitlines()]
    assert {"chatbot " + verb} == {line["command"] for line in lines}
    assert "Invalid HTTP request received." in [line["message"] for line in lines]


def test_an_unknown_format_is_named(monkeypatch: pytest.MonkeyPatch, command) -> None:
    monkeypatch.setenv("LOG_FORMAT", "xml")
    with pytest.raises(ValueError, match="LOG_FORMAT='xml'.*set text or json"):
        wants_json()
    done = command("chatbot", "check")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert done.err.startswith("chatbot: LOG_FORMAT='xml'")
