"""A repository of its own around one copied app: `new-app NAME --from APP --out DIR`."""

import re
import shutil
import subprocess
from pathlib import Path

from core.cli import PACKAGE
from core.files import write_text
from core.new_names import Kind, command_of, title_of
from core.new_wiring import add_texts, own_texts, without_fixtures

AS_THEY_ARE = (".gitignore", "LICENSE", "requirements.lock", ".ci", "data", "apps/__init__.py")
TESTS = ("test_app_contract.py", "test_architecture.py", "apps/conftest.py", "core", "data")
MAKEFILE = """\
demo: $(READY)
	$(BIN)/python -m apps.{name} demo

{check}
test: check
	$(BIN)/python -m pytest
"""
README = """\
# {title}

A recurrent network on Lightning, begun as a copy of `{app}`. On a fresh machine with Python 3.11,
git and make:

```bash
make setup
make test
```

Then, on the embedded sample:

```bash
{commands}
```

Change five things, in this order:

{places}

Start reading at `apps/{name}/train.py`. `core/` has what a recurrent network for any task needs,
`data/` reads, checks, splits and windows; both have their tests here and know nothing of
`apps/{name}/`.
"""
WORKFLOW = """\
name: test
on: [push, pull_request]
jobs:
  test:
    runs-on: ubuntu-latest
    timeout-minutes: 45
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - run: .ci/run
"""


def write_repository(
    root: Path, built: Path, kind: Kind, name: str, *, places: str, commands: str
) -> None:
    """Write all that a repository needs beside the app, its tests and `core/`.

    Args:
        root: The checkout that is copied from.
        built: Where the repository is being built.
        kind: What the app was copied from.
        name: Its name.
        places: The five places to change, a line each.
        commands: What to try on the sample, a line each.
    """
    skipped = shutil.ignore_patterns("__pycache__")
    for part in (*AS_THEY_ARE, *(f"tests/{test}" for test in TESTS)):
        source, target = root / part, built / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=skipped)
        else:
            shutil.copy(source, target)
    tests = (root / "tests" / "conftest.py").read_text(encoding="utf-8")
    write_text(built / "tests" / "conftest.py", without_fixtures(tests, "chat", "stocks"))
    project = (root / "pyproject.toml").read_text(encoding="utf-8")
    write_text(built / "pyproject.toml", own_project(project, name))
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    write_text(built / "Makefile", own_makefile(makefile, name))
    words = {"title": title_of(name), "script": command_of(name)}
    text = README.format(name=name, app=kind.app, places=places, commands=commands, **words)
    write_text(built / "README.md", text)
    write_text(built / ".github" / "workflows" / "test.yml", WORKFLOW)
    for path in (*built.glob("*.toml"), *built.rglob("*.py"), *built.rglob("*.md")):
        old = path.read_text(encoding="utf-8")
        if PACKAGE in old:
            write_text(path, old.replace(PACKAGE, words["script"]))


def copy_core(root: Path, built: Path, kind: Kind, name: str) -> None:
    """Copy `core/` without what makes new apps, and with this app's texts alone."""
    left_out = shutil.ignore_patterns("__pycache__", "new_*.py")
    shutil.copytree(root / "core", built / "core", ignore=left_out)
    path = built / "core" / "ui" / "texts.yaml"
    write_text(path, own_texts(add_texts(path.read_text(encoding="utf-8"), kind, name), name))


def own_project(text: str, name: str) -> str:
    """`pyproject.toml` of one app alone."""
    script = command_of(name)
    changes = {
        r'^description = ".*"': f'description = "{name}: a recurrent network on Lightning"',
        r"^\[project\.scripts\]\n(?:.+\n)+": (
            f'[project.scripts]\n{script} = "apps.{name}.__main__:main"\n'
        ),
        r'^ignore_imports = \["apps\.run -> .*\n': "",
        r'^    "apps\.home -> .*\n': "",
    }
    for pattern, new in changes.items():
        text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
        if not count:
            raise ValueError(f"pyproject.toml has nothing like {pattern!r}; mend new_repository")
    return text


def own_makefile(text: str, name: str) -> str:
    """A Makefile with the same `setup`, and the rest for one app."""
    head, found, _ = text.partition("run: $(READY)\n")
    check = re.search(r"^check: .*\n(?:\t.*\n)+", text, re.MULTILINE)
    if not found or check is None:
        raise ValueError("Makefile has no run behind setup, or no check; mend new_repository")
    head = re.sub(r"^#.*`make run`.*\n", "# `make setup`, then `make test`.\n", head)
    phony = ".PHONY: setup demo check test\n"
    head = re.sub(r"^\.PHONY:.*\n", phony, head, flags=re.MULTILINE)
    return head + MAKEFILE.format(name=name, check=check[0])


def commit(folder: Path, kind: Kind) -> None:
    """Make the first commit, where git is there."""
    if shutil.which("git") is None:
        return
    who = ["-c", "user.name=new-app", "-c", "user.email=new-app@localhost"]
    steps = (["init", "-q"], ["add", "-A"], ["commit", "-qm", f"Start from {kind.app}"])
    for step in steps:
        try:
            subprocess.run(["git", *who, *step], cwd=folder, check=True, capture_output=True)
        except subprocess.CalledProcessError as error:
            raise OSError(f"git {step[0]} in {folder}: {error.stderr.decode().strip()}") from None
