"""The folder of a search: state that is replaced atomically, and a lock that allows one driver at a time."""

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
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import keras_tuner
import yaml

from zoo.errors import UsageError
from zoo.jobs.job import format_job
from zoo.jobs.search_options import TuneJob
from zoo.registry import compute_code_digest
from zoo.tuning.storage.equivalent_code import EARLIER_CODE
from zoo.tuning.storage.shared_storage import Storage
from zoo.version import __version__

STATE_FILE, JOURNAL_FILE, LOCK_FILE = "search.json", "changes.jsonl", "lock"
# Options that may differ between two commands for the same search.
MAY_CHANGE = (
    "trials", "workers", "time_budget", "keep", "select", "refit", "baselines", "figures", "cluster", "storage", "cpus",
    "gpus",
)  # fmt: skip
_LOCK_WAIT_S = 1.0  # another command that removes abandoned files holds the lock for a moment
_FREE = (*MAY_CHANGE, "fresh", "experiment", "name")


class SearchFolder:
    """The folder where a search keeps its state, data and trials.

    Args:
        root: Folder of all searches.
        job: The search's job.
        digest: Digest of data and split.
        options: The options of the task that are part of what the search is.
    """

    def __init__(self, root: Path, job: TuneJob, digest: str, options: Mapping[str, Any]) -> None:
        self.identity = _identity(job.model_copy(update={"options": dict(options)}), digest)
        text = json.dumps(self.identity, sort_keys=True)
        self.digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        name = f"name-{re.sub(r'[^A-Za-z0-9._-]', '_', job.name)}" if job.name else self.digest
        self.path = root / name
        self.storage = Storage(job.storage, name) if job.storage is not None else None

    @property
    def data(self) -> Path:
        """Folder of the dataset and its preprocessed arrays."""
        return self.path / "data"

    def trial(self, trial_id: str) -> Path:
        """Return the folder of a trial; create it if needed."""
        folder = self.path / "trials" / trial_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def has_begun(self, trial_id: str) -> bool:
        """Return whether a trial's process was started, and may have left files."""
        return (self.path / "trials" / trial_id).is_dir()

    def share_data(self) -> None:
        """Copy the data to the shared storage, where the nodes of a cluster fetch them."""
        if self.storage is not None:
            self.storage.send_folder(self.data, "data")

    def fetch_trial(self, trial_id: str) -> None:
        """Fetch the files that a trial has written to the shared storage."""
        if self.storage is not None:
            self.storage.fetch_folder(f"trials/{trial_id}", self.trial(trial_id))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the search; the operating system releases the lock whenever the process ends.

        Raises:
            UsageError: When another process holds the lock.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / LOCK_FILE).open("a+") as lock:
            deadline = time.monotonic() + _LOCK_WAIT_S
            while not _lock(lock):
                if time.monotonic() > deadline:
                    lock.seek(0)
                    raise UsageError(f"this search is already running in process {lock.read() or '?'}")
                time.sleep(0.05)
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def run_id(self) -> str | None:
        """Return the parent run of the stored search, or None."""
        try:
            return str(json.loads((self.path / STATE_FILE).read_text(encoding="utf-8"))["run_id"])
        except FileNotFoundError:
            return None

    def read(self) -> dict[str, Any] | None:
        """Return the stored search, or None for a new one.

        Raises:
            UsageError: When the stored search of this name has another job.
        """
        try:
            values: dict[str, Any] = json.loads((self.path / STATE_FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        for line in self._journal():
            values = _merged(values, line)
        if values["settled"] != self.identity:
            before = values["settled"]
            keys = [key for key in {**before, **self.identity} if before.get(key) != self.identity.get(key)]
            changed = "; ".join(f"{key} was {before.get(key)!r}, is {self.identity.get(key)!r}" for key in keys)
            raise UsageError(f"a search of this name exists with other options: {changed}", where="name")
        return values

    def check_version(self, stored: Mapping[str, Any]) -> None:
        """Raise an error if another version of zoo began the search: its scores may not be comparable.

        Raises:
            UsageError: With both versions.
        """
        before = stored.get("zoo", __version__)
        if before != __version__:
            raise UsageError(
                f"this search was started with zoo {before}, but this is {__version__}, and their scores may not be "
                "comparable; resume with that version, or start again with --fresh",
                where="resume",
            )

    def write(self, values: dict[str, Any]) -> None:
        """Replace what is stored; after a kill the old or the new file is there, complete."""
        writing = self.path / f".{STATE_FILE}"
        with writing.open("w", encoding="utf-8") as file:
            json.dump({"settled": self.identity, "zoo": __version__, **values}, file)
            file.flush()
            os.fsync(file.fileno())
        writing.replace(self.path / STATE_FILE)
        (self.path / JOURNAL_FILE).unlink(missing_ok=True)

    def append(self, values: dict[str, Any]) -> None:
        """Add a line with the changes since the last snapshot."""
        with (self.path / JOURNAL_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _journal(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of the journal; a kill may have truncated the last one."""
        path = self.path / JOURNAL_FILE
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        with contextlib.suppress(json.JSONDecodeError):
            for line in lines:
                yield json.loads(line)

    def clear(self) -> None:
        """Remove the stored search; the lock file stays."""
        for child in self.path.iterdir():
            if child.is_dir():
                shutil.rmtree(child)
            elif child.name != LOCK_FILE:
                child.unlink()
        if self.storage is not None:
            self.storage.drop()

    def drop_trial(self, trial_id: str) -> None:
        """Remove a trial's checkpoints and weights, here and on the shared storage."""
        self._remove_trial(trial_id)
        if self.storage is not None:
            self.storage.drop(f"trials/{trial_id}")

    def drop_data(self, keep: Collection[str]) -> None:
        """Remove what a finished search no longer needs: the data, and the weights of all trials not in ``keep``."""
        if self.storage is not None:
            self.storage.drop()
        shutil.rmtree(self.data, ignore_errors=True)
        trials = self.path / "trials"
        for folder in trials.iterdir() if trials.is_dir() else []:
            if folder.name not in keep:
                self._remove_trial(folder.name)

    def _remove_trial(self, trial_id: str) -> None:
        shutil.rmtree(self.path / "trials" / trial_id, ignore_errors=True)


def remove_abandoned_calls(root: Path) -> None:
    """Remove the files of calls in searches that no process holds the lock of: their driver was killed.

    Args:
        root: Folder of all searches.
    """
    for calls in root.glob("*/calls"):
        with contextlib.suppress(OSError), (calls.parent / LOCK_FILE).open("a") as lock:
            if _lock(lock):
                for file in calls.glob("*.call"):
                    file.unlink()


def _lock(file: IO[str]) -> bool:
    """Lock a file and return whether no other process holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _merged(stored: dict[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored values with one journal line applied: dictionaries are merged, other values replaced."""
    merged = dict(stored)
    for key, values in changed.items():
        if key in ("trials", "fits"):
            merged[key] = {**merged.get(key, {}), **values}
        elif key in ("rungs", "oracle"):
            merged[key] = dict(merged.get(key, {}))
            for name, inner in values.items():
                merged[key][name] = {**merged[key].get(name, {}), **inner}
        else:
            merged[key] = values
    return merged


def _identity(job: TuneJob, digest: str) -> dict[str, Any]:
    """Return the values that make two jobs the same search."""
    values = {key: value for key, value in yaml.safe_load(format_job(job)).items() if key not in _FREE}
    values["model"] = f"{job.model} {_digest_of(job.model)}" if isinstance(job.model, str) else _code_of(job.model)
    if not isinstance(job.source, str):
        values.pop("source")
    return {**values, "data": digest}


def _digest_of(pattern: str) -> str:
    digest = compute_code_digest(pattern)
    return EARLIER_CODE.get(digest, digest)


def _code_of(model: Any) -> str:
    """Identify a user's own model by its source code and the values that it holds; names are not unique."""
    name = getattr(model, "__name__", type(model).__name__)
    parts: list[str] = []
    _describe(model, parts, set())
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", "\n".join(parts))  # the address of an object is not part of its identity
    return f"{name} {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _describe(value: Any, parts: list[str], seen: set[int]) -> None:
    """Append the source code and values of a model to ``parts``, and of everything that it refers to."""
    if id(value) in seen or len(seen) > 1000:
        return
    seen.add(id(value))
    if isinstance(value, functools.partial):
        for inner_value in (value.func, *value.args, *value.keywords.values()):
            _describe(inner_value, parts, seen)
    elif inspect.isfunction(value) or inspect.ismethod(value):
        parts.append(_source(value))
        inner = inspect.unwrap(value.__func__ if inspect.ismethod(value) else value)
        for cell in inner.__closure__ or ():
            with contextlib.suppress(ValueError):  # an empty cell
                _describe(cell.cell_contents, parts, seen)
        if inspect.ismethod(value):
            _describe(value.__self__, parts, seen)
    elif isinstance(value, keras_tuner.HyperModel):
        parts.append(_source(type(value)))
        _describe(type(value).build, parts, seen)
        for key, inner_value in sorted(vars(value).items()):
            parts.append(key)
            _describe(inner_value, parts, seen)
    else:
        parts.append(repr(value))


def _source(value: Any) -> str:
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):
        return repr(value)
