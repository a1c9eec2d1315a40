"""Memory that is given back: pages of mapped arrays."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from zoo.data.memory import release_pages

MIB = 1 << 20


def mapped_mib() -> float:
    return psutil.Process().memory_info().shared / MIB


@pytest.mark.skipif(sys.platform != "linux", reason="shared memory of a process is told by Linux alone")
def test_pages_of_a_mapped_array_are_let_go_and_come_back(tmp_path: Path) -> None:
    written = np.arange(64 * MIB // 8)
    np.save(tmp_path / "numbers.npy", written)
    mapped = np.load(tmp_path / "numbers.npy", mmap_mode="r")
    before = mapped_mib()
    assert mapped.sum() == written.sum()
    read = mapped_mib()
    release_pages(np.asarray(mapped)[100:])
    assert read - before > 60
    assert mapped_mib() - before < 4
    assert np.array_equal(mapped, written)


def test_what_was_written_to_a_mapped_copy_stays(tmp_path: Path) -> None:
    np.save(tmp_path / "numbers.npy", np.zeros(100_000))
    mapped = np.load(tmp_path / "numbers.npy", mmap_mode="c")
    mapped += 1
    sealed = mapped[:]
    sealed.setflags(write=False)
    for values in (mapped, mapped[10:], sealed, [1, 2], None, np.ones(3)):
        release_pages(values)
    assert (mapped == 1).all()
