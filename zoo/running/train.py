"""A train job becomes one tracked run, with its baselines beside it."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo.data.dataset import Dataset
from zoo.errors import JobError, UsageError
from zoo.job import TrainJob, gathered, job_yaml, make_job, read_job
from zoo.layers.search_space import CheckedHyperParameters
from zoo.running.baselines import run_baselines
from zoo.running.candidate import Candidate, candidate_of
from zoo.running.finish import Fitted, finish_run, keep_model
from zoo.running.lookup import DIRECTION_TAG, LESS_TAG, OBJECTIVE_TAG
from zoo.running.progress import Progress
from zoo.running.results import Run
from zoo.seeding import only_deterministic_kernels
from zoo.tracking.pages import set_view
from zoo.tracking.processes import is_running
from zoo.tracking.run import TrackedRun, ending, package_versions
from zoo.tracking.store import Store
from zoo.training.loop import FitPlan
from zoo.training.recorder import Recorders
from zoo.training.settings import FitSettings

JOB_FILE = "job.yaml"
SEEDS, CROSS_VALIDATION, FOLD, COMPARED = "seeds", "cross_validation", "fold", "compared"
REPRODUCTION = "reproduction"
VERSIONS_FILE = "versions.json"
REPEAT_TAG = "zoo.repeat"
CHECKPOINT_FILE = "checkpoint.bin"


def train(
    model: Any,
    source: Any = None,
    *,
    callbacks: Sequence[Any] = (),
    resume: str | None = None,
    verbose: bool = False,
    quiet: bool = False,
    **options: Any,
) -> Any:
    """Train a model on data, score it beside baselines, and track all of it.

    Args:
        model: A name of the catalogue such as ``classification/mlp``; a compiled ``keras.Model``; a
            ``keras_tuner.HyperModel``; or a function ``build(hp, spec)``.
        source: A frame, arrays, a file or a bundled name.
        callbacks: Keras callbacks; they see the whole model.
        resume: Id of a run that was interrupted or killed, to go on with; the job is that run's.
        verbose: Print a line for each epoch.
        quiet: Print nothing.
        **options: The other keys of :class:`zoo.job.TrainJob`, such as ``target``, ``epochs`` or
            ``hyperparameters={"units": 64}``.

    Returns:
        The run: scores with intervals, baselines, figures, and the model. With ``seeds=5`` or ``cv=5``
        :class:`zoo.running.repeats.Repeats` of them.

    Raises:
        UsageError: When model, data or options do not fit.
        JobError: When training failed.

    Example:
        >>> run = train("classification/mlp", "wine", epochs=5, quiet=True)  # doctest: +SKIP
        >>> run.metrics["test_accuracy"]  # doctest: +SKIP
    """
    progress = Progress(verbose=verbose, quiet=quiet)
    if resume is not None:
        return resume_run(resume, model=model, source=source, callbacks=callbacks, progress=progress)
    job = make_job(TrainJob, gathered(TrainJob, {"model": model, "source": source, **options}))
    return run_job(job, callbacks=callbacks, progress=progress)


def run_job(job: TrainJob, *, callbacks: Sequence[Any] = (), progress: Progress | None = None) -> Any:
    """Carry out a train job, once or as its ``seeds`` or ``cv`` say; see :func:`train`."""
    if job.seeds is None and job.cv is None:
        return run_train(job, callbacks=callbacks, progress=progress)
    from zoo.running.repeats import run_repeats

    return run_repeats(job, callbacks=callbacks, progress=progress)


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
    candidate = candidate_of(job.model, job.task)
    dataset = dataset if dataset is not None else candidate.task.read(job)
    candidate.task.check_settling(dataset, job)
    pieces, hp = candidate.built(job.hyperparameters, dataset.spec, seed=job.seed)
    store = Store()
    store.close_orphans()
    experiment = store.experiment(job.experiment or experiment_name(dataset))
    tracked = TrackedRun.create(
        store,
        experiment,
        job.name or f"{candidate.name} on {dataset.name}",
        tags={**run_tags(candidate, dataset, FOLD if job.fold else "train", job.seed), **(tags or {})},
        parent=parent,
    )
    prepared = _Prepared(job, candidate, dataset, pieces, hp, callbacks, progress or Progress(quiet=True))
    with ending(tracked):
        begin_run(tracked, job, dataset, prepared.hyperparameters)
        return _fit_and_finish(prepared, tracked, experiment)


def resume_run(
    run_id: str,
    *,
    model: Any = None,
    source: Any = None,
    callbacks: Sequence[Any] = (),
    progress: Progress | None = None,
) -> Any:
    """Go on with a run that was interrupted, killed or failed, from its last epoch.

    Args:
        run_id: The run.
        model: The user's own model again, where it was not a name.
        source: The data again, where they were in memory.
        callbacks: Keras callbacks again.
        progress: Where to show progress.

    Raises:
        UsageError: When the run is finished, still running, has no checkpoint, or the data changed.
    """
    store = Store()
    store.close_orphans()
    found = store.run(run_id)
    run_id = found.info.run_id
    changes = {key: value for key, value in (("model", model), ("source", source)) if value is not None}
    if found.data.tags.get("zoo.kind") in (SEEDS, CROSS_VALIDATION):
        from zoo.running.repeats import resume_repeats

        return resume_repeats(found, changes=changes, callbacks=callbacks, progress=progress)
    job = _job_of(store, found).model_copy(update=changes)
    if job.deterministic:
        only_deterministic_kernels()
    candidate = candidate_of(job.model, job.task)
    dataset = candidate.task.read(job)
    check_same_data(found, dataset)
    pieces, hp = candidate.built(job.hyperparameters, dataset.spec, seed=job.seed)
    tracked = TrackedRun.reopen(store, run_id)
    prepared = _Prepared(job, candidate, dataset, pieces, hp, callbacks, progress or Progress(quiet=True))
    with ending(tracked):
        return _fit_and_finish(prepared, tracked, store.client.get_experiment(found.info.experiment_id))


def check_same_data(found: Any, dataset: Dataset) -> None:
    """Refuse to go on with a run on other data than it was begun with.

    Args:
        found: MLflow's run.
        dataset: The data as they are read now.

    Raises:
        UsageError: When they differ, in rows, split or target.
    """
    if found.data.tags.get("zoo.split_digest") != dataset.split_digest:
        run_id = found.info.run_id
        raise UsageError(f"the data of run {run_id} have changed since: it cannot go on with others", where="source")


@dataclasses.dataclass(frozen=True)
class _Prepared:
    job: TrainJob
    candidate: Candidate
    dataset: Dataset
    pieces: Any
    hp: CheckedHyperParameters
    callbacks: Sequence[Any]
    progress: Progress

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The model's hyperparameters, with the epochs that the job asks for."""
        epochs = {"epochs": self.job.epochs} if self.job.epochs is not None else {}
        return {**self.hp.values, **epochs}


