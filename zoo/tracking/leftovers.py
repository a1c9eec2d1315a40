"""Leftovers of failed, killed or deleted runs: find them, and remove them for good."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import JobError
from zoo.tracking.store import PARENT_TAG, Store

_RUN_ID_LENGTH = 32
CHECKPOINTS = "checkpoint.*"


@dataclass(frozen=True)
class Leftover:
    """A run, or files, that nothing refers to any more.

    Args:
        what: Such as ``failed run``.
        name: MLflow's id, or a path below the folder of runs.
        why: The reason, if known.
        size: Size of its files in bytes.
    """

    what: str
    name: str
    why: str
    size: int


def find_leftovers(store: Store) -> tuple[list[Leftover], int]:
    """Return what can be removed, and the number of resumable runs, which are kept.

    Args:
        store: Where runs are kept.
    """
    leftovers: list[Leftover] = []
    resumable = 0
    for status, word in (("FAILED", "failed"), ("KILLED", "killed")):
        for run in store.search(f"attributes.status = '{status}'"):
            if run.data.tags.get(PARENT_TAG):
                continue  # belongs to a search, or is resumed with its parent
            if _is_resumable(store, run):
                resumable += 1
                continue
            reason = (run.data.tags.get("zoo.reason", "").splitlines() or [""])[0]
            leftovers.append(Leftover(f"{word} run", run.info.run_id, reason, _size(_files_of(store, run))))
    for run in store.search(deleted=True):
        leftovers.append(Leftover("deleted run", run.info.run_id, "deleted in MLflow", _size(_files_of(store, run))))
    return leftovers + _files_without_a_run(store), resumable


def remove_leftovers(store: Store, leftovers: list[Leftover]) -> None:
    """Remove leftovers for good: runs with their files, and files without a run.

    Raises:
        JobError: When MLflow could not remove a run.
    """
    ids = [leftover.name for leftover in leftovers if leftover.what.endswith(" run") and "without" not in leftover.what]
    gone = {run.info.run_id for run in store.search(deleted=True)}
    for run_id in ids:
        if run_id not in gone:
            store.client.delete_run(run_id)
        shutil.rmtree(store.state_of(run_id), ignore_errors=True)
    if ids and store.is_database:
        command = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", store.uri, "--tracking-uri", store.uri]
        ended = subprocess.run([*command, "--run-ids", ",".join(ids)], capture_output=True, text=True, check=False)
        if ended.returncode:
            raise JobError(f"MLflow could not remove the runs: {ended.stderr.strip().splitlines()[-1]}")
    if store.local is not None:
        for run_id in ids:  # MLflow leaves an empty folder
            shutil.rmtree(store.folder / "artifacts" / run_id, ignore_errors=True)
    for leftover in leftovers:
        if leftover.name not in ids:
            shutil.rmtree(store.folder / leftover.name, ignore_errors=True)


def _is_resumable(store: Store, run: Any) -> bool:
    """Return whether a run has a checkpoint, or finished runs below it."""
    if list((store.state_of(run.info.run_id)).glob(CHECKPOINTS)):
        return True
    below = f"tags.`{PARENT_TAG}` = '{run.info.run_id}' and attributes.status = 'FINISHED'"
    return bool(store.search(below, limit=1))


def _files_without_a_run(store: Store) -> list[Leftover]:
    """Return files of runs, models and searches whose run does not exist."""
    if store.local is None:
        return []
    run_ids = {run.info.run_id for deleted in (False, True) for run in store.search(deleted=deleted)}
    artifacts = store.folder / "artifacts"
    leftovers = [
        _leftover(store, "files without a run", path, "no run has this id")
        for folder in (artifacts, store.state)
        for path in _folders(folder)
        if len(path.name) == _RUN_ID_LENGTH and path.name not in run_ids
    ]
    models = store.model_runs()
    for path in _folders(artifacts / "models"):
        if models.get(path.name) not in run_ids:
            leftovers.append(_leftover(store, "model without a run", path, "no run has it"))
    for path in _folders(store.state / "searches"):
        try:
            run_id = json.loads((path / "search.json").read_text(encoding="utf-8"))["run_id"]
        except (OSError, ValueError, LookupError):
            continue  # being created at the moment, or unreadable
        if run_id not in run_ids:
            leftovers.append(_leftover(store, "state of a search without a run", path, f"its run was {run_id}"))
    return leftovers


def _leftover(store: Store, what: str, path: Path, why: str) -> Leftover:
    return Leftover(what, path.relative_to(store.folder).as_posix(), why, _size([path]))


def _files_of(store: Store, run: Any) -> list[Path]:
    if store.local is None:
        return []
    return [store.folder / "artifacts" / run.info.run_id, store.state_of(run.info.run_id)]


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _size(folders: list[Path]) -> int:
    return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())
