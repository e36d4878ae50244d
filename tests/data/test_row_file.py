from pathlib import Path

import numpy as np
import pytest

from data import row_file
from data.row_file import RowFile

PAIR = np.dtype([("number", "f8"), ("few", "f4", 3)], align=True)


def test_rows_come_back_as_they_were_written():
    parts = [np.zeros(5, PAIR), np.ones(1, PAIR), np.full(4000, 7, PAIR)]
    file = RowFile(parts)
    np.testing.assert_array_equal(file.rows, np.concatenate(parts))
    file.release()
    np.testing.assert_array_equal(file.rows["few"], np.concatenate(parts)["few"])


def test_a_view_outlives_its_file():
    numbers = RowFile([np.arange(10_000.0)]).rows[5_000:]
    np.testing.assert_array_equal(numbers, np.arange(5_000.0, 10_000.0))


def test_nobody_can_write_to_the_rows():
    with pytest.raises(ValueError, match="read-only"):
        RowFile([np.zeros(3)]).rows[0] = 1.0


def resident_file_bytes() -> int:
    """What the process holds of files, in memory."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return sum(1024 * int(words[1]) for words in lines if words[0] in ("RssFile:", "RssShmem:"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
@pytest.mark.parametrize("is_small", [True, False])
def test_only_a_large_file_leaves_the_memory(is_small, monkeypatch):
    size = 2**25
    monkeypatch.setattr(row_file, "SMALL", size if is_small else size - 1)
    file = RowFile([np.ones(size // 8)])
    assert file.rows.sum() == size // 8  # every page is read
    before = resident_file_bytes()
    file.release()
    freed = before - resident_file_bytes()
    assert abs(freed) < 0.1 * size if is_small else freed > 0.9 * size
    assert file.rows.sum() == size // 8
