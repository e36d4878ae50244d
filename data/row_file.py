"""Rows of numbers in a file without a name: read like an array, held by the system's file cache."""

import mmap
from collections.abc import Iterable
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALL = 2**23  # bytes of a file that may stay in memory


class RowFile:
    """Rows that are written once and read often, without being kept in the process's memory.

    The file vanishes with the object, and with the process.

    Args:
        parts: The rows, piece by piece, all of the same type; at least one row.

    Attributes:
        rows: All of them, read-only, (N,).

    Raises:
        OSError: The folder for temporary files (the environment's TMPDIR) is full.
    """

    def __init__(self, parts: Iterable[NDArray[Any]]) -> None:
        dtype = None
        with TemporaryFile() as file:
            for part in parts:
                dtype = part.dtype
                file.write(part.tobytes())
            file.flush()
            self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.rows = np.frombuffer(self._memory, dtype)

    def release(self) -> None:
        """Let go of the pages that were read; not of a file so small that reading again costs more.

        Where the system cannot, nothing happens.
        """
        if len(self._memory) > SMALL and hasattr(mmap, "MADV_DONTNEED"):
            self._memory.madvise(mmap.MADV_DONTNEED)
