"""Return unused memory of this process to the system."""

from __future__ import annotations

import ctypes
import mmap
from contextlib import suppress

import numpy as np

LARGE_BYTES = 1 << 26


def give_back_memory(freed: int) -> None:
    """Release memory that allocators still hold after reading a large table, so that workers can use it.

    Args:
        freed: Bytes that were in use; below 64 MiB nothing is done.
    """
    if freed < LARGE_BYTES:
        return
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):  # only glibc has this
        ctypes.CDLL(None).malloc_trim(0)


def release_pages(values: object) -> None:
    """Drop the resident pages of a read-only memory-mapped array; they are read again on demand.

    Args:
        values: The array; for any other object nothing is done.
    """
    base = values
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and memoryview(base).readonly and hasattr(mmap, "MADV_DONTNEED"):
        with suppress(OSError):  # locked pages
            base.madvise(mmap.MADV_DONTNEED)
