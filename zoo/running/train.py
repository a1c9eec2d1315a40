"""A train job becomes one tracked run, with its baselines beside it."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from zoo.data.dataset import Dataset
from zoo.errors import UsageError
from zoo.fitting.fitted import Fitted
from zoo.fitting.model_builder import ModelBuilder, model_builder
from zoo.jobs.fit_options import TrainJob
from zoo.models.search_space import CheckedHyperParameters
from zoo.running.baselines import run_baselines
from zoo.running.finish import finish_run, keep_model
from zoo.running.progress import Progress
from zoo.running.run_facts import begin_run, check_same_data, experiment_name, run_tags, show_scores
from zoo.seeding import only_deterministic_kernels
from zoo.stored_runs.lookup import stored_job
from zoo.stored_runs.results import Run
from zoo.tracking.process_tags import is_running
from zoo.tracking.store import Store
from zoo.tracking.tags import (
    CHECKPOINT_FILE,
    COMPARED,
    FOLD,
    REPRODUCTION,
)
from zoo.tracking.tracked_run import TrackedRun, ending
from zoo.training.fit_loop import FitPlan
from zoo.training.fit_settings import FitSettings
from zoo.training.recorder import Recorders


def run_train(
    job: TrainJob,
    *,
    callbacks: Sequence[Any] = (),
    progress: Progress | None = None,
    parent: str | None = None,
    tags: Mapping[str, str] | None = None,
    dataset: Dataset | None = None,
) -> Run:
    """Carry out a train job as one run; see :func:`train`.

    Args:
        job: The job, without ``seeds`` and ``cv``.
        callbacks: Keras callbacks.
        progress: Where to show progress.
        parent: MLflow's id of the run that this one stands below.
        tags: More tags of the run.
        dataset: The job's data, where they were read already.
    """
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise UsageError(f"a {type(callback).__name__} is no keras.callbacks.Callback", where="callbacks")
    if job.deterministic:
        only_deterministic_kernels()
    builder = model_builder(job.model, job.task)
    dataset = dataset if dataset is not None else builder.task.read(job)
    builder.task.check_calibration(dataset, job)
    built_model, hp = builder.build_checked(job.hyperparameters, dataset.spec, seed=job.seed)
    store = Store()
    store.close_orphans()
    experiment = store.experiment(job.experiment or experiment_name(dataset))
    tracked = TrackedRun.create(
        store,
        experiment,
        job.name or f"{builder.name} on {dataset.name}",
        tags={**run_tags(builder, dataset, FOLD if job.fold else "train", job.seed), **(tags or {})},
        parent=parent,
    )
    preprocessed = _Prepared(job, builder, dataset, built_model, hp, callbacks, progress or Progress(quiet=True))
    with ending(tracked):
        begin_run(tracked, job, dataset, preprocessed.hyperparameters)
        return _fit_and_finish(preprocessed, tracked, experiment)


def resume_train(
    run_id: str,
    *,
    model: Any = None,
    source: Any = None,
    callbacks: Sequence[Any] = (),
    progress: Progress | None = None,
) -> Run:
    """Resume a single run from its last epoch; see :func:`zoo.running.dispatch.resume_run`."""
    store = Store()
    found = store.run(run_id)
    run_id = found.info.run_id
    changes = {key: value for key, value in (("model", model), ("source", source)) if value is not None}
    job = _job_of(store, found).model_copy(update=changes)
    if job.deterministic:
        only_deterministic_kernels()
    builder = model_builder(job.model, job.task)
    dataset = builder.task.read(job)
    check_same_data(found, dataset)
    built_model, hp = builder.build_checked(job.hyperparameters, dataset.spec, seed=job.seed)
    tracked = TrackedRun.reopen(store, run_id)
    preprocessed = _Prepared(job, builder, dataset, built_model, hp, callbacks, progress or Progress(quiet=True))
    with ending(tracked):
        return _fit_and_finish(preprocessed, tracked, store.client.get_experiment(found.info.experiment_id))


@dataclasses.dataclass(frozen=True)
class _Prepared:
    job: TrainJob
    builder: ModelBuilder
    dataset: Dataset
    built_model: Any
    hp: CheckedHyperParameters
    callbacks: Sequence[Any]
    progress: Progress

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The model's hyperparameters, with the epochs that the job asks for."""
        epochs = {"epochs": self.job.epochs} if self.job.epochs is not None else {}
        return {**self.hp.values, **epochs}


