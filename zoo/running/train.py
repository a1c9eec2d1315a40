"""Execute a train job as one tracked run, together with its baselines."""

from __future__ import annotations

import dataclasses
import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from zoo.data.dataset import Dataset
from zoo.errors import UsageError
from zoo.fitting.fit import Fitted, Plan, fit_built
from zoo.fitting.model_builder import ModelBuilder, create_model_builder
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import format_job
from zoo.models.built_model import BuiltModel
from zoo.running.baselines import run_baselines
from zoo.running.finish import finish_run, keep_model
from zoo.running.progress import Progress
from zoo.running.run_facts import begin_run, check_same_data, name_experiment, run_tags, show_scores
from zoo.seeding import require_deterministic_kernels
from zoo.stored_runs.lookup import load_job
from zoo.stored_runs.results import Run
from zoo.tracking.process_tags import is_running
from zoo.tracking.store import Store
from zoo.tracking.tags import (
    CHECKPOINT_FILE,
    COMPARED,
    FOLD,
    HOST_TAG,
    JOB_TAG,
    PROCESS_TAG,
    REPRODUCTION,
    unpack_tags,
)
from zoo.tracking.tracked_run import TrackedRun, end_run
from zoo.training.recorder import Recorder, Recorders


def run_train(
    job: TrainJob,
    *,
    callbacks: Sequence[Any] = (),
    progress: Progress | None = None,
    parent: str | None = None,
    tags: Mapping[str, str] | None = None,
    dataset: Dataset | None = None,
) -> Run:
    """Execute a train job as a single run; see :func:`train`.

    Args:
        job: The job, without ``seeds`` and ``cv``.
        callbacks: Keras callbacks.
        progress: Where to show progress.
        parent: MLflow id of the parent run.
        tags: Additional tags.
        dataset: The job's dataset, if already read.
    """
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise UsageError(
                f"a callback must be a keras.callbacks.Callback; received a {type(callback).__name__}",
                where="callbacks",
            )
    if job.deterministic:
        require_deterministic_kernels()
    builder = create_model_builder(job.model, job.task, hardware=job.hardware)
    dataset = dataset if dataset is not None else builder.task.read(job)
    builder.task.check_calibration(dataset, job)
    training = _Training.of(job, builder, dataset, callbacks, progress)
    store = Store()
    store.close_orphans()
    experiment = store.experiment(job.experiment or name_experiment(dataset))
    tracked = TrackedRun.create(
        store,
        experiment,
        job.name or f"{builder.name} on {dataset.name}",
        tags={**_tags(job, builder, dataset), **(tags or {})},
        parent=parent,
    )
    with end_run(tracked):
        begin_run(tracked, job, dataset, training.hyperparameters)
        return _fit_and_finish(training, tracked, experiment)


def resume_train(
    run_id: str,
    *,
    callbacks: Sequence[Any] = (),
    progress: Progress | None = None,
    **given: Any,
) -> Run:
    """Resume a single run from its last epoch, or start it anew if it was killed before its first.

    See :func:`zoo.running.dispatch.train`.

    Args:
        run_id: MLflow's id.
        callbacks: Keras callbacks.
        progress: Where to show progress.
        **given: Keys of the job that are not stored as they are: models and data in memory, addresses with passwords;
            and ``options`` that change no result.
    """
    store = Store()
    run = store.run(run_id)
    changes = {key: value for key, value in given.items() if value is not None}
    job = _job_of(store, run, changes)
    if job.deterministic:
        require_deterministic_kernels()
    builder = create_model_builder(job.model, job.task, hardware=job.hardware)
    dataset = builder.task.read(job)
    check_same_data(run, dataset)
    training = _Training.of(job, builder, dataset, callbacks, progress)
    tracked = TrackedRun.reopen(store, run.info.run_id)
    with end_run(tracked):
        if not has_checkpoint(store, run):  # perhaps killed before all of this was logged
            begin_run(tracked, job, dataset, training.hyperparameters)
        return _fit_and_finish(training, tracked, store.client.get_experiment(run.info.experiment_id))


@dataclasses.dataclass(frozen=True)
class _Training:
    """A model that is built but not trained, so that errors in a job are reported before its run starts."""

    job: TrainJob
    builder: ModelBuilder
    dataset: Dataset
    built_model: BuiltModel
    hyperparameters: Mapping[str, Any]
    callbacks: Sequence[Any]
    progress: Progress

    @classmethod
    def of(
        cls,
        job: TrainJob,
        builder: ModelBuilder,
        dataset: Dataset,
        callbacks: Sequence[Any],
        progress: Progress | None,
    ) -> _Training:
        built_model, hp = builder.build_checked(job.hyperparameters, dataset.spec, seed=job.seed)
        if job.track_layers and built_model.trainer is not None:
            raise UsageError(
                f"{builder.name} is not trained by the common loop, which tracks layers", where="track_layers"
            )
        values = {**hp.values, **({"epochs": job.epochs} if job.epochs is not None else {})}
        return cls(job, builder, dataset, built_model, values, callbacks, progress or Progress(quiet=True))

    def fit(self, recorder: Recorder, checkpoint: Path) -> Fitted:
        """Train the model, resuming from its checkpoint if there is one."""
        plan = Plan(
            seed=self.job.seed,
            recorder=recorder,
            checkpoint=checkpoint,
            callbacks=self.callbacks,
            track_layers=self.job.track_layers,
        )
        try:
            return fit_built(self.builder, self.built_model, self.dataset, self.hyperparameters, plan)
        finally:
            self.progress.close()


