"""`new-app NAME --from APP`: a case study of your own, begun as a copy of one that works.

Text work alone: nothing of the apps is imported, and a copy is put in place when it is whole.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from core.cli import PACKAGE, guarded
from core.files import write_text
from core.new_names import (
    KINDS,
    Kind,
    check_free,
    check_name,
    command_of,
    renamed,
    without_results,
    wrapped,
)
from core.new_repository import commit, copy_core, write_repository
from core.new_wiring import add_front_end, add_project_entries, add_texts, fixtures_of

ROOT = Path(__file__).parents[1]
TEXT_FILES = (".py", ".yaml", ".md", ".json", ".toml")
ABOUT = """\
Start an app of your own from a working one: its folder under apps/ and its tests are copied and
renamed, with the embedded sample, so that train, compare, evaluate and demo work at once. Prints
the five places to change, in order. With --out it becomes a repository of its own."""


class _Parser(argparse.ArgumentParser):
    """argparse, with errors of one line."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; see `new-app --help`")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of the console script `new-app`."""
    guarded("new-app", lambda: _from_words(arguments))


def _from_words(arguments: Sequence[str] | None) -> None:
    parser = _Parser(
        prog="new-app",
        description=ABOUT,
        epilog="example: new-app demand --from stock_forecast",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help="package and command: lower-case letters, _")
    parser.add_argument("--from", dest="source", required=True, help=" or ".join(KINDS))
    parser.add_argument("--out", type=Path, help="write a repository of its own into this folder")
    given = parser.parse_args(arguments)
    here = Path.cwd()
    if given.out is None and not here.is_relative_to(ROOT):
        raise ValueError(
            f"{here} lies outside {ROOT}, which new-app would change: call it there, or give --out "
            "for a repository of its own"
        )
    root = new_app(given.name, given.source, given.out)
    setup = [f"cd {shlex.quote(str(root))} && make setup"] if given.out else _install(root)
    folder = ".venv/bin/" if given.out else ""
    print(guide(root, kind_of(given.source), given.name, setup, folder))


def new_app(name: str, source: str, out: Path | None = None, root: Path = ROOT) -> Path:
    """Copy an app under a new name.

    Args:
        name: The new package under `apps/`.
        source: A key of `KINDS`, with `_` or `-`.
        out: An empty or new folder for a repository of its own; None for this repository.
        root: The checkout that is copied from.

    Returns:
        The checkout that the copy stands in.

    Raises:
        ValueError: A name that cannot be used, an unknown app, a folder that is in use, or a
            source tree that is not whole.
    """
    kind = kind_of(source)
    for part in (f"apps/{kind.app}", f"tests/apps/{kind.app}", "pyproject.toml", "Makefile"):
        if not (root / part).exists():
            raise ValueError(f"{root} has no {part}; run new-app from a checkout of the repository")
    check_name(name, root)
    check_free(name, kind, root)
    if out is None:
        _copy_inside(root, kind, name)
        return root
    out = out.resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"--out {out} is not empty; choose a new folder")
    if out.is_relative_to(root.resolve()):
        raise ValueError(f"--out {out} lies in {root}; choose a folder elsewhere, or leave it out")
    _copy_outside(root, out, kind, name)
    return out


def kind_of(source: str) -> Kind:
    """What `--from` names.

    Raises:
        ValueError: It is no app that can be copied.
    """
    kind = KINDS.get(source.replace("-", "_"))
    if kind is None:
        raise ValueError(f"--from {source}: no app to copy; choose one of {', '.join(KINDS)}")
    return kind


def copy_app(root: Path, target: Path, kind: Kind, name: str) -> None:
    """Write the renamed app, its tests and their fixtures below a folder."""
    for part in ("apps", "tests/apps"):
        _copy_renamed(root / part / kind.app, target / part / name, kind, name)
    tests = (root / "tests" / "conftest.py").read_text(encoding="utf-8")
    readme = target / "apps" / name / "README.md"
    write_text(readme, without_results(readme.read_text(encoding="utf-8"), kind, name))
    text = renamed(fixtures_of(tests, kind.fixture), kind, name)
    write_text(target / "tests" / "apps" / name / "conftest.py", text)
    _tidy(target)


def places(root: Path, kind: Kind, name: str) -> list[str]:
    """The five things to change, each with the file and the line that it begins at.

    Args:
        root: Where the copy is.
        kind: What it was copied from.
        name: The copy's name.

    Raises:
        ValueError: A definition is no longer where this module looks for it.
    """
    lines = []
    for number, (what, file, beginning) in enumerate(kind.places, start=1):
        path, start = file.format(name=name), beginning.format(name=name)
        text = (root / path).read_text(encoding="utf-8").splitlines()
        found = next((n for n, line in enumerate(text, start=1) if line.startswith(start)), None)
        if found is None:
            raise ValueError(f"{path} has no line that begins with {start!r}; mend core/new_names")
        lines.append(f"{number}. {path}:{found}  {what.format(name=name)}")
    return lines


def guide(root: Path, kind: Kind, name: str, setup: Sequence[str], folder: str) -> str:
    """What to do with a copy.

    Args:
        root: The checkout that it stands in.
        kind: What it was copied from.
        name: Its name.
        setup: Commands that come before its own.
        folder: Where its own command lies, with a slash; empty where the shell finds it.

    Returns:
        What to try, and the five places to change, in order.
    """
    return "\n".join(
        [
            f"Made apps/{name} and tests/apps/{name} in {root}.",
            "Try it on the sample:",
            *(f"  {line}" for line in [*setup, *commands(name, folder)]),
            "Then change five things, in this order:",
            *places(root, kind, name),
        ]
    )


def commands(name: str, folder: str) -> list[str]:
    """What to try on the sample."""
    command = f"{folder}{command_of(name)}"
    config = f"--config apps/{name}/configs/small.yaml"
    verbs = (f"train {config}", "evaluate", f"compare {config} --seeds 1", "demo")
    return [f"{command} {verb}" for verb in verbs]


def _install(root: Path) -> list[str]:
    """Put the copy's command beside this one; what is left to do where that cannot be.

    An environment that runs another checkout's commands is left as it is.
    """
    by_hand = ["make setup"]
    try:
        origin = json.loads(distribution(PACKAGE).read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return by_hand
    if origin.get("url") != root.as_uri():
        return by_hand
    words = ["install", "--quiet", "--no-deps", "--no-build-isolation", "-e", str(root)]
    done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, check=False)
    return by_hand if done.returncode else []


def _copy_renamed(source: Path, target: Path, kind: Kind, name: str) -> None:
    """Copy a folder, with the names in its texts changed."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "runs"))
    for path in target.rglob("*"):
        if path.suffix in TEXT_FILES:
            text = path.read_text(encoding="utf-8")
            path.write_text(renamed(text, kind, name), encoding="utf-8")