def _fit_and_finish(preprocessed: _Prepared, tracked: TrackedRun, experiment: Any) -> Run:
    job, progress, dataset = preprocessed.job, preprocessed.progress, preprocessed.dataset
    checkpoint = tracked.store.state_of(tracked.run_id) / CHECKPOINT_FILE
    notes = list(dataset.notes)
    for note in notes if job.fold is None else ():  # what folds share their parent says
        progress.say(f"note: {note}")
    curves = _OnlyNew(tracked)
    tracked.watch_machine()
    plan = FitPlan(
        FitSettings.from_hyperparameters(preprocessed.hyperparameters),
        seed=job.seed,
        recorder=Recorders([curves, progress]),
        checkpoint=checkpoint,
        callbacks=preprocessed.callbacks,
        whole=preprocessed.built_model.full_model() if preprocessed.callbacks else None,
    )
    try:
        result = preprocessed.builder.task.fit(preprocessed.built_model, dataset, plan)
    finally:
        progress.close()
    curves.fill(result.history)
    fitted = Fitted(job, preprocessed.builder, preprocessed.built_model, dataset, preprocessed.hyperparameters, result)
    if result.stopped == "interrupted":
        keep_model(tracked, fitted)  # the test part waits for the weights that training ends with
        progress.say(
            f"stopped after epoch {result.epochs_run}; the best weights so far are kept: "
            f"zoo predict {tracked.run_id[:8]} …; to go on: zoo train --resume {tracked.run_id[:8]}"
        )
        raise KeyboardInterrupt
    try:
        baselines, more = run_baselines(
            preprocessed.builder.task, dataset, job.baselines, store=tracked.store, experiment=experiment, seed=job.seed
        )
        run = finish_run(tracked, fitted, baselines, (*notes, *more))
    except KeyboardInterrupt:
        progress.say(
            "stopped before baselines and scores; the trained weights are kept, to go on: "
            f"zoo train --resume {tracked.run_id[:8]}"
        )
        raise
    show_scores(tracked.store, experiment, run, params=("learning_rate", "batch_size"))
    _remove(checkpoint)
    return run


class _OnlyNew(Recorders):
    """Passes on epochs that MLflow lacks: a resumed run has some already."""

    def __init__(self, tracked: TrackedRun) -> None:
        super().__init__([tracked])
        self.tracked = tracked
        self.logged = tracked.epochs_logged()
        self.first: int | None = None

    def epoch(self, epoch: int, scores: Any) -> None:
        """Record an epoch unless it is there."""
        if self.first is None:
            self.first = epoch
        if epoch > self.logged:
            super().epoch(epoch, scores)

    def fill(self, history: Mapping[str, list[float]]) -> None:
        """Record the epochs that were in the checkpoint, and had not reached MLflow when the process was killed."""
        last = len(next(iter(history.values()), [])) if self.first is None else self.first - 1
        self.tracked.epochs(history, after=self.logged, until=last)
        self.tracked.flush()


def _job_of(store: Store, found: Any) -> TrainJob:
    """The job of a run that can be gone on with."""
    run_id, tags = found.info.run_id, found.data.tags
    if tags.get("zoo.kind") not in ("train", FOLD, COMPARED, REPRODUCTION):
        kind = tags.get("zoo.kind", "other")
        hint = "; give the same zoo tune command again" if kind in ("search", "trial") else ""
        raise UsageError(f"run {run_id} is a {kind} run, and only a train run is resumed by its id{hint}")
    if found.info.status == "FINISHED":
        raise UsageError(f"run {run_id} is finished: there is nothing to resume")
    if is_running(found):
        raise UsageError(f"run {run_id} is still running, in process {tags['zoo.process']}")
    if not (store.state_of(run_id) / CHECKPOINT_FILE).exists():
        raise UsageError(
            f"run {run_id} has no checkpoint in {store.state}: it ended before its first epoch, or ran elsewhere"
        )
    return stored_job(store, run_id)


def _remove(checkpoint: Path) -> None:
    shutil.rmtree(checkpoint.parent, ignore_errors=True)  # with what a kill while writing may have left
