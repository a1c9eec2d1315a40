"""Runs as rows: the latest, those of a task, the best by validation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.data.dataset import SPLIT_PREFIX
from zoo.errors import UsageError, unknown
from zoo.registry import list_tasks, model_entry
from zoo.stored_runs.lookup import stored_run
from zoo.stored_runs.results import Run
from zoo.text import number, plain
from zoo.tracking.store import PARENT_TAG, Store
from zoo.tracking.tags import BASELINE_TAG, DIRECTION_TAG, LESS_TAG, OBJECTIVE_TAG, SCORED_TAG

# Scores compare where these agree: on other data, or in other units, a lower error says nothing.
_ALIKE = ("zoo.task", "zoo.digest", "zoo.target")
MOST_NAME, MOST_SOURCE = 48, 25  # characters that are shown


@dataclass
class RunTable:
    """Runs as rows.

    Args:
        rows: The latest first, or in the order that was asked for.
        sort: Metric that they are in the order of, which the table shows; None for the time.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    sort: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo runs --json`` prints."""
        return {"runs": [plain(row) for row in self.rows]}

    def __repr__(self) -> str:
        if not self.rows:
            return "no such runs yet"
        lines = [("run", "kind", "name", "source", "status", "validation", "test", "started")]
        for row in self.rows:
            name, source = row["name"], row["source"]
            lines.append(
                (
                    row["run_id"][:8],
                    row["kind"],
                    name if len(name) <= MOST_NAME else name[: MOST_NAME - 1] + "…",
                    source if len(source) <= MOST_SOURCE else "…" + source[1 - MOST_SOURCE :],
                    row["status"],
                    _named(row["objective"], row["score"]),
                    self._beside(row),
                    row["started"],
                )
            )
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    def _beside(self, row: dict[str, Any]) -> str:
        name = self.sort if self.sort not in (None, row["objective"]) else row["test_name"]
        return _named(name or "", row["sorted_by"] if name == self.sort else row["test_score"])


@dataclass
class Ranking:
    """The best run of an experiment, and those that come next, by validation.

    Args:
        best: The best.
        table: The first of them, best first, as rows.
        metric: What they are ranked by.
    """

    best: Run
    table: RunTable
    metric: str

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo best --json`` prints."""
        return {**self.best.as_dict(), "ranked_by": self.metric, "ranking": self.table.as_dict()["runs"]}

    def __repr__(self) -> str:
        if len(self.table.rows) < 2:
            return repr(self.best)
        return f"ranked by {self.metric}; test chose nothing:\n{self.table}\n\n{self.best}"


def runs(
    experiment: str | None = None,
    *,
    limit: int = 20,
    task: str | None = None,
    model: str | None = None,
    sort: str | None = None,
    every: bool = False,
) -> RunTable:
    """Return the latest runs of all experiments or of one.

    Args:
        experiment: Its name.
        limit: Most rows.
        task: Only runs of this task.
        model: Only runs of this model.
        sort: Metric to sort by, best first, such as ``test_accuracy``; runs without it are left out.
        every: Also baselines, and runs below another: trials, seeds, folds.

    Raises:
        UsageError: When there is no such experiment, task, model or metric.
    """
    store = Store()
    store.close_orphans()
    chosen = store.known_experiment(experiment) if experiment is not None else None
    where = [] if every else [f"tags.`{PARENT_TAG}` IS NULL", f"tags.`{BASELINE_TAG}` IS NULL"]
    if task is not None:
        if task not in list_tasks():
            raise unknown("task", task, list_tasks(), where="task")
        where.append(f"tags.`zoo.task` = '{task}'")
    if model is not None:
        where.append(f"tags.`zoo.model` = '{model_entry(model).name}'")
    order, within = "attributes.start_time DESC", " and ".join(where)
    if sort is not None:
        newest = store.search(within, experiment=chosen, limit=1, order=order)
        sign = _sign_of(newest[0], sort) if newest else 1
        where.append(f"metrics.`{sort}` > -1e300")  # of runs that have it
        order = f"metrics.`{sort}` {'ASC' if sign > 0 else 'DESC'}"
    found = store.search(" and ".join(where), experiment=chosen, limit=limit, order=order)
    if sort is not None and not found:
        latest = store.search(within, experiment=chosen, limit=limit)
        raise unknown("metric", sort, sorted({name for run in latest for name in run.data.metrics}), where="sort")
    names = store.experiment_names()
    return RunTable([row_of(run, names, sort) for run in found], sort)


