"""Open a Streamlit page: on this machine alone, without usage statistics."""

import argparse
import importlib
import logging
import socket
from collections.abc import Sequence
from pathlib import Path

from core.cli import guarded
from core.logs import start_log, wants_json

UPLOAD_MEGABYTES = 50
HOST = "localhost"
PORT = 8501
LIGHT = {
    "primaryColor": "#005A8C",
    "backgroundColor": "#FFFFFF",
    "secondaryBackgroundColor": "#F2F5F8",
    "textColor": "#1A1A1A",
    "borderColor": "#C9D3DC",
}
DARK = {
    "primaryColor": "#56B4E9",
    "backgroundColor": "#12171D",
    "secondaryBackgroundColor": "#1D252E",
    "textColor": "#EEF2F5",
    "borderColor": "#3B4855",
}


def open_page(
    page: Path,
    port: int,
    *,
    run: Path | None = None,
    host: str = HOST,
    preload: Sequence[str] = (),
    is_alone: bool = True,
) -> None:
    """Serve a page until Ctrl-C.

    Args:
        page: The script.
        port: Where it listens, 1024 to 65535.
        run: The run folder that the script shows first; None for the one that it finds.
        host: Address to listen on; the default is reached from this machine alone.
        preload: Modules that are slow to import and are so before the address is printed.
        is_alone: Whether it leads to no other page. Streamlit takes each module of a folder
            `pages` beside a script for one.

    Raises:
        ValueError: A port out of range, or taken.
    """
    check_port(port, "127.0.0.1" if host == HOST else host)
    options = {
        "server.address": host,
        "server.port": port,
        "server.headless": "true",  # it opens no browser and asks for no e-mail address
        "server.maxUploadSize": UPLOAD_MEGABYTES,
        "server.fileWatcherType": "none",  # it would walk through torch's lazy modules
        "browser.gatherUsageStats": "false",
        # It would walk through all of torch after every script; Python collects by itself.
        "runner.postScriptGC": "false",
        "client.showSidebarNavigation": str(not is_alone).lower(),
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",  # the traceback goes to the terminal
        **{f"theme.light.{name}": value for name, value in LIGHT.items()},
        **{f"theme.dark.{name}": value for name, value in DARK.items()},
    }
    for name in preload:
        importlib.import_module(name)
    from streamlit.web import cli

    if wants_json():
        start_log("demo")
        _share_the_log()
    words = [f"--{name}={value}" for name, value in options.items()]
    shown = [] if run is None else [str(run)]
    cli.main(["run", str(page), *words, "--", *shown], standalone_mode=False)


def _share_the_log() -> None:
    """Send the lines of Streamlit and its server where all others go, not to their own handlers."""
    from streamlit import logger as streamlit_loggers
    from uvicorn.config import LOGGING_CONFIG

    def hand_up(logger: logging.Logger) -> None:
        logger.handlers.clear()
        logger.propagate = True

    vars(streamlit_loggers)["setup_formatter"] = hand_up
    streamlit_loggers.update_formatter()
    LOGGING_CONFIG["loggers"].clear()


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


def main() -> None:
    """`python -m core.demo PAGE`."""
    parser = argparse.ArgumentParser(prog="make demo", description="Serve a Streamlit page.")
    parser.add_argument("page", type=Path, help="the script")
    parser.add_argument("--port", type=int, default=PORT, help="1024 to 65535, default %(default)s")
    parser.add_argument("--host", default=HOST, help="address to listen on, default %(default)s")
    parser.add_argument("--preload", default="", help="modules to import first, with commas")
    given = parser.parse_args()
    preload = [name for name in given.preload.split(",") if name]
    open_page(given.page, given.port, host=given.host, preload=preload, is_alone=False)


if __name__ == "__main__":
    guarded("make demo", main)
