"""A search's folder: what survives a kill, replaced atomically, and the lock that keeps two drivers apart."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import inspect
import json
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras_tuner
import yaml

from zoo.errors import UsageError
from zoo.jobs.job import job_yaml
from zoo.jobs.search_options import TuneJob
from zoo.registry import code_digest
from zoo.tuning.storage.shared_storage import Storage
from zoo.version import __version__

STATE_FILE, JOURNAL_FILE, LOCK_FILE = "search.json", "changes.jsonl", "lock"
# What may differ between two commands that mean the same search.
MAY_CHANGE = (
    "trials", "workers", "time_budget", "keep", "refit", "baselines", "figures", "cluster", "storage", "cpus",
    "gpus",
)  # fmt: skip
_FREE = (*MAY_CHANGE, "fresh", "experiment", "name")


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
        self.storage = Storage(job.storage, name) if job.storage is not None else None

    @property
    def data(self) -> Path:
        """Folder of the dataset and what was prepared of it."""
        return self.path / "data"

    def trial(self, trial_id: str) -> Path:
        """Folder of a trial, made when it is not there."""
        folder = self.path / "trials" / trial_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def has_begun(self, trial_id: str) -> bool:
        """Tell whether a trial's process was started, and may have left something."""
        return (self.path / "trials" / trial_id).is_dir()

    def share_data(self) -> None:
        """Send the data to where a cluster's nodes fetch them."""
        if self.storage is not None:
            self.storage.send_folder(self.data, "data")

    def fetch_trial(self, trial_id: str) -> None:
        """Take from the shared storage what a trial has written there."""
        if self.storage is not None:
            self.storage.fetch_folder(f"trials/{trial_id}", self.trial(trial_id))

    @contextlib.contextmanager
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

    def run_id(self) -> str | None:
        """Return the parent run of the search that is stored; None without one."""
        try:
            return str(json.loads((self.path / STATE_FILE).read_text(encoding="utf-8"))["run_id"])
        except FileNotFoundError:
            return None

    def read(self) -> dict[str, Any] | None:
        """Return what was stored; None for a search that is new.

        Raises:
            UsageError: When a search of this name was made from another job.
        """
        try:
            values: dict[str, Any] = json.loads((self.path / STATE_FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        for line in self._journal():
            values = _merged(values, line)
        if values["settled"] != self.settled:
            before = values["settled"]
            keys = [key for key in {**before, **self.settled} if before.get(key) != self.settled.get(key)]
            changed = "; ".join(f"{key} was {before.get(key)!r}, is {self.settled.get(key)!r}" for key in keys)
            raise UsageError(f"a search of this name was made from another job: {changed}", where="name")
        return values

    def check_version(self, stored: Mapping[str, Any]) -> None:
        """Refuse to go on with what another version of zoo began: its scores and the next ones may not compare.

        Raises:
            UsageError: With both versions.
        """
        before = stored.get("zoo", __version__)
        if before != __version__:
            raise UsageError(
                f"this search was begun by zoo {before}, and this is {__version__}: their scores may not compare; go "
                "on with that version, or begin anew with --fresh",
                where="resume",
            )

    def write(self, values: dict[str, Any]) -> None:
        """Replace what is stored; a kill leaves the old or the new, whole."""
        writing = self.path / f".{STATE_FILE}"
        with writing.open("w", encoding="utf-8") as file:
            json.dump({"settled": self.settled, "zoo": __version__, **values}, file)
            file.flush()
            os.fsync(file.fileno())
        writing.replace(self.path / STATE_FILE)
        (self.path / JOURNAL_FILE).unlink(missing_ok=True)

    def append(self, values: dict[str, Any]) -> None:
        """Add a line of what changed since all was stored."""
        with (self.path / JOURNAL_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _journal(self) -> Iterator[dict[str, Any]]:
        """The lines of changes; a kill may have cut the last one short."""
        path = self.path / JOURNAL_FILE
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        with contextlib.suppress(json.JSONDecodeError):
            for line in lines:
                yield json.loads(line)

    def clear(self) -> None:
        """Forget a search that was stored; the lock stays."""
        for child in self.path.iterdir():
            if child.is_dir():
                shutil.rmtree(child)
            elif child.name != LOCK_FILE:
                child.unlink()
        if self.storage is not None:
            self.storage.drop()

    def drop_trial(self, trial_id: str) -> None:
        """Remove a trial's checkpoints and weights, here and on shared storage."""
        self._remove_trial(trial_id)
        if self.storage is not None:
            self.storage.drop(f"trials/{trial_id}")

    def drop_data(self, keep: Collection[str]) -> None:
        """Remove what a finished search needs no longer: data, and the weights of all trials but the best."""
        if self.storage is not None:
            self.storage.drop()
        shutil.rmtree(self.data, ignore_errors=True)
        trials = self.path / "trials"
        for folder in trials.iterdir() if trials.is_dir() else []:
            if folder.name not in keep:
                self._remove_trial(folder.name)

    def _remove_trial(self, trial_id: str) -> None:
        shutil.rmtree(self.path / "trials" / trial_id, ignore_errors=True)


def _merged(whole: dict[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored with a line of changes applied: dictionaries are merged, other values replaced."""
    made = dict(whole)
    for key, values in changed.items():
        if key in ("trials", "fits"):
            made[key] = {**made.get(key, {}), **values}
        elif key in ("rungs", "oracle"):
            made[key] = dict(made.get(key, {}))
            for name, inner in values.items():
                made[key][name] = {**made[key].get(name, {}), **inner}
        else:
            made[key] = values
    return made


def _settled(job: TuneJob, digest: str) -> dict[str, Any]:
    """What makes two jobs the same search."""
    values = {key: value for key, value in yaml.safe_load(job_yaml(job)).items() if key not in _FREE}
    values["model"] = f"{job.model} {code_digest(job.model)}" if isinstance(job.model, str) else _code_of(job.model)
    if not isinstance(job.source, str):
        values.pop("source")
    return {**values, "data": digest}


def _code_of(model: Any) -> str:
    """A user's own model, known by its text and by the values that it holds: names are given twice."""
    name = getattr(model, "__name__", type(model).__name__)
    parts: list[str] = []
    _describe(model, parts, set())
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", "\n".join(parts))  # where an object lies in memory says nothing
    return f"{name} {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _describe(value: Any, parts: list[str], seen: set[int]) -> None:
    """Take down source text and held values, of what a model refers to as well."""
    if id(value) in seen or len(seen) > 1000:
        return
    seen.add(id(value))
    if isinstance(value, functools.partial):
        for held in (value.func, *value.args, *value.keywords.values()):
            _describe(held, parts, seen)
    elif inspect.isfunction(value) or inspect.ismethod(value):
        parts.append(_source(value))
        inner = inspect.unwrap(value.__func__ if inspect.ismethod(value) else value)
        for cell in inner.__closure__ or ():
            with contextlib.suppress(ValueError):  # a cell that is not filled yet
                _describe(cell.cell_contents, parts, seen)
        if inspect.ismethod(value):
            _describe(value.__self__, parts, seen)
    elif isinstance(value, keras_tuner.HyperModel):
        parts.append(_source(type(value)))
        _describe(type(value).build, parts, seen)
        for key, held in sorted(vars(value).items()):
            parts.append(key)
            _describe(held, parts, seen)
    else:
        parts.append(repr(value))


def _source(value: Any) -> str:
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):
        return repr(value)
