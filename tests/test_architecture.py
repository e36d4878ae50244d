"""The house rules that no linter checks."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
APP = min(path.parent.name for path in (ROOT / "apps").glob("*/__main__.py"))
MOST_LINES = 400
LONGER = {  # and why they are not split
    "data/support_grammar.py": "a table of sentences",
    "tests/core/test_training.py": "its tests share one set of trainings, killed and resumed",
    "data/windows.py": "benchmarks keep what they trained and fitted by these bytes",
}


def lint_imports(folder):
    script = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [script, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_import_contracts_hold():
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("path", "line", "broken"),
    [
        ("apps/fresh/train.py", f"import apps.{APP}.train", f"apps.fresh -> apps.{APP}"),
        pytest.param(
            *("apps/fresh/train.py", "import apps.run", "apps.fresh -> apps.run"),
            marks=pytest.mark.skipif(not (ROOT / "apps/run.py").exists(), reason="one app alone"),
        ),
        ("apps/fresh/train.py", "import core.ui.texts", "apps.fresh.train -> core.ui.texts"),
        ("core/fresh.py", "import data.text", "core.fresh -> data.text"),
        ("data/fresh.py", "import core.files", "data.fresh -> core.files"),
        ("core/nn/fresh.py", "import pandas", "core.nn.fresh -> pandas"),
    ],
)
def test_the_contracts_hold_new_files_too(tmp_path, path, line, broken):
    for folder in ("apps", "core", "data"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=lambda *_: ["__pycache__"])
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).with_name("__init__.py").touch()
    (tmp_path / path).write_text(f"{line}\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 1
    source, target = map(re.escape, broken.split(" -> "))
    assert re.search(rf"-\s+{source}\S* -> {target}", result.stdout), result.stdout


def test_no_app_names_another_in_a_string():
    apps = {path.parent.name for path in (ROOT / "apps").glob("*/__init__.py")}
    for path in (ROOT / "apps").glob("*/**/*.py"):
        own = path.relative_to(ROOT / "apps").parts[0]
        named = set(re.findall(r"\bapps[./](\w+)", path.read_text())) & apps
        assert named <= {own}, path


def test_a_file_of_many_lines_has_a_reason():
    folders = ("apps", "benchmarks", "core", "data", "examples", "tests")
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
    }
    expected = {path for path in LONGER if (ROOT / path).exists()}  # an app alone has fewer
    assert {path for path, count in lengths.items() if count > MOST_LINES} == expected


def test_tests_are_no_packages_that_shadow_the_real_ones():
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_no_app_file_shadows_a_top_level_or_standard_module():
    names = {"data", "core", "apps", "tests"} | set(sys.stdlib_module_names)
    for path in (ROOT / "apps").rglob("*.py"):
        assert path.stem not in names, path


@pytest.mark.parametrize("path", sorted((ROOT / "core" / "nn").glob("*.py")), ids=lambda p: p.name)
def test_networks_are_pure_torch(path):
    text = path.read_text()
    for heavy in ("pytorch_lightning", "pandas", "streamlit"):
        assert f"import {heavy}" not in text
        assert f"from {heavy}" not in text


def may_import_streamlit(path):
    place = path.relative_to(ROOT).parts
    is_page = place[-1] in ("streamlit_app.py", "home.py") or "pages" in place
    return place[:2] == ("core", "ui") or place == ("core", "demo.py") or is_page


def test_only_pages_and_what_they_share_import_streamlit():
    for folder in ("apps", "core", "data"):
        for path in (ROOT / folder).rglob("*.py"):
            if not may_import_streamlit(path):
                text = path.read_text()
                for heavy in ("streamlit", "core.ui"):
                    assert not re.search(rf"^\s*(import|from) {heavy}\b", text, re.MULTILINE), path


def test_the_lock_pins_every_dependency_and_torch_exactly():
    pins = dict(
        line.lower().replace("_", "-").split("==")
        for line in (ROOT / "requirements.lock").read_text().splitlines()
    )
    assert pins["torch"] == "2.13.0"
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for requirement in wanted:
        name = requirement.split(">=")[0].split("[")[0].lower().replace("_", "-")
        assert name in pins, name
