from pathlib import Path

import pytest

from core.run_list import RunInfo
from core.ui.runs import label


@pytest.mark.parametrize(
    ("name", "cell", "is_champion", "shown"),
    [
        ("20261127-074154-retrained", "gru", False, "retrained 11-27 07:41 (gru)"),
        ("20261127-074154-lstm", "lstm", True, "★ lstm 11-27 07:41"),
        ("mine", "lstm", True, "★ mine (lstm)"),
        ("mine", "", False, "mine"),
    ],
)
def test_a_run_is_named_in_one_short_line(name, cell, is_champion, shown):
    config = {"model": {"cell": cell}} if cell else {}
    assert label(RunInfo(Path(name), name, "", config, "", is_champion)) == shown
