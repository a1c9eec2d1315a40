"""Nested runs: start, resume or load the child runs of a parent run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.jobs.fit_options import TrainJob
from zoo.running.progress import Progress
from zoo.running.train import can_resume, resume_train, run_train
from zoo.stored_runs.lookup import load_run
from zoo.stored_runs.results import Run
from zoo.task import load_task
from zoo.text import remove_passwords
from zoo.tracking.store import PARENT_TAG, Store
from zoo.tracking.tags import REPEAT_TAG, unpack_tags
from zoo.tracking.tracked_run import TrackedRun


def run_child(
    job: TrainJob,
    parent: TrackedRun,
    key: str,
    existing: Mapping[Any, Any],
    *,
    tags: Mapping[str, str] | None = None,
    callbacks: Sequence[Any] = (),
    progress: Progress,
) -> Run:
    """Train a child run; load it if it is finished, and resume it if it was interrupted.

    Args:
        job: The run's job, with experiment and name.
        parent: The parent run.
        key: Key that identifies the run among the children of its parent.
        existing: Existing MLflow child runs by key; see :func:`find_runs_below`.
        tags: Additional tags.
        callbacks: Keras callbacks.
        progress: Where to show progress.
    """
    before = existing.get(key)
    if before is not None and before.info.status == "FINISHED":
        return load_run(parent.store, before.info.run_id)
    if before is not None and can_resume(parent.store, before):
        given: dict[str, Any] = {
            name: value for name in ("model", "source", "test") if _is_own(value := getattr(job, name))
        }
        may_change = load_task(unpack_tags(before)["zoo.task"]).options.may_change
        given["options"] = {name: value for name, value in job.options.items() if name in may_change}
        run: Run = resume_train(before.info.run_id, callbacks=callbacks, progress=progress, **given)
        return run
    return run_train(
        job, callbacks=callbacks, progress=progress, parent=parent.run_id, tags={REPEAT_TAG: key, **(tags or {})}
    )


def find_runs_below(store: Store, run_id: str) -> dict[Any, Any]:
    """Return the MLflow child runs of a parent by key; among duplicates, prefer a finished run, then the latest."""
    below = store.search(f"tags.`{PARENT_TAG}` = '{run_id}'")  # latest first; the sort and dict below keep the last
    below.sort(key=lambda run: (run.info.status == "FINISHED", run.info.start_time))
    return {run.data.tags.get(REPEAT_TAG): run for run in below}


def _is_own(value: Any) -> bool:
    """Return whether the stored job does not contain a value: something in memory, or an address with a password."""
    return remove_passwords(value) != value if isinstance(value, str) else value is not None
