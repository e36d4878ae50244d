"""Open a Streamlit page: on this machine alone, without usage statistics."""

import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from core.cli import guarded


def open_page(page: Path, port: int, arguments: Sequence[str]) -> NoReturn:
    """Become the server of a page, until it is stopped with Ctrl-C.

    Args:
        page: The script.
        port: Where it listens on localhost, 1024 to 65535.
        arguments: For the script.

    Raises:
        ValueError: A port out of range, or taken.
    """
    check_port(port, "127.0.0.1")
    options = {
        "server.address": "localhost",
        "server.port": port,
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "server.fileWatcherType": "none",  # it would walk through torch's lazy modules
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "streamlit", "run", str(page), *words, "--", *arguments]
    os.execv(sys.executable, command)


def check_port(port: int, host: str) -> None:
    """Refuse a port that a server cannot have.

    Raises:
        ValueError: Out of range, or taken.
    """
    if not 1024 <= port <= 65535:
        raise ValueError(f"port={port} must lie between 1024 and 65535; leave --port out")
    with socket.socket() as probe:
        if probe.connect_ex((host, port)) == 0:
            raise ValueError(f"port={port} is taken, perhaps by another server; give another")


if __name__ == "__main__":
    guarded("make demo", lambda: open_page(Path(sys.argv[1]), 8501, sys.argv[2:]))
