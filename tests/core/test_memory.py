import mmap
import platform

import numpy as np
import pytest

from core.memory import ReturnsMemory, keep_freed_memory, resident_pages

MEBIBYTE = 2**20


def resident() -> float:
    """MiB of this process."""
    return resident_pages() * mmap.PAGESIZE / MEBIBYTE


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps freed memory")
def test_memory_between_what_is_in_use_is_kept_and_then_given_back():
    keep_freed_memory()
    blocks = [np.ones(MEBIBYTE, np.uint8) for _ in range(400)]
    in_use = blocks[::8]  # what is left between the holes
    full = resident()
    del blocks
    assert resident() > full - 50
    ReturnsMemory().on_train_batch_end(None, None)  # far from half of the machine's
    assert resident() > full - 50
    ReturnsMemory(limit=0).on_train_batch_end(None, None)
    assert resident() < full - 250
    assert all(block.all() for block in in_use)