def _fit_and_finish(training: _Training, tracked: TrackedRun, experiment: Any) -> Run:
    job, progress, dataset = training.job, training.progress, training.dataset
    checkpoint = tracked.store.state_of(tracked.run_id) / CHECKPOINT_FILE
    tracked.watch_machine()
    try:
        fitted = training.fit(Recorders([tracked, progress]), checkpoint)
    except KeyboardInterrupt:  # an interrupt after an epoch ends training with a result
        state = (
            "the last checkpoint is kept; to resume" if checkpoint.exists() else "no weights are kept; to begin again"
        )
        progress.say(f"stopped before the end of an epoch; {state}: zoo train --resume {tracked.run_id[:8]}")
        raise
    tracked.flush()
    if fitted.result.stopped == "interrupted":
        keep_model(tracked, fitted)  # the test split is evaluated only after training is complete
        progress.say(
            f"stopped after epoch {fitted.result.epochs_run}; the best weights so far are kept: "
            f"zoo predict {tracked.run_id[:8]} …; to resume: zoo train --resume {tracked.run_id[:8]}"
        )
        raise KeyboardInterrupt
    try:
        baselines, notes = run_baselines(
            training.builder.task,
            dataset,
            job.baselines,
            store=tracked.store,
            experiment=experiment,
            seed=job.seed,
            threshold=job.threshold,
        )
        if job.track_layers:
            where = "metrics of each epoch" + (" and figures/layers.png" if job.figures else "")
            notes.append(f"gradient norms and dead units of each layer are in the run's {where}; see zoo ui")
        run = finish_run(tracked, job, fitted, baselines, (*dataset.notes, *notes))
    except KeyboardInterrupt:
        progress.say(
            "stopped before baselines and scores; the trained weights are kept; to resume: "
            f"zoo train --resume {tracked.run_id[:8]}"
        )
        raise
    show_scores(tracked.store, experiment, run, params=("learning_rate", "batch_size"))
    _remove(checkpoint)
    return run


def _job_of(store: Store, run: Any, changes: Mapping[str, Any]) -> TrainJob:
    """Return the job of a run with changes, if the run can be resumed; see :func:`load_job`."""
    run_id, tags = run.info.run_id, unpack_tags(run)
    if tags.get("zoo.kind") not in ("train", FOLD, COMPARED, REPRODUCTION):
        kind = tags.get("zoo.kind", "other")
        hint = "; give the same zoo tune command again" if kind in ("search", "trial") else ""
        raise UsageError(f"only train runs are resumed by their id; run {run_id} is a {kind} run{hint}")
    if run.info.status == "FINISHED":
        raise UsageError(f"run {run_id} is finished: there is nothing to resume")
    if is_running(run):
        raise UsageError(f"run {run_id} is still running, in process {tags[PROCESS_TAG]}")
    if not can_resume(store, run):
        raise UsageError(
            f"run {run_id} has no checkpoint in {store.state}: it ended before its first epoch, or ran elsewhere"
        )
    return load_job(store, run_id, changes)


def can_resume(store: Store, run: Any) -> bool:
    """Return whether an interrupted run has a checkpoint, or can start anew because its job is known.

    Args:
        store: Where runs are kept.
        run: MLflow's run.
    """
    tags = unpack_tags(run)
    is_unstarted = JOB_TAG in tags and not any(name.startswith("epoch/") for name in run.data.metrics)
    return has_checkpoint(store, run) or (is_unstarted and tags.get(HOST_TAG) == socket.gethostname())


def has_checkpoint(store: Store, run: Any) -> bool:
    """Return whether there is a checkpoint from which a run resumes."""
    return (store.state_of(run.info.run_id) / CHECKPOINT_FILE).exists()


def _tags(job: TrainJob, builder: ModelBuilder, dataset: Dataset) -> dict[str, str]:
    return {**run_tags(builder, dataset, FOLD if job.fold else "train", job.seed), JOB_TAG: format_job(job)}


def _remove(checkpoint: Path) -> None:
    shutil.rmtree(checkpoint.parent, ignore_errors=True)  # including partial files of a killed process
