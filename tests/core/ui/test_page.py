"""How errors are told to visitors."""

from pathlib import Path

import pytest

from core.ui.page import LONGEST_ERROR, error_words


def test_a_file_is_called_what_the_visitor_calls_it():
    path = Path("runs") / "uploads" / "3f" / "a.csv"
    told = error_words(ValueError(f"{path} line 3:\n no number"), {path: "your file"})
    assert told == "your file line 3: no number"


def test_what_a_file_says_at_length_is_cut():
    told = error_words(ValueError("x" * 10 * LONGEST_ERROR))
    assert told == "x" * LONGEST_ERROR + "…"


def test_trouble_of_the_servers_disk_names_the_file_and_whom_to_tell(tmp_path):
    with pytest.raises(OSError, match="directory") as trouble:
        tmp_path.read_text()
    told = error_words(trouble.value)
    assert f"cannot use {tmp_path.name}: Is a directory" in told
    assert str(tmp_path) not in told
    assert "whoever runs this page" in told


def test_a_missing_run_is_told_in_its_own_words():
    assert error_words(FileNotFoundError("run X is gone")) == "run X is gone"
