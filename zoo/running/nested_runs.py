"""Runs below a parent run, which are started, resumed, or read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.jobs.fit_options import TrainJob
from zoo.running.progress import Progress
from zoo.running.train import resume_train, run_train
from zoo.stored_runs.lookup import stored_run
from zoo.stored_runs.results import Run
from zoo.tracking.store import PARENT_TAG, Store
from zoo.tracking.tags import CHECKPOINT_FILE, REPEAT_TAG
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
    """Train one run below a parent; one that is finished is read back, and one that was cut is resumed.

    Args:
        job: The run's job, with experiment and name.
        parent: The run above it.
        key: What tells it from its siblings.
        known: MLflow's runs that are below the parent already, by key; see :func:`runs_below`.
        tags: Its tags, beside the usual ones.
        callbacks: Keras callbacks.
        progress: Where to show progress.
    """
    before = existing.get(key)
    if before is not None and before.info.status == "FINISHED":
        return stored_run(parent.store, before.info.run_id)
    if before is not None and (parent.store.state_of(before.info.run_id) / CHECKPOINT_FILE).exists():
        model, source = _own(job.model), _own(job.source)
        run: Run = resume_train(before.info.run_id, model=model, source=source, callbacks=callbacks, progress=progress)
        return run
    return run_train(
        job, callbacks=callbacks, progress=progress, parent=parent.run_id, tags={REPEAT_TAG: key, **(tags or {})}
    )


def runs_below(store: Store, run_id: str) -> dict[Any, Any]:
    """Return MLflow's runs below a parent, by what tells them apart; of several the finished one, else the latest."""
    below = store.search(f"tags.`{PARENT_TAG}` = '{run_id}'")  # the latest comes first, and shall win
    below.sort(key=lambda run: (run.info.status == "FINISHED", run.info.start_time))
    return {run.data.tags.get(REPEAT_TAG): run for run in below}


def _own(value: Any) -> Any:
    """A model or data in memory; what has a name is in the stored job."""
    return None if isinstance(value, str) else value
