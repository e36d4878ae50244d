"""Open a Streamlit page: on this machine alone, without usage statistics."""

import subprocess
import sys
from pathlib import Path


def open_page(page: Path, port: int, arguments: list[str]) -> None:
    """Serve a page until it is stopped with Ctrl-C.

    Args:
        page: The script.
        port: Where it listens on localhost, 1024 to 65535.
        arguments: For the script.

    Raises:
        ValueError: A port out of range.
        OSError: The server could not start.
    """
    if not 1024 <= port <= 65535:
        raise ValueError(f"port={port} must lie between 1024 and 65535; leave it out for 8501")
    command = [sys.executable, "-m", "streamlit", "run", str(page)]
    options = {
        "server.address": "localhost",
        "server.port": port,
        "browser.gatherUsageStats": "false",
        "server.fileWatcherType": "none",  # it would walk through torch's lazy modules
    }
    command += [f"--{name}={value}" for name, value in options.items()]
    try:
        status = subprocess.run([*command, "--", *arguments], check=False).returncode
    except KeyboardInterrupt:
        return
    if status != 0:
        raise OSError(f"the page ended with exit code {status}; is port {port} taken? Give --port")
