"""The apps' pages, driven as Streamlit runs them."""

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import jobs


def told(page):
    """What a page says beside its text, without the marks that keep Markdown from reading it."""
    every = [*page.success, *page.error, *page.info, *page.warning, *page.caption]
    return " ".join(element.value for element in every).replace("\\", "")


@pytest.fixture
def open_page(request, monkeypatch, tmp_path):
    """Open the test module's PAGE on a run, with what the visitor has chosen."""

    def open_it(run: Path | None = None, **state: object) -> AppTest:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setattr("sys.argv", ["page", *([] if run is None else [str(run)])])
        page = AppTest.from_file(str(request.module.PAGE), default_timeout=60)
        for name, value in state.items():
            page.session_state[" ".join(name.rsplit("_", 1))] = value
        return page.run()

    yield open_it
    for job in (tmp_path / "runs").glob("*/.job"):
        jobs.cancel(job)


@pytest.fixture
def copied(tmp_path):
    """Copy a run where the page looks for its app's, so that a test may spoil it."""
    return lambda app, run: shutil.copytree(run, tmp_path / "runs" / app / "mine")