def _tidy(folder: Path) -> None:
    """Wrap lines and order imports where the new name has changed them, if ruff is there."""
    if find_spec("ruff") is None:
        return
    ours = 'lint.isort.known-first-party = ["apps", "core", "data", "tests"]'
    rules = ["--config", str(ROOT / "pyproject.toml"), "--config", ours, "--quiet", "--no-cache"]
    for words in (["check", "--fix-only", "--select", "I,F401"], ["format"]):
        subprocess.run([sys.executable, "-m", "ruff", *words, *rules, folder], check=False)
    for path in folder.glob("apps/*/**/*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        path.write_text("".join(f"{wrapped(line)}\n" for line in lines), encoding="utf-8")


def _copy_inside(root: Path, kind: Kind, name: str) -> None:
    """Add an app to this repository: build beside, rename, then tell the shared files."""
    edits = {
        root / "pyproject.toml": add_project_entries,
        root / "core" / "ui" / "texts.yaml": add_texts,
        root / "apps" / "home.py": add_front_end,
    }
    before = {path: path.read_text(encoding="utf-8") for path in edits}
    after = {path: edit(before[path], kind, name) for path, edit in edits.items()}
    made = [root / "apps" / name, root / "tests" / "apps" / name]
    picture = root / "apps" / "pictures" / f"{name}.svg"
    with tempfile.TemporaryDirectory(dir=root, prefix=".new-app-") as temporary:
        copy_app(root, Path(temporary), kind, name)
        try:
            for path in made:
                (Path(temporary) / path.relative_to(root)).rename(path)
            shutil.copy(root / "apps" / "pictures" / f"{kind.section}.svg", picture)
            for path, text in after.items():
                write_text(path, text)
            places(root, kind, name)
        except BaseException:
            for path in made:
                shutil.rmtree(path, ignore_errors=True)
            picture.unlink(missing_ok=True)
            for path, text in before.items():
                write_text(path, text)
            raise


def _copy_outside(root: Path, out: Path, kind: Kind, name: str) -> None:
    """Make a repository of its own: build it beside, then rename it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".new-app-") as temporary:
        built = Path(temporary) / "built"
        copy_app(root, built, kind, name)
        copy_core(root, built, kind, name)
        texts = {
            "places": "\n".join(places(built, kind, name)),
            "commands": "\n".join(commands(name, ".venv/bin/")),
        }
        write_repository(root, built, kind, name, **texts)
        _tidy(built)
        commit(built, kind)
        if out.exists():  # and is empty; a shell may stand in it
            for path in built.iterdir():
                path.rename(out / path.name)
        else:
            built.rename(out)


if __name__ == "__main__":
    main()