def best(experiment: str | None = None, *, metric: str | None = None) -> Run:
    """Return the best run of an experiment, ranked by validation; the test part chooses nothing.

    Runs on other data than the latest run's, or for another target, do not compare and are left out.

    Args:
        experiment: Its name; default the one with the latest run.
        metric: Metric to rank by, such as ``val_accuracy``; default the task's objective on validation.

    Raises:
        UsageError: When there is no such experiment or score, or no run with a model.
    """
    return ranking(experiment, metric=metric, limit=1).best


def ranking(experiment: str | None = None, *, metric: str | None = None, limit: int = 5) -> Ranking:
    """Return the best runs of an experiment; see :func:`best`.

    Args:
        experiment: Its name.
        metric: Metric to rank by.
        limit: Most runs.
    """
    store = Store()
    store.close_orphans()
    chosen = store.known_experiment(experiment) if experiment is not None else _latest_experiment(store)
    # Each fold, and each seed of a comparison, has another validation part; what was reproduced is there already.
    where = ["attributes.status = 'FINISHED'", f"tags.`{SCORED_TAG}` = 'yes'"]
    where += [f"tags.`zoo.kind` != '{kind}'" for kind in ("fold", "compared", "reproduction")]
    newest = store.search(" and ".join(where), experiment=chosen, limit=1, order="attributes.start_time DESC")
    if not newest:
        raise UsageError(f"the experiment {chosen.name!r} has no finished run of a model yet")
    tags = newest[0].data.tags
    name = metric or tags[OBJECTIVE_TAG]
    known = sorted(key for key in newest[0].data.metrics if key.startswith("val_"))
    if name.startswith("test_"):
        raise UsageError(f"{name} cannot choose: the test part is for judging; known: {', '.join(known)}")
    if name not in known:
        raise unknown("metric", name, known, where="metric")
    where += [f"tags.`{tag}` = {_quoted(tags[tag])}" for tag in _ALIKE if tags.get(tag)]
    where.append(f"metrics.`{name}` > -1e300")
    order = f"metrics.`{name}` {'ASC' if _sign_of(newest[0], name) > 0 else 'DESC'}"
    found = store.search(" and ".join(where), experiment=chosen, limit=limit, order=order)
    found = [run for run in found if not math.isnan(run.data.metrics[name])]
    if not found:
        raise UsageError(f"{name} is no number in any run of {chosen.name!r}", where="metric")
    table = RunTable([row_of(run, {chosen.experiment_id: chosen.name}, name) for run in found], name)
    return Ranking(stored_run(store, found[0].info.run_id), table, name)


def row_of(run: Any, experiments: Mapping[str, str], sort: str | None = None) -> dict[str, Any]:
    """Return MLflow's run as a row of ``zoo runs``.

    Args:
        run: MLflow's run.
        experiments: Names of experiments by MLflow's id.
        sort: Metric that rows are sorted by.
    """
    from datetime import UTC, datetime

    tags, metrics = run.data.tags, run.data.metrics
    objective = tags.get(OBJECTIVE_TAG, "")
    test = "test_" + objective.removeprefix("val_") if objective else ""
    return {
        "run_id": run.info.run_id,
        "experiment": experiments.get(run.info.experiment_id, ""),
        "kind": tags.get("zoo.kind", "other"),
        "name": run.info.run_name or "",
        "model": tags.get("zoo.model", ""),
        "source": tags.get("zoo.source", ""),
        "status": "PRUNED" if tags.get("zoo.status") == "pruned" else run.info.status,
        "objective": objective,
        "score": metrics.get(objective),
        "test_name": test,
        "test_score": metrics.get(test),
        "sorted_by": metrics.get(sort or ""),
        "started": datetime.fromtimestamp(run.info.start_time / 1000, UTC).isoformat(timespec="seconds"),
        "parent": tags.get(PARENT_TAG),
    }


def _quoted(text: str) -> str:
    """A text as MLflow's filters take it."""
    return f'"{text}"' if "'" in text else f"'{text}'"


def _named(name: str, value: float | None) -> str:
    return f"{name} {number(value)}" if name and value is not None else ""


def _latest_experiment(store: Store) -> Any:
    found = store.search(limit=1, order="attributes.start_time DESC")
    if not found:
        raise UsageError("there are no runs yet")
    return store.client.get_experiment(found[0].info.experiment_id)


def _sign_of(run: Any, metric: str) -> int:
    """1 when less of a metric is better, by what a run says of its scores."""
    tags = run.data.tags
    if metric == tags.get(OBJECTIVE_TAG):
        return 1 if tags[DIRECTION_TAG] == "min" else -1
    less = tags.get(LESS_TAG, "").split(", ")
    name = metric.split("_", 1)[1] if metric.startswith(tuple(SPLIT_PREFIX.values())) else metric
    return 1 if name in less or name in ("loss", "seconds", "n_parameters", "latency_ms") else -1
