"""Memory that is free in this process goes back to the system."""

from __future__ import annotations

import ctypes
import mmap
from contextlib import suppress

import numpy as np

LARGE_BYTES = 1 << 26


def give_back_memory(freed: int) -> None:
    """Hand over what allocators keep of the memory that large tables were read with, lest workers find none.

    Args:
        freed: Bytes that were about in use; for less than 64 MiB nothing is done.
    """
    if freed < LARGE_BYTES:
        return
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):  # glibc alone keeps so much, and can be asked
        ctypes.CDLL(None).malloc_trim(0)


def let_go(values: object) -> None:
    """Have no pages in memory of an array that is mapped from a file to be read; who reads it again has them again.

    Args:
        values: Of anything else nothing is done.
    """
    base = values
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and memoryview(base).readonly and hasattr(mmap, "MADV_DONTNEED"):
        with suppress(OSError):  # of pages that are locked
            base.madvise(mmap.MADV_DONTNEED)
