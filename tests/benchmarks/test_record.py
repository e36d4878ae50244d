"""Rows count while the code that they measure holds what it held."""

import json

import pytest

from benchmarks import record as records


@pytest.fixture
def code(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path / "results")
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "measured.py").write_text("rate = 1")
    (folder / "notes.txt").write_text("a note")
    return folder


def test_rows_stand_until_the_code_that_decides_them_changes(code):
    decides = [str(code)]
    records.record("speed", [{"seconds": 3}], decides)
    (code / "notes.txt").write_text("another note")
    assert [row["seconds"] for row in records.standing("speed", decides)] == [3]
    (code / "measured.py").write_text("rate = 2")
    assert records.standing("speed", decides) == []
    (code / "measured.py").write_text("rate = 1")
    assert len(records.standing("speed", decides)) == 1
    (code / "more.py").write_text("")
    assert records.standing("speed", decides) == []


def test_rows_are_appended_with_commit_and_machine(code):
    records.record("speed", [{"seconds": 3}, {"seconds": 4}])
    records.record("speed", [{"seconds": 5}], [str(code)])
    rows = json.loads((records.RESULTS / "speed.json").read_text())
    assert [row["seconds"] for row in rows] == [3, 4, 5]
    assert all(row["commit"] and row["date"] and row["machine"] for row in rows)
    assert [row["seconds"] for row in records.standing("speed", [str(code)])] == [5]
    assert records.standing("memory", [str(code)]) == []
