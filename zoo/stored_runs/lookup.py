"""Look-up of tracked runs: a run by name, the best one, its result and its model."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import JobError, UsageError
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job_file import read_job
from zoo.reporting.check_inputs import Finding
from zoo.saving.abandoned_files import open_temporary_folder
from zoo.saving.model_facts import FACTS_FILE
from zoo.stored_runs.results import Run
from zoo.tracking.model_registry import find_version
from zoo.tracking.store import Store
from zoo.tracking.tags import (
    BEST_TAG,
    JOB_FILE,
    JOB_TAG,
    RESULT_FILE,
    SCORED_TAG,
    unpack_tags,
)

if TYPE_CHECKING:  # it imports Keras, which tables of runs do not need
    from zoo.saving.model import Model


def load(run_id: str) -> Model:
    """Return the model of a run; for a search, that of its best trial.

    Args:
        run_id: MLflow's id, or its first characters.

    Raises:
        UsageError: When there is no such run, or it has no model.

    Example:
        >>> load(run.run_id).predict(frame)  # doctest: +SKIP
    """
    from zoo.saving.model_folder import load_model

    store = Store()
    with open_temporary_folder() as folder:
        return load_model(_own_folder(download_model(store, run_id, folder), run_id))


def download_model(store: Store, run_id: str, folder: Path) -> Path:
    """Return the folder of a run's MLflow model, downloaded if needed; for a search, that of its best trial.

    Args:
        store: Where the run is.
        run_id: MLflow's id, or its first characters.
        folder: Where to download it.

    Raises:
        UsageError: When there is no such run, or it has no model.
    """
    chosen = resolve_run(store, run_id)
    path = store.download_model(chosen, folder)
    if path is None:
        status = store.client.get_run(chosen).info.status
        raise UsageError(f"run {run_id} has no model; its status is {status}", where="run")
    return path


def find_run(store: Store, name: str) -> Any:
    """Return MLflow's run.

    Args:
        store: Where the run is.
        name: MLflow's id or its first characters, or a registered model's ``NAME@ALIAS``.

    Raises:
        UsageError: When there is no such run or alias, or several ids begin with these characters.
    """
    if "@" not in name:
        return store.run(name)
    model, _, alias = name.partition("@")
    version = find_version(store, model, alias)
    if version is None:
        message = f"no registered model {model!r} has the alias {alias!r}; set one with zoo register"
        raise UsageError(message, where="run")
    return store.run(version.run_id)


def resolve_run(store: Store, name: str) -> str:
    """Return MLflow's id of the run that holds the model.

    Args:
        store: Where the run is.
        name: MLflow's id or its first characters (of a search: the best trial), or a registered model's ``NAME@ALIAS``.

    Raises:
        UsageError: When there is no such run, alias or model, or this kind of run has no model.
    """
    run = find_run(store, name)
    chosen = run.data.tags.get(BEST_TAG, run.info.run_id)
    kind = run.data.tags.get("zoo.kind")
    if kind == "cross_validation":
        raise describe_no_model(run.info.run_id)
    if kind == "comparison":
        raise UsageError(f"run {name} is a comparison with many models; name a run below it", where="run")
    if kind == "baseline":
        raise UsageError(f"run {name} is a baseline, and models of baselines are not saved", where="run")
    return str(chosen)


def _own_folder(path: Path, run_id: str) -> Path:
    """Return zoo's folder inside the folder of MLflow's model."""
    places = list(path.rglob(FACTS_FILE))
    if not places:
        raise UsageError(f"the model of run {run_id} was not saved by zoo", where="run")
    return places[0].parent


def find_scored_run(store: Store, run_id: str) -> Run:
    """Return a finished run; for a search, that of its best trial.

    Args:
        store: Where it is.
        run_id: MLflow's id, or its first characters.

    Raises:
        UsageError: When there is no such run, or it did not finish.
    """
    run = store.run(run_id)
    chosen = run.data.tags.get(BEST_TAG, run.info.run_id)
    if store.run(chosen).data.tags.get(SCORED_TAG) is None:
        raise UsageError(f"run {run_id} has no result; its status is {run.info.status}", where="run")
    return load_run(store, chosen)


def load_run(store: Store, run_id: str) -> Run:
    """Return a finished run as :func:`zoo.train` returned it."""
    with open_temporary_folder() as folder:
        path = Path(store.client.download_artifacts(run_id, RESULT_FILE, folder))
        values = json.loads(path.read_text())
    metrics = {name: math.nan if value is None else value for name, value in values.pop("metrics").items()}
    intervals = {
        name: (math.nan if low is None else low, math.nan if high is None else high)
        for name, (low, high) in values.pop("intervals").items()
    }
    baselines = {
        name: {key: math.nan if value is None else value for key, value in scores.items()}
        for name, scores in values.pop("baselines").items()
    }
    limits = {  # None is unlimited; runs of before have none
        name: (-math.inf if low is None else low, math.inf if high is None else high)
        for name, (low, high) in values.pop("limits", {}).items()
    }
    return Run(
        model_name=values.pop("model"),
        metrics=metrics,
        intervals=intervals,
        baselines=baselines,
        limits=limits,
        notes=tuple(values.pop("notes")),
        diagnosis=tuple(map(Finding.from_dict, values.pop("diagnosis", ()))),
        load=lambda: load(run_id),
        draw=lambda: _stored_figures(store, run_id),
        **values,
    )


def _stored_figures(store: Store, run_id: str) -> dict[str, Any]:
    """Return the run's stored figures as images."""
    from PIL import Image

    figures = {}
    with open_temporary_folder() as folder:
        for file in store.client.list_artifacts(run_id, "figures"):
            path = Path(store.client.download_artifacts(run_id, file.path, folder))
            with Image.open(path) as image:
                figures[path.stem] = image.copy()
    return figures


def describe_no_model(run_id: str) -> UsageError:
    """Return the error for a request for the model of a cross-validation."""
    return UsageError(
        f"run {run_id[:8]} is a cross-validation, with one model per fold; train once without --cv, or name a "
        "fold's run",
        where="run",
    )


def load_job(store: Store, run_id: str, changes: Mapping[str, Any] | None = None) -> TrainJob:
    """Return the job of a run, also of one whose process was killed before it wrote its ``job.yaml``.

    Args:
        store: Where runs are kept.
        run_id: MLflow's id.
        changes: Keys of the job with other values than are stored: a model or data in memory, and ``options``, of
            which only those are taken that change no result.

    Raises:
        UsageError: If another option has another value than the stored one.
    """
    tags = unpack_tags(store.run(run_id))
    text = tags.get(JOB_TAG)
    with open_temporary_folder() as folder:
        path = folder / JOB_FILE
        if text is not None:
            path.write_text(text, encoding="utf-8")
        else:
            path = Path(store.client.download_artifacts(run_id, JOB_FILE, folder))
        job = read_job(path)
    if not isinstance(job, TrainJob):
        raise JobError(f"the stored job of run {run_id} is not a train job")
    changes = dict(changes or {})
    options = changes.get("options", {})
    may_change: tuple[str, ...] = ()
    if options:
        from zoo.task import load_task  # imports TensorFlow, which a list of runs does not need

        may_change = load_task(tags["zoo.task"]).options.may_change
    for name, value in options.items():
        if name not in may_change and job.options.get(name) != value:
            allowed = f"; only {', '.join(may_change)} may change" if may_change else ""
            raise UsageError(f"it uses the options of the run; leave out {name}{allowed}", where=name)
    return job.model_copy(update={**changes, "options": {**job.options, **options}})
