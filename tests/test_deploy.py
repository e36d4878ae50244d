"""The container file and the examples of services name what exists."""

import re
import shlex
import shutil
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from core.cli import _parse

ROOT = Path(__file__).parents[1]
CONTAINER = (ROOT / "Containerfile").read_text()
DEPLOYED = "\n".join(path.read_text() for path in sorted((ROOT / "deploy").iterdir()))
EXPLAINED = (ROOT / "docs" / "running.md").read_text()
COMMANDS = [
    *re.findall(r"\.venv/bin/((?:chatbot|stock-forecast) [^>\n&]*)", DEPLOYED),
    *re.findall(r"^((?:chatbot|stock-forecast) [^#\n]*)", EXPLAINED, re.M),
]


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_is_one_that_the_parser_takes(words: str) -> None:
    name, verb, *options = shlex.split(words)
    app = name.replace("-", "_")
    verbs = import_module(f"apps.{app}.__main__").VERBS
    module, function = verbs[verb][0].split(":")
    _parse(getattr(import_module(module), function), options, name, "")  # exits where it does not


def test_there_are_commands_to_look_at() -> None:
    told = " ".join(COMMANDS)
    for verb in ("retrain", "check", "serve", "rollback"):
        assert verb in told


def test_what_the_image_copies_is_there_and_is_let_in() -> None:
    let_in = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    for line in re.findall(r"^COPY (.*) \S+$", CONTAINER, re.M):
        for source in line.split():
            assert (ROOT / source).exists(), source
            assert source in let_in
    python = re.search(r"^FROM python:(\d+\.\d+)-slim$", CONTAINER, re.M)
    assert python
    assert f'requires-python = ">={python[1]}"' in (ROOT / "pyproject.toml").read_text()


def test_the_image_runs_as_a_user_without_rights() -> None:
    assert CONTAINER.index("USER suite") < CONTAINER.index("CMD [")
    assert "VOLUME /suite/runs" in CONTAINER


@pytest.mark.parametrize("unit", sorted((ROOT / "deploy").glob("*.service")), ids=lambda p: p.name)
def test_systemd_accepts_the_units(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed here")
    text = unit.read_text().replace("/srv/suite/.venv/bin/", "/bin/true ").replace("User=suite", "")
    text = re.sub(r"/bin/true \S+", "/bin/true", text)
    (tmp_path / unit.name).write_text(text)
    timer = unit.with_suffix(".timer")
    if timer.exists():
        (tmp_path / timer.name).write_text(timer.read_text())
    paths = [str(path) for path in tmp_path.iterdir()]
    done = subprocess.run(
        ["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    own = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
    assert not own
