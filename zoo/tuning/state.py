"""A search's folder: what survives a kill, replaced atomically, and the lock that keeps two drivers apart."""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from zoo.errors import UsageError
from zoo.job import TuneJob, job_yaml

STATE_FILE, LOCK_FILE = "search.json", "lock"
# What may differ between two commands that mean the same search.
_FREE = ("trials", "workers", "baselines", "experiment", "name")


class SearchFolder:
    """Where a search keeps its state, data and trials.

    Args:
        root: Folder of all searches.
        job: The search's job.
        digest: Digest of data and split.
    """

    def __init__(self, root: Path, job: TuneJob, digest: str) -> None:
        self.settled = _settled(job, digest)
        text = json.dumps(self.settled, sort_keys=True)
        self.digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        name = f"name-{re.sub(r'[^A-Za-z0-9._-]', '_', job.name)}" if job.name else self.digest
        self.path = root / name

    @property
    def data(self) -> Path:
        """Folder of the dataset and what was prepared of it."""
        return self.path / "data"

    def trial(self, trial_id: str) -> Path:
        """Folder of a trial, made when it is not there."""
        folder = self.path / "trials" / trial_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the search; the system lets go when the process ends, however it ends.

        Raises:
            UsageError: When another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / LOCK_FILE).open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.seek(0)
                raise UsageError(f"this search is running already, in process {lock.read() or '?'}") from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def read(self) -> dict[str, Any] | None:
        """Return what was stored; None for a search that is new.

        Raises:
            UsageError: When a search of this name was made from another job.
        """
        try:
            values: dict[str, Any] = json.loads((self.path / STATE_FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        if values["settled"] != self.settled:
            before = values["settled"]
            keys = [key for key in {**before, **self.settled} if before.get(key) != self.settled.get(key)]
            changed = "; ".join(f"{key} was {before.get(key)!r}, is {self.settled.get(key)!r}" for key in keys)
            raise UsageError(f"a search of this name was made from another job: {changed}", where="name")
        return values

    def write(self, values: dict[str, Any]) -> None:
        """Replace what is stored; a kill leaves the old or the new, whole."""
        writing = self.path / f".{STATE_FILE}"
        with writing.open("w", encoding="utf-8") as file:
            json.dump({"settled": self.settled, **values}, file)
            file.flush()
            os.fsync(file.fileno())
        writing.replace(self.path / STATE_FILE)

    def clear(self) -> None:
        """Forget a search that was stored; the lock stays."""
        for child in self.path.iterdir():
            if child.is_dir():
                shutil.rmtree(child)
            elif child.name != LOCK_FILE:
                child.unlink()

    def drop_data(self, keep: str) -> None:
        """Remove what a finished search needs no longer: data, and all trials' weights but the best's."""
        shutil.rmtree(self.data, ignore_errors=True)
        trials = self.path / "trials"
        for folder in trials.iterdir() if trials.is_dir() else []:
            if folder.name != keep:
                shutil.rmtree(folder, ignore_errors=True)


def _settled(job: TuneJob, digest: str) -> dict[str, Any]:
    """What makes two jobs the same search."""
    values = {key: value for key, value in yaml.safe_load(job_yaml(job)).items() if key not in _FREE}
    if not isinstance(job.model, str):
        values["model"] = _code_of(job.model)
    if not isinstance(job.source, str):
        values.pop("source")
    return {**values, "data": digest}


def _code_of(model: Any) -> str:
    """A user's own build function, known by its text: the same name may have been given to another one."""
    name = getattr(model, "__name__", type(model).__name__)
    try:
        text = inspect.getsource(model if inspect.isroutine(model) else type(model))
    except (OSError, TypeError):
        return name
    return f"{name} {hashlib.sha256(text.encode()).hexdigest()[:12]}"
