"""`zoo.train`: one run, or several as seeds and folds."""

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
    """Train a model on data, score it beside baselines, and track all of it.

    Args:
        model: A name of the catalogue such as ``classification/mlp``; a compiled ``keras.Model``; a
            ``keras_tuner.HyperModel``; or a function ``build(hp, spec)``.
        source: A frame, arrays, a file or a bundled name.
        callbacks: Keras callbacks; they see the whole model.
        resume: Id of a run that was interrupted or killed, to go on with; the job is that run's.
        verbose: Print a line for each epoch.
        quiet: Print nothing.
        **options: The other keys of :class:`zoo.jobs.job.TrainJob`, such as ``target``, ``epochs`` or
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
    return run_repeats(job, callbacks=callbacks, progress=progress)


def resume_run(
    run_id: str,
    *,
    model: Any = None,
    source: Any = None,
    callbacks: Sequence[Any] = (),
    progress: Progress | None = None,
) -> Any:
    """Resume a run that was interrupted, killed or failed: a single one from its last epoch, or seeds and folds.

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
    run = store.run(run_id)
    if run.data.tags.get("zoo.kind") in (SEEDS, CROSS_VALIDATION):
        changes = {key: value for key, value in (("model", model), ("source", source)) if value is not None}
        return resume_repeats(run, changes=changes, callbacks=callbacks, progress=progress)
    return resume_train(run_id, model=model, source=source, callbacks=callbacks, progress=progress)
