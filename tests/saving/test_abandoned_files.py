"""Files of killed processes are removed; those of running ones stay."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from zoo.saving.abandoned_files import create_prefix, remove_abandoned, remove_autograph_files
from zoo.tuning.storage.search_folder import remove_abandoned_calls


def test_only_files_of_ended_processes_are_removed(tmp_path: Path) -> None:
    script = "from zoo.saving.abandoned_files import create_prefix; print(create_prefix('onnx'))"
    ended = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    (tmp_path / f"{ended.stdout.strip()}abc").mkdir()
    running = tmp_path / f"{create_prefix('onnx')}abc"
    elsewhere = tmp_path / ".onnx-1-2-another_host-abc"
    of_a_user = tmp_path / ".onnx-notes"
    for path in (running, elsewhere, of_a_user):
        path.mkdir()
    remove_abandoned(tmp_path, "onnx")
    assert sorted(tmp_path.iterdir()) == sorted([running, elsewhere, of_a_user])


def test_calls_of_a_running_search_stay(tmp_path: Path) -> None:
    for name in ("killed", "running"):
        (tmp_path / name / "calls").mkdir(parents=True)
        (tmp_path / name / "calls" / "1.call").touch()
        (tmp_path / name / "lock").touch()
    with (tmp_path / "running" / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_abandoned_calls(tmp_path)
    assert list(tmp_path.glob("*/calls/*")) == [tmp_path / "running" / "calls" / "1.call"]


def test_generated_files_that_a_running_process_may_need_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow  # noqa: F401  this process is one that may need them

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    old, new = tmp_path / "__autograph_generated_file1.py", tmp_path / "__autograph_generated_file2.py"
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    remove_autograph_files()
    assert list(tmp_path.iterdir()) == [new]


def test_the_temporary_folder_of_a_killed_process_is_removed_by_the_next(tmp_path: Path) -> None:
    script = "from zoo.saving.abandoned_files import open_temporary_folder as f\nwith f() as p: print(p, flush=True); "
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", f"{script}input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().decode().strip())
        assert folder.is_dir()
        command = [sys.executable, "-c", f"{script}pass"]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        assert folder.is_dir()  # its process is alive
        process.kill()
        process.wait()
        subprocess.run(command, env=environment, check=True, capture_output=True)
    assert list(tmp_path.iterdir()) == []
