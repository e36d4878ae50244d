"""The container file and the examples of services name what exists."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from core.cli import _parse

ROOT = Path(__file__).parents[1]
CONTAINER = (ROOT / "Containerfile").read_text()
DEPLOYED = "\n".join(path.read_text() for path in sorted((ROOT / "deploy").iterdir()))
EXPLAINED = (ROOT / "docs" / "guides" / "retraining.md").read_text()
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


def test_the_image_installs_what_is_locked_and_runs_scripts_that_there_are() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    command = re.search(r'^CMD \["([^"]+)"', CONTAINER, re.M)
    assert command
    assert command[1] in project["scripts"]
    program = re.search(r'python -c "(import tomllib.*?)" > needed', CONTAINER, re.S)
    assert program
    code = program[1].replace("\\\n", "")  # as Docker joins the lines
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [*project["dependencies"], "setuptools"]
    torch = re.search(r'"\$\((grep .*?)\)"', CONTAINER)
    assert torch
    found = subprocess.run(
        torch[1], shell=True, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    assert found.stdout == "torch==2.13.0\n"


def stub(folder: Path, name: str, code: int, told: str = "") -> None:
    """A program that says something and exits."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\necho {told}\nexit {code}\n")
    (folder / name).chmod(0o755)


def champion(folder: Path, kind: str) -> None:
    """A champion, one that leads nowhere, or none."""
    (folder / "runs" / "chatbot" / "first").mkdir(parents=True)
    if kind != "none":
        target = "first" if kind == "there" else "gone"
        (folder / "runs" / "chatbot" / "champion").symlink_to(target)


@pytest.mark.parametrize(
    ("page", "kind", "check", "expected"),
    [
        (0, "none", 2, 0),
        (0, "there", 0, 0),
        (0, "there", 1, 1),
        (0, "there", 2, 1),
        (0, "gone", 2, 1),
        (1, "there", 0, 1),
    ],
)
def test_the_health_check_says_0_or_1(
    page: int, kind: str, check: int, expected: int, tmp_path: Path
) -> None:
    line = re.search(r"^HEALTHCHECK .*? CMD \\\n((?:.*\\\n)*.*)", CONTAINER, re.M)
    assert line
    stub(tmp_path / "bin", "python", page)
    stub(tmp_path / "bin", "chatbot", check)
    champion(tmp_path, kind)
    paths = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    command = line[1].replace("\\\n", "")
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=tmp_path,
        env={"PATH": paths},
        capture_output=True,
        check=False,
    )
    assert done.returncode == expected


@pytest.mark.skipif(shutil.which("flock") is None, reason="flock is not installed here")
@pytest.mark.parametrize("code", [0, 1, 2])
def test_cron_mails_what_went_wrong_and_nothing_else(code: int, tmp_path: Path) -> None:
    stub(tmp_path / ".venv" / "bin", "stock-forecast", code, "what it says")
    (tmp_path / "runs").mkdir()
    lines = re.findall(r"^(?:[^#\s]+ ){5}(.+)$", (ROOT / "deploy" / "crontab").read_text(), re.M)
    assert len(lines) == 2
    for line in lines:
        assert "%" not in line  # which cron takes for the end of a line
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            env={"PATH": os.environ["PATH"], "SUITE": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        assert ("what it says" in done.stdout) == (code != 0)
        assert bool(done.stdout) == (code != 0)


UNITS = sorted(p for p in (ROOT / "deploy").iterdir() if p.suffix in (".service", ".timer"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda p: p.name)
def test_systemd_accepts_the_units(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed here")
    for other in UNITS:
        text = re.sub(r"/srv/suite/\.venv/bin/\S+", "/bin/true", other.read_text())
        (tmp_path / other.name).write_text(text.replace("User=suite", ""))
    named = tmp_path / unit.name.replace("@.", "@some.")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(named)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) not in done.stderr  # an unknown key is told and ignored


def test_units_name_each_other_as_they_are_called() -> None:
    names = {unit.name for unit in UNITS}
    for unit in UNITS:
        for word in re.findall(r"[\w-]+@?(?:%n)?\.service", re.sub(r"#.*", "", unit.read_text())):
            assert word.replace("%n", "") in names, (unit.name, word)
