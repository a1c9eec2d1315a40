"""Damaged files: each is read, or ends in an error that names it; none in a traceback, a hang or more than 2 GiB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
FAST, ALL = 60, 2000  # making number 60 takes longer than reading all before it


def outcomes(folder: Path, first: int, last: int) -> list[dict[str, Any]]:
    """How the files of these numbers ended, read in a process of its own."""
    done = subprocess.run(
        [sys.executable, HERE / "damaged_files.py", folder, str(first), str(last)],
        capture_output=True,
        text=True,
        timeout=30 + 3 * (last - first),
        env=os.environ | {"PYTHONPATH": str(HERE.parent.parent)},
    )
    assert done.returncode == 0, f"after {done.stdout[-500:]}: {done.stderr[-2000:]}"
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(reports: list[dict[str, Any]], count: int) -> None:
    assert len(reports) == count
    assert [one for one in reports if "traceback" in one] == []
    nameless = [one for one in reports if "error" in one and not str(one["where"]).startswith(one["path"])]
    assert nameless == []
    assert sum("rows" in one for one in reports) > count // 10  # damage that does no harm is read
    assert sum("error" in one for one in reports) > count // 3


def test_damaged_files(tmp_path: Path) -> None:
    check(outcomes(tmp_path, 0, FAST), FAST)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, ALL, 500))
def test_two_thousand_damaged_files(tmp_path: Path, first: int) -> None:
    check(outcomes(tmp_path, first, first + 500), 500)
