"""Looking up what was tracked: runs, the best one, its result and its model."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

from zoo.errors import JobError, UsageError
from zoo.jobs.commands import read_job
from zoo.jobs.fit_options import TrainJob
from zoo.reporting.check_inputs import Finding
from zoo.saving.model import Model
from zoo.saving.model_folder import FACTS_FILE, load_model
from zoo.stored_runs.results import Run
from zoo.tracking.model_registry import holder_of
from zoo.tracking.store import Store
from zoo.tracking.tags import (
    BEST_TAG,
    JOB_FILE,
    RESULT_FILE,
    SCORED_TAG,
)


def load(run_id: str) -> Model:
    """Return the model of a run; of a search its best trial's.

    Args:
        run_id: MLflow's id, or its first characters.

    Raises:
        UsageError: When there is no such run, or it has no model.

    Example:
        >>> load(run.run_id).predict(frame)  # doctest: +SKIP
    """
    store = Store()
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        return load_model(_own_folder(model_folder(store, run_id, Path(folder)), run_id))


def model_folder(store: Store, run_id: str, folder: Path) -> Path:
    """Return the folder of MLflow's model of a run, fetched where it is not on this machine; of a search its best's.

    Args:
        store: Where the run is.
        run_id: MLflow's id, or its first characters.
        folder: Where to fetch it to.

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
        UsageError: When there is no such run or alias, or several runs begin so.
    """
    if "@" not in name:
        return store.run(name)
    model, _, alias = name.partition("@")
    held = holder_of(store, model, alias)
    if held is None:
        message = f"no registered model {model!r} has the alias {alias!r}; zoo register gives one"
        raise UsageError(message, where="run")
    return store.run(held.run_id)


def resolve_run(store: Store, name: str) -> str:
    """Return MLflow's id of the run whose model is meant.

    Args:
        store: Where the run is.
        name: MLflow's id or its first characters, of a search for its best; or a registered model's ``NAME@ALIAS``.

    Raises:
        UsageError: When there is no such run, alias or model, or the run is of a kind that has none.
    """
    found = find_run(store, name)
    chosen = found.data.tags.get(BEST_TAG, found.info.run_id)
    kind = found.data.tags.get("zoo.kind")
    if kind == "cross_validation":
        raise no_model(found.info.run_id)
    if kind == "comparison":
        raise UsageError(f"run {name} is a comparison: it has many models; name a run below it", where="run")
    if kind == "baseline":
        raise UsageError(f"run {name} is a baseline, and baselines keep no model", where="run")
    return str(chosen)


def _own_folder(path: Path, run_id: str) -> Path:
    """The folder of zoo's own inside that of MLflow's model."""
    places = list(path.rglob(FACTS_FILE))
    if not places:
        raise UsageError(f"the model of run {run_id} was not saved by zoo", where="run")
    return places[0].parent


def best_of(store: Store, run_id: str) -> Run:
    """Return a finished run; of a search its best trial's.

    Args:
        store: Where it is.
        run_id: MLflow's id, or its first characters.

    Raises:
        UsageError: When there is no such run, or it did not finish.
    """
    found = store.run(run_id)
    chosen = found.data.tags.get(BEST_TAG, found.info.run_id)
    if store.run(chosen).data.tags.get(SCORED_TAG) is None:
        raise UsageError(f"run {run_id} has no result; its status is {found.info.status}", where="run")
    return stored_run(store, chosen)


def stored_run(store: Store, run_id: str) -> Run:
    """Return a finished run as it was given to its caller."""
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
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
    return Run(
        model_name=values.pop("model"),
        metrics=metrics,
        intervals=intervals,
        baselines=baselines,
        notes=tuple(values.pop("notes")),
        diagnosis=tuple(map(Finding.from_dict, values.pop("diagnosis", ()))),
        load=lambda: load(run_id),
        draw=lambda: _stored_figures(store, run_id),
        **values,
    )


def _stored_figures(store: Store, run_id: str) -> dict[str, Any]:
    """The run's figures as images: what was drawn then is not drawn again."""
    from PIL import Image

    figures = {}
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        for file in store.client.list_artifacts(run_id, "figures"):
            path = Path(store.client.download_artifacts(run_id, file.path, folder))
            with Image.open(path) as image:
                figures[path.stem] = image.copy()
    return figures


def no_model(run_id: str) -> UsageError:
    """Return the error for a cross-validation that is asked for its model."""
    return UsageError(
        f"run {run_id[:8]} is a cross-validation: it has a model for each fold, and none for all; train once "
        "without --cv, or name a fold's run",
        where="run",
    )


def stored_job(store: Store, run_id: str) -> TrainJob:
    """Return the job that a run was made by."""
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        path = Path(store.client.download_artifacts(run_id, JOB_FILE, folder))
        job = read_job(path)
    if not isinstance(job, TrainJob):
        raise JobError(f"the stored job of run {run_id} is no train job")
    return job
