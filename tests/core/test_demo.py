import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from core.demo import open_page

PAGE = "import sys\nimport streamlit as st\nst.text(f'arguments {sys.argv[1:]}')\n"


def test_a_port_out_of_range_is_named(tmp_path):
    with pytest.raises(ValueError, match="port=80"):
        open_page(tmp_path / "page.py", 80)


def test_a_taken_port_is_named(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"port={port} is taken"):
            open_page(tmp_path / "page.py", port)


@pytest.mark.parametrize(("run", "shown"), [(None, []), (Path("runs/mine"), ["runs/mine"])])
def test_the_run_is_the_scripts_only_argument(tmp_path, monkeypatch, run, shown):
    heard = []
    monkeypatch.setattr("streamlit.web.cli.main", lambda words, **_: heard.append(words))
    open_page(tmp_path / "page.py", 18510, run=run)
    words = heard[0]
    assert words[:2] == ["run", str(tmp_path / "page.py")]
    assert words[words.index("--") + 1 :] == shown


def test_the_page_is_served_on_localhost_alone(tmp_path):
    page = tmp_path / "page.py"
    page.write_text(PAGE)
    server = subprocess.Popen(
        [sys.executable, "-c", f"from core.demo import open_page; from pathlib import Path; "
         f"open_page(Path({str(page)!r}), 18511, run=Path('x'))"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen("http://localhost:18511/_stcore/health") as answer:
                    assert answer.read() == b"ok"
                    break
            except OSError:
                time.sleep(0.2)
        else:
            pytest.fail("the page did not open within a minute")
        listening = subprocess.run(
            ["cat", "/proc/net/tcp", "/proc/net/tcp6"], capture_output=True, text=True, check=True
        ).stdout
        addresses = re.findall(rf"\d+: (\S+):{18511:04X} \S+ 0A", listening)
        assert addresses
        assert set(addresses) <= {"0100007F", "00000000000000000000000001000000"}
    finally:
        server.terminate()
        server.wait(20)
