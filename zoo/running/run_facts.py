"""What is logged for every run: tags, parameters, data and versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.data.dataset import SPLIT_PREFIX, Dataset
from zoo.errors import UsageError
from zoo.fitting.model_builder import ModelBuilder
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import format_job
from zoo.metrics.direction import Direction
from zoo.stored_runs.results import Run
from zoo.tracking.store import Store
from zoo.tracking.tags import (
    DIRECTION_TAG,
    JOB_FILE,
    LESS_TAG,
    OBJECTIVE_TAG,
    SEED_TAG,
    SPLIT_FILE,
    SPLIT_TAG,
    VALIDATION_TAG,
    VERSIONS_FILE,
    unpack_tags,
)
from zoo.tracking.tracked_run import TrackedRun, list_versions
from zoo.tracking.ui_views import set_view


def check_same_data(run: Any, dataset: Dataset) -> None:
    """Raise an error if a run would be resumed on other data than it was started with.

    Args:
        run: The MLflow run.
        dataset: The data as read now.

    Raises:
        UsageError: If rows, split or target differ.
    """
    if unpack_tags(run).get(SPLIT_TAG) != dataset.split_digest:
        run_id = run.info.run_id
        raise UsageError(
            f"run {run_id[:8]} cannot be resumed, since {dataset.content} changed after it started; undo the change, or"
            " train a new run without --resume",
            where="source",
        )


def run_tags(builder: ModelBuilder, dataset: Dataset, kind: str, seed: int) -> dict[str, str]:
    """Return the tags by which runs are filtered."""
    return {
        "zoo.kind": kind,
        "zoo.task": builder.task.name,
        "zoo.model": builder.name,
        "zoo.source": dataset.source[:500],
        "zoo.digest": dataset.digest,
        SPLIT_TAG: dataset.split_digest,
        **_tag_validation(dataset),
        "zoo.target": dataset.spec.target_names,
        SEED_TAG: str(seed),
        **create_objective_tags(builder, dataset),
    }


def _tag_validation(dataset: Dataset) -> dict[str, str]:
    """Return the tag of the rows, and weights, that validation scores are computed on; none without such rows."""
    rows = split_of(dataset).get("validation")
    if rows is None:
        return {}
    hasher = hashlib.sha256(np.asarray(rows, np.int64).tobytes())
    hasher.update(f"{dataset.spec.weight} {dataset.spec.weight_kind}".encode() if dataset.spec.weight else b"")
    return {VALIDATION_TAG: f"{dataset.sizes['validation']} rows, {hasher.hexdigest()[:16]}"}


def create_objective_tags(builder: ModelBuilder, dataset: Dataset) -> dict[str, str]:
    """Return the validation score that ranks runs, and the direction of each metric."""
    metrics, prefix = builder.task.rules(dataset.spec).metrics(), builder.task.objective_prefix
    less = ", ".join(metric.name for metric in metrics if Direction(metric.direction).less_is_better)
    return {OBJECTIVE_TAG: prefix + metrics[0].name, DIRECTION_TAG: metrics[0].direction, LESS_TAG: less}


def begin_run(tracked: TrackedRun, job: Any, dataset: Dataset, hyperparameters: Any) -> None:
    """Log what is known before training: hyperparameters, data, job, versions and split."""
    tracked.params({**hyperparameters, **select_params(job, dataset)})
    tracked.dataset(dataset)
    tracked.text(format_job(job), JOB_FILE)
    tracked.text(json.dumps(list_versions(), indent=1), VERSIONS_FILE)
    keep_split(tracked, dataset)


def keep_split(tracked: TrackedRun, dataset: Dataset) -> None:
    """Log the source rows of each split as ``split.json``, which ``--split file=`` reads."""
    rows = {name: np.asarray(numbers).tolist() for name, numbers in split_of(dataset).items()}
    tracked.text(json.dumps(rows), SPLIT_FILE)


def split_of(dataset: Dataset) -> Mapping[str, Any]:
    """Return the source rows in each split; a separate test source has its own row numbers."""
    return {**{name: split.rows for name, split in dataset.splits.items()}, **dataset.split_rows}


def add_prefixes(by_split: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the values of each split under their name with the prefix of the split.

    Example:
        >>> add_prefixes({"validation": {"rmse": 2.0}})
        {'val_rmse': 2.0}
    """
    return {SPLIT_PREFIX[split] + name: value for split, values in by_split.items() for name, value in values.items()}


def select_params(job: TrainJob, dataset: Dataset) -> dict[str, Any]:
    """Return the logged parameters of a job besides the hyperparameters: model, seed, fold and task options."""
    fold = {"fold": job.fold} if job.fold is not None else {}
    return {**dataset.spec.options, "model": name_model(job.model), "seed": job.seed, **fold}


def name_model(model: Any) -> str:
    """Return the model name that is logged as a parameter."""
    return model if isinstance(model, str) else getattr(model, "name", None) or type(model).__name__


def show_scores(
    store: Store, experiment: Any, run: Run, *, params: Sequence[str], by: tuple[str, str] | None = None
) -> None:
    """Choose the columns of an experiment's runs table in MLflow: the objective first, then the test scores.

    Args:
        store: The store of the experiment.
        experiment: The MLflow experiment.
        run: One of its runs, which has the same scores as the others.
        params: Hyperparameters to show as columns.
        by: Score that ranks the runs, and ``min`` or ``max``; defaults to the run's objective on validation.
    """
    scores = [name for name in run.metrics if name.startswith("test_")][:3]
    ranked_by = f"val_{run.objective}"
    objective, direction = by or (ranked_by if ranked_by in run.metrics else run.headline, run.direction)
    set_view(
        store,
        experiment.experiment_id,
        metrics=[objective, *scores],
        params=list(params),
        order=objective,
        ascending=Direction(direction).less_is_better,
    )


def name_experiment(dataset: Dataset) -> str | None:
    """Return the default experiment name: that of the data, or None if MLflow's environment variable sets one."""
    import os

    from zoo.tracking.store import EXPERIMENT_VARIABLE

    return None if os.environ.get(EXPERIMENT_VARIABLE) else dataset.name
