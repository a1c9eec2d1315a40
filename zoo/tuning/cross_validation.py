"""The folds of a search's cross-validation."""

from __future__ import annotations

from typing import Any

from zoo.data.dataset import Dataset
from zoo.errors import UsageError
from zoo.jobs.search_options import TuneJob


def create_fold_job(job: TuneJob, number: int, count: int) -> TuneJob:
    """Return the job that reads one fold of the rows outside the test split."""
    folds = None if isinstance(job.cv, int) else job.cv
    return job.model_copy(update={"cv": None, "fold": f"{number}/{count}", "folds": folds, "aside": True})


def count_folds(job: TuneJob, task: Any) -> int:
    """Return the number of folds of a search's cross-validation.

    Raises:
        UsageError: When the task does not support folds.
        DataError: When there are too few rows.
    """
    if task.no_folds is not None:
        raise UsageError(task.no_folds, where="cv")
    first: Dataset = task.read(create_fold_job(job, 1, job.cv if isinstance(job.cv, int) else 2))
    return first.folds
