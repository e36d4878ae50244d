"""The house rules that no linter checks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_import_contracts_hold():
    script = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


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
