"""Looking up what was tracked: runs, the best one, its result and its model."""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.errors import UsageError, unknown
from zoo.running.results import Run, number, plain
from zoo.saving.folder import FACTS_FILE, load_model
from zoo.saving.model import Model
from zoo.tracking.store import Store

OBJECTIVE_TAG, DIRECTION_TAG, BEST_TAG = "zoo.objective", "zoo.direction", "zoo.best"
SCORED_TAG = "zoo.scored"
# Scores compare where these agree: on other data, or in other units, a lower error says nothing.
_ALIKE = ("zoo.task", "zoo.digest", "zoo.target")
RESULT_FILE = "result.json"


@dataclass
class RunTable:
    """Runs as rows, the latest first."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo runs --json`` prints."""
        return {"runs": [plain(row) for row in self.rows]}

    def __repr__(self) -> str:
        if not self.rows:
            return "no runs yet"
        head = f"{'run':<9}{'kind':<17}{'model':<24}{'source':<26}{'status':<10}{'score':<30}{'started'}"
        lines = [head]
        for row in self.rows:
            score = f"{row['objective']} {number(row['score'])}" if row["objective"] else ""
            source = row["source"] if len(row["source"]) <= 25 else "…" + row["source"][-24:]
            lines.append(
                f"{row['run_id'][:8]:<9}{row['kind']:<17}{row['name'][:23]:<24}{source:<26}{row['status']:<10}"
                f"{score:<30}{row['started']}"
            )
        return "\n".join(lines)


def runs(experiment: str | None = None, *, limit: int = 20) -> RunTable:
    """Return the latest runs of all experiments or of one.

    Raises:
        UsageError: When there is no such experiment.
    """
    store = Store()
    store.close_orphans()
    chosen = store.known_experiment(experiment) if experiment is not None else None
    found = store.search(experiment=chosen, limit=limit, order="attributes.start_time DESC")
    names = {known.experiment_id: known.name for known in store.client.search_experiments()}
    return RunTable([_row(run, names) for run in found])


def best(experiment: str | None = None, *, metric: str | None = None) -> Run:
    """Return the best run of an experiment, ranked by validation; the test part chooses nothing.

    Runs on other data than the latest run's, or for another target, do not compare and are left out.

    Args:
        experiment: Its name; default the one with the latest run.
        metric: Score to rank by, such as ``val_accuracy``; default the task's objective on validation.

    Raises:
        UsageError: When there is no such experiment or score, or no run with a model.
    """
    store = Store()
    store.close_orphans()
    chosen = store.known_experiment(experiment) if experiment is not None else _latest_experiment(store)
    found = store.search(f"attributes.status = 'FINISHED' and tags.`{SCORED_TAG}` = 'yes'", experiment=chosen)
    # Each fold, and each seed of a comparison, has another validation part.
    found = [run for run in found if run.data.tags.get("zoo.kind") not in ("fold", "compared")]
    if not found:
        raise UsageError(f"the experiment {chosen.name!r} has no finished run of a model yet")
    newest = found[0]
    found = [run for run in found if all(run.data.tags.get(t) == newest.data.tags.get(t) for t in _ALIKE)]
    name = metric or newest.data.tags[OBJECTIVE_TAG]
    known = sorted({key for run in found for key in run.data.metrics if key.startswith("val_")})
    if name.startswith("test_"):
        raise UsageError(f"{name} cannot choose: the test part is for judging; known: {', '.join(known)}")
    if name not in known:
        raise unknown("metric", name, known, where="metric")
    ranked = [run for run in found if not math.isnan(run.data.metrics.get(name, math.nan))]
    sign = _sign(store, newest, name)
    return stored_run(store, min(ranked, key=lambda run: sign * run.data.metrics[name]).info.run_id)


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
    found = store.run(run_id)
    chosen = found.data.tags.get(BEST_TAG, found.info.run_id)
    kind = found.data.tags.get("zoo.kind")
    if kind == "cross_validation":
        from zoo.running.repeats import no_model

        raise no_model(found.info.run_id)
    if kind == "comparison":
        raise UsageError(f"run {run_id} is a comparison: it has many models; name a run below it", where="run")
    if kind == "baseline":
        raise UsageError(f"run {run_id} is a baseline, and baselines keep no model", where="run")
    path = store.download_model(chosen, folder)
    if path is None:
        raise UsageError(f"run {run_id} has no model; its status is {found.info.status}", where="run")
    return path


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
        load=lambda: load(run_id),
        draw=lambda: _stored_figures(store, run_id),
        **values,
    )


def _stored_figures(store: Store, run_id: str) -> dict[str, Any]:
    """The run's figures as pictures: what was drawn then is not drawn again."""
    from PIL import Image

    figures = {}
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        for file in store.client.list_artifacts(run_id, "figures"):
            path = Path(store.client.download_artifacts(run_id, file.path, folder))
            with Image.open(path) as picture:
                figures[path.stem] = picture.copy()
    return figures


def _row(run: Any, experiments: dict[str, str]) -> dict[str, Any]:
    from datetime import UTC, datetime

    tags = run.data.tags
    objective = tags.get(OBJECTIVE_TAG, "")
    return {
        "run_id": run.info.run_id,
        "experiment": experiments.get(run.info.experiment_id, ""),
        "kind": tags.get("zoo.kind", "other"),
        "name": run.info.run_name or "",
        "model": tags.get("zoo.model", ""),
        "source": tags.get("zoo.source", ""),
        "status": "PRUNED" if tags.get("zoo.status") == "pruned" else run.info.status,
        "objective": objective,
        "score": run.data.metrics.get(objective),
        "started": datetime.fromtimestamp(run.info.start_time / 1000, UTC).isoformat(timespec="seconds"),
        "parent": tags.get("mlflow.parentRunId"),
    }


def _latest_experiment(store: Store) -> Any:
    found = store.search(limit=1, order="attributes.start_time DESC")
    if not found:
        raise UsageError("there are no runs yet")
    return store.client.get_experiment(found[0].info.experiment_id)


def _sign(store: Store, run: Any, metric: str) -> int:
    """1 when less is better."""
    if metric == run.data.tags[OBJECTIVE_TAG]:
        return 1 if run.data.tags[DIRECTION_TAG] == "min" else -1
    from zoo.task import task_of

    task = task_of(run.data.tags["zoo.task"])
    spec = load(run.info.run_id).spec
    directions = {score.name: score.direction for score in task.scores(spec)}
    return 1 if directions[metric.split("_", 1)[1]] == "min" else -1
