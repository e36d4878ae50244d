"""Freed memory: kept for the next step, and given back now and then."""

import ctypes
import platform
from functools import cache

import pytorch_lightning as pl


def keep_freed_memory() -> None:
    """Tell glibc to reuse large freed blocks instead of returning them to the kernel.

    Every training step frees and takes the same tensors; handing their pages back and forth cost
    a quarter of the step's time where it was measured. Elsewhere than on glibc nothing happens.
    """
    if (libc := _glibc()) is not None:
        libc.mallopt(ctypes.c_int(-3), ctypes.c_int(2**30))  # M_MMAP_THRESHOLD
        libc.mallopt(ctypes.c_int(-1), ctypes.c_int(2**31 - 1))  # M_TRIM_THRESHOLD


class ReturnsMemory(pl.Callback):
    """Gives freed memory back every so many steps.

    Batches differ in length, so that what is kept falls into pieces that fit no later tensor: on
    sequences of up to 160 tokens it grew to 10 GB in 500 steps, of which under 2 GB were in use.
    """

    STEPS = 20

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *batch: object
    ) -> None:
        """Give back, where it is time."""
        libc = _glibc()
        if libc is not None and trainer.global_step % self.STEPS == 0:
            libc.malloc_trim(ctypes.c_size_t(0))


@cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL("libc.so.6") if platform.libc_ver()[0] == "glibc" else None