def run_tags(candidate: Candidate, dataset: Dataset, kind: str, seed: int) -> dict[str, str]:
    """Return the tags by which the runs table is filtered."""
    return {
        "zoo.kind": kind,
        "zoo.task": candidate.task.name,
        "zoo.model": candidate.name,
        "zoo.source": dataset.source[:500],
        "zoo.digest": dataset.digest,
        "zoo.split_digest": dataset.split_digest,
        "zoo.target": dataset.spec.target.name if dataset.spec.target is not None else "",
        "zoo.seed": str(seed),
        **objective_tags(candidate, dataset),
    }


def objective_tags(candidate: Candidate, dataset: Dataset) -> dict[str, str]:
    """Return the score that ranks runs, on validation, and which way is better for it and the others."""
    objective = candidate.task.scores(dataset.spec)[0]
    prefix = candidate.task.objective_prefix
    less = ", ".join(score.name for score in candidate.task.scores(dataset.spec) if score.direction == "min")
    return {OBJECTIVE_TAG: prefix + objective.name, DIRECTION_TAG: objective.direction, LESS_TAG: less}


def begin_run(tracked: TrackedRun, job: Any, dataset: Dataset, hyperparameters: Any) -> None:
    """Log what is known before training: hyperparameters, data, job, versions, split."""
    import json

    tracked.params({**hyperparameters, **job_params(job, dataset)})
    tracked.dataset(dataset)
    tracked.text(job_yaml(job), JOB_FILE)
    tracked.text(json.dumps(package_versions(), indent=1), VERSIONS_FILE)
    rows = {name: np.asarray(known).tolist() for name, known in split_of(dataset).items()}
    tracked.text(json.dumps(rows), "split.json")


