"""`zoo.train`: train a single run, or one per seed or fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import gathered, make_job
from zoo.running.progress import Progress
from zoo.running.repeats import resume_repeats, run_repeats
from zoo.running.train import resume_train, run_train
from zoo.tracking.store import Store
from zoo.tracking.tags import CROSS_VALIDATION, SEEDS


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
    """Train a model on data, evaluate it against baselines, and track the run.

    Args:
        model: A catalogue name such as ``classification/mlp``; a compiled ``keras.Model``; a
            ``keras_tuner.HyperModel``; or a function ``build(hp, spec)``.
        source: A data frame, arrays, a file or the name of a bundled dataset.
        callbacks: Keras callbacks; they see the full model.
        resume: Id of an interrupted or killed run to resume; its stored job is used.
        verbose: Whether to print a line for each epoch.
        quiet: Whether to print nothing.
        **options: Other keys of :class:`zoo.jobs.fit_options.TrainJob`, such as ``target``, ``epochs`` or
            ``hyperparameters={"units": 64}``.

    Returns:
        The run: scores with confidence intervals, baselines, figures and the model. With ``seeds=5`` or ``cv=5``,
        a :class:`zoo.running.repeats.Repeats` that holds several runs.

    Raises:
        UsageError: If model, data and options are incompatible.
        JobError: If training failed.

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
    """Execute a train job, once or for each of its seeds or folds; see :func:`train`."""
    if job.seeds is None and job.cv is None:
        return run_train(job, callbacks=callbacks, progress=progress)
    return run_repeats(job, callbacks=callbacks, progress=progress)


def resume_run(
    run_id: str,
    *,
    model: Any = None,
    source: Any = None,
    callbacks: Sequence[Any] = (),
    progress: Progress | None = None,
) -> Any:
    """Resume an interrupted, killed or failed run: a single run from its last epoch, or repeats over seeds or folds.

    Args:
        run_id: Id of the run.
        model: The custom model, if the job's model was not a catalogue name.
        source: The data, if they were in memory.
        callbacks: The Keras callbacks; they are not stored with the run.
        progress: Where to show progress.

    Raises:
        UsageError: If the run is finished, is still running or has no checkpoint, or if the data have changed.
    """
    store = Store()
    store.close_orphans()
    run = store.run(run_id)
    if run.data.tags.get("zoo.kind") in (SEEDS, CROSS_VALIDATION):
        changes = {key: value for key, value in (("model", model), ("source", source)) if value is not None}
        return resume_repeats(run, changes=changes, callbacks=callbacks, progress=progress)
    return resume_train(run_id, model=model, source=source, callbacks=callbacks, progress=progress)
