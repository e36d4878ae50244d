"""Uploads on the disk: one of a kind a session, named safely, gone when they should be."""

import os
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.ui.uploads import _safe_name, forget_old, to_remove

ENDINGS = ("csv", "csv.gz")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("AAPL.csv", "AAPL.csv"),
        ("BRK-B.CSV.GZ", "BRK-B.csv.gz"),
        ("^GSPC.csv", "^GSPC.csv"),
        ("../../etc/passwd", "passwd.csv"),
        ("plain.gz", "plain.gz"),
        ("x.y z", "x.y_z"),
        ("가격 표.csv", "가격_표.csv"),
        ("C:\\data\\A B.csv", "A_B.csv"),
        (".csv", "upload.csv"),
        ("x" * 300 + ".csv", "x" * 60 + ".csv"),
        ("a\nb\x00c.csv", "a_b_c.csv"),
    ],
)
def test_a_name_is_kept_where_a_path_reads_nothing_in_it(given, kept):
    assert _safe_name(given, ENDINGS) == kept


def page_with_uploads():
    from pathlib import Path

    import streamlit as st

    from core.ui.uploads import kept_upload

    for kind in ("prices", "news"):
        upload = st.file_uploader(kind, key=kind)
        if upload is not None:
            st.text(f"{kind} {kept_upload(Path('runs'), upload, ('csv',), kind)}")


@pytest.fixture
def page(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return AppTest.from_function(page_with_uploads).run()


def kept(page, kind):
    [line] = [text.value for text in page.text if text.value.startswith(kind)]
    return Path(line.split(" ", 1)[1])


def give(page, place, name, content):
    page.file_uploader[place].set_value([(name, content, "text/csv")]).run()
    assert not page.exception


def test_a_second_file_of_a_kind_takes_the_place_of_the_first(page):
    give(page, 0, "a.csv", b"first")
    first = kept(page, "prices")
    assert first.read_bytes() == b"first"
    give(page, 1, "n.csv", b"news")
    assert first.exists()
    page.run()
    assert kept(page, "prices") == first
    give(page, 0, "a.csv", b"second")
    assert not first.parent.exists()
    assert kept(page, "prices").read_bytes() == b"second"
    assert kept(page, "news").read_bytes() == b"news"


def test_no_other_user_of_the_machine_can_read_it(page):
    give(page, 0, "a.csv", b"first")
    assert kept(page, "prices").parent.stat().st_mode & 0o077 == 0


def test_an_upload_that_was_read_is_not_made_again(page):
    give(page, 0, "a.csv", b"first")
    file, folder = to_remove(kept(page, "prices"))
    file.unlink()
    folder.rmdir()
    page.run()
    assert "read and deleted" in page.info[0].value
    assert kept(page, "prices") == Path("None")


def test_what_was_left_behind_goes_after_a_day(page):
    folder = Path("runs") / "uploads"
    for name, hours in (("old", 25), ("new", 23)):
        (folder / name).mkdir(parents=True)
        (folder / name / "a.csv").write_text("x")
        os.utime(folder / name, (time.time() - 3600 * hours,) * 2)
    forget_old(Path("runs"))
    assert not (folder / "old").exists()
    assert (folder / "new" / "a.csv").exists()