def split_of(dataset: Dataset) -> Mapping[str, Any]:
    """Return the rows of the source in each part; of a test source its own."""
    return {**{name: part.rows for name, part in dataset.parts.items()}, **dataset.split}


def job_params(job: TrainJob, dataset: Dataset) -> dict[str, Any]:
    """Return what is logged of a job beside the hyperparameters: model, seed, fold, and the options of the task."""
    fold = {"fold": job.fold} if job.fold is not None else {}
    return {**dataset.spec.options, "model": tracked_name(job.model), "seed": job.seed, **fold}


def tracked_name(model: Any) -> str:
    """Return what a job's model is called among the parameters."""
    return model if isinstance(model, str) else getattr(model, "name", None) or type(model).__name__


def _fit_and_finish(prepared: _Prepared, tracked: TrackedRun, experiment: Any) -> Run:
    job, progress, dataset = prepared.job, prepared.progress, prepared.dataset
    checkpoint = tracked.store.state_of(tracked.run_id) / CHECKPOINT_FILE
    notes = list(dataset.notes)
    for note in notes if job.fold is None else ():  # what folds share their parent says
        progress.say(f"note: {note}")
    curves = _OnlyNew(tracked)
    tracked.watch_machine()
    plan = FitPlan(
        FitSettings.from_hyperparameters(prepared.hyperparameters),
        seed=job.seed,
        recorder=Recorders([curves, progress]),
        checkpoint=checkpoint,
        callbacks=prepared.callbacks,
        whole=prepared.pieces.whole() if prepared.callbacks else None,
    )
    try:
        result = prepared.candidate.task.fit(prepared.pieces, dataset, plan)
    finally:
        progress.close()
    curves.fill(result.history)
    fitted = Fitted(job, prepared.candidate, prepared.pieces, dataset, prepared.hyperparameters, result)
    if result.stopped == "interrupted":
        keep_model(tracked, fitted)  # the test part waits for the weights that training ends with
        progress.say(
            f"stopped after epoch {result.epochs_run}; the best weights so far are kept: "
            f"zoo predict {tracked.run_id[:8]} …; to go on: zoo train --resume {tracked.run_id[:8]}"
        )
        raise KeyboardInterrupt
    try:
        baselines, more = run_baselines(
            prepared.candidate.task, dataset, job.baselines, store=tracked.store, experiment=experiment, seed=job.seed
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


def show_scores(
    store: Store, experiment: Any, run: Run, *, params: Sequence[str], by: tuple[str, str] | None = None
) -> None:
    """Bring the scores of an experiment in sight on MLflow's page: the objective first, then those on test.

    Args:
        store: Where the experiment is.
        experiment: MLflow's experiment.
        run: One of its runs, whose scores the others have too.
        params: Hyperparameters that are shown beside.
        by: What ranks its runs, and ``min`` or ``max``; by default the run's own objective on validation.
    """
    scores = [name for name in run.metrics if name.startswith("test_")][:3]
    own = f"val_{run.objective}"
    objective, direction = by or (own if own in run.metrics else run.headline, run.direction)
    set_view(
        store,
        experiment.experiment_id,
        metrics=[objective, *scores],
        params=list(params),
        order=objective,
        ascending=direction == "min",
    )


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


def stored_job(store: Store, run_id: str) -> TrainJob:
    """Return the job that a run was made by."""
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        path = Path(store.client.download_artifacts(run_id, JOB_FILE, folder))
        job = read_job(path)
    if not isinstance(job, TrainJob):
        raise JobError(f"the stored job of run {run_id} is no train job")
    return job


def experiment_name(dataset: Dataset) -> str | None:
    """Return the experiment's name by default: the data's, unless MLflow's own variable names one."""
    import os

    from zoo.tracking.store import EXPERIMENT_VARIABLE

    return None if os.environ.get(EXPERIMENT_VARIABLE) else dataset.name


def _remove(checkpoint: Path) -> None:
    shutil.rmtree(checkpoint.parent, ignore_errors=True)  # with what a kill while writing may have left
