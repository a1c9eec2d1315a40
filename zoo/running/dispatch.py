"""`zoo.train`: train a single run, or one per seed or fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.jobs.fit_options import RESUMED_WITH, TrainJob
from zoo.jobs.keywords import accept_keywords
from zoo.running.progress import Progress
from zoo.running.repeats import resume_repeats, run_repeats
from zoo.running.train import resume_train, run_train
from zoo.tracking.store import Store
from zoo.tracking.tags import CROSS_VALIDATION, SEEDS


@accept_keywords(TrainJob, "model", "source")
def train(job: TrainJob, *, callbacks: Sequence[Any] = (), verbose: bool = False, quiet: bool = False) -> Any:
    """Train a model on data, evaluate it against baselines, and track the run.

    The model is a catalogue name such as ``classification/mlp``, a compiled ``keras.Model``, a
    ``keras_tuner.HyperModel`` or a function ``build(hp, spec)``; the source a data frame, arrays, a file or the name
    of a bundled dataset. ``train(model, X, y)`` takes examples and their targets, as do ``tune``, ``compare`` and
    ``data_report``. ``resume`` takes the id of an interrupted, killed or failed run: a single run resumes from its
    last epoch, repeats over seeds or folds with what is missing. Its stored job is used; give model and source again if
    they were in memory. Options of the task that change no result, such as ``processes``, may have other values.

    Args:
        job: The job; or its keys as keywords, such as ``target``, ``epochs`` or ``hyperparameters={"units": 64}``.
        callbacks: Keras callbacks, which see the full model; they are not stored with the run.
        verbose: Whether to print a line for each epoch.
        quiet: Whether to print nothing.

    Returns:
        The run: scores with confidence intervals, baselines, figures and the model. With ``seeds=5`` or ``cv=5``,
        a :class:`zoo.running.repeats.Repeats` that holds several runs.

    Raises:
        UsageError: If model, data and options are incompatible; or if the run to resume is finished, is still running
            or has no checkpoint, or the data have changed.
        JobError: If training failed.

    Example:
        >>> run = train("classification/mlp", "wine", epochs=5, quiet=True)  # doctest: +SKIP
        >>> run.metrics["test_accuracy"]  # doctest: +SKIP
    """
    progress = Progress(verbose=verbose, quiet=quiet)
    if job.resume is not None:
        return _resume(job, job.resume, callbacks, progress)
    if job.seeds is None and job.cv is None:
        return run_train(job, callbacks=callbacks, progress=progress)
    return run_repeats(job, callbacks=callbacks, progress=progress)


def _resume(job: TrainJob, run_id: str, callbacks: Sequence[Any], progress: Progress) -> Any:
    store = Store()
    store.close_orphans()
    run = store.run(run_id)
    changes = {name: job.given[name] for name in RESUMED_WITH if name in job.given}
    if run.data.tags.get("zoo.kind") in (SEEDS, CROSS_VALIDATION):
        return resume_repeats(run, changes=changes, callbacks=callbacks, progress=progress)
    return resume_train(run_id, **changes, callbacks=callbacks, progress=progress)
