"""Tables of runs: the latest, those of a task, the best by validation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.data.dataset import SPLIT_PREFIX
from zoo.errors import UsageError, describe_unknown
from zoo.jobs.keywords import accept_keywords
from zoo.jobs.run_jobs import BestJob, RunsJob
from zoo.metrics.direction import Direction
from zoo.registry import list_tasks, resolve
from zoo.stored_runs.cleanup import prune
from zoo.stored_runs.lookup import load_run
from zoo.stored_runs.results import Run
from zoo.stored_runs.ties import find_ties, select_among_ties
from zoo.text import convert_to_plain, format_number
from zoo.tracking.store import PARENT_TAG, Store
from zoo.tracking.tags import (
    BASELINE_TAG,
    DIRECTION_TAG,
    LESS_TAG,
    OBJECTIVE_TAG,
    RESULT_FILE,
    SCORED_TAG,
    SPLIT_TAG,
    VALIDATION_TAG,
    unpack_tags,
)

# Scores are comparable only if these tags agree: the same task, data and target.
_COMPARABLE_TAGS = ("zoo.task", "zoo.digest", "zoo.target")
MOST_NAME, MOST_SOURCE = 48, 25  # maximum number of characters shown
MOST_TIED = 10  # runs that are compared with the best


@dataclass
class RunTable:
    """Runs as rows.

    Args:
        rows: The latest first, or in the requested order.
        sort: Metric that rows are sorted by, which the table shows; None for the start time.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    sort: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo runs --json`` prints."""
        return {"runs": [convert_to_plain(row) for row in self.rows]}

    def __repr__(self) -> str:
        if not self.rows:
            return "no matching runs"
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
                    self._test_cell(row),
                    row["started"],
                )
            )
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    def _test_cell(self, row: dict[str, Any]) -> str:
        name = self.sort if self.sort not in (None, row["objective"]) else row["test_name"]
        return _named(name or "", row["sorted_by"] if name == self.sort else row["test_score"])


@dataclass
class Ranking:
    """The best runs of an experiment, ranked by validation.

    Args:
        best: The best run.
        table: The first runs, best first, as rows.
        metric: Metric that they are ranked by.
        validation: The validation rows that all of them are scored on, such as ``96 rows``; empty if unknown.
        left_out: The first runs, best first, that are scored on other validation rows.
        tied: Ids of the runs that validation cannot tell apart from that with the best score, that run included.
    """

    best: Run
    table: RunTable
    metric: str
    validation: str = ""
    left_out: RunTable = field(default_factory=RunTable)
    tied: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo best --json`` prints."""
        tables = {"ranking": self.table.as_dict()["runs"], "left_out": self.left_out.as_dict()["runs"]}
        return {**self.best.as_dict(), "ranked_by": self.metric, "tied": list(self.tied), **tables}

    def __repr__(self) -> str:
        if len(self.table.rows) < 2 and not self.left_out.rows:
            return repr(self.best)
        on = f" on the same {self.validation}" if self.validation else ""
        lines = [f"ranked by {self.metric}{on} (the test split is not used to choose):", str(self.table)]
        if len(self.tied) > 1:
            names = ", ".join(run_id[:8] for run_id in self.tied)
            lines.append(
                f"validation cannot tell these runs apart: {names}; below is the one with the best pessimistic end of "
                f"its 95 % interval of {self.metric}; zoo compare tests the difference"
            )
        if self.left_out.rows:
            names = ", ".join(row["run_id"][:8] for row in self.left_out.rows)
            lines.append(
                f"runs with other validation rows than the latest run are left out, such as {names}: their scores are "
                "not comparable; train them with the same split (--split-seed, or --split file=split.json)"
            )
        return "\n".join([*lines, "", str(self.best)])


@accept_keywords(RunsJob, "experiment")
def runs(job: RunsJob, *, quiet: bool = False) -> Any:
    """Return the latest runs of all experiments or of one; or with ``prune`` remove leftovers of failed runs.

    Args:
        job: The job; or its keys as keywords. Runs without the metric of ``sort`` are left out.
        quiet: Ask nothing before leftovers are removed; without ``yes`` they stay.

    Raises:
        UsageError: When there is no such experiment, task, model or metric.
    """
    if job.prune:
        return prune(confirmed=job.yes, ask=not quiet)
    store = Store()
    store.close_orphans()
    chosen = store.known_experiment(job.experiment) if job.experiment is not None else None
    where = [] if job.every else [f"tags.`{PARENT_TAG}` IS NULL", f"tags.`{BASELINE_TAG}` IS NULL"]
    if job.task is not None:
        if job.task not in list_tasks():
            raise describe_unknown("task", job.task, list_tasks(), where="task")
        where.append(f"tags.`zoo.task` = '{job.task}'")
    if job.model is not None:
        where.append(f"tags.`zoo.model` = '{resolve(job.model).name}'")
    order, within = "attributes.start_time DESC", " and ".join(where)
    if job.sort is not None:
        newest = store.search(within, experiment=chosen, limit=1, order=order)
        direction = _direction_of(newest[0], job.sort) if newest else Direction.MIN
        where.append(f"metrics.`{job.sort}` > -1e300")  # only runs that have it
        order = f"metrics.`{job.sort}` {_sql_order(direction)}"
    rows = store.search(" and ".join(where), experiment=chosen, limit=job.limit, order=order)
    if job.sort is not None and not rows:
        latest = store.search(within, experiment=chosen, limit=job.limit)
        raise describe_unknown(
            "metric", job.sort, sorted({name for run in latest for name in run.data.metrics}), where="sort"
        )
    names = store.experiment_names()
    return RunTable([describe_row(run, names, job.sort) for run in rows], job.sort)


def best(experiment: str | None = None, *, metric: str | None = None) -> Run:
    """Return the best run of an experiment, ranked by validation; the test split is never used to choose.

    Of runs whose scores are within the 95 % interval of the best score, it is the one whose own interval has the best
    pessimistic end: a lucky score on few rows has a wide interval.

    Runs on other data or validation rows than the latest run's, or for another target, are not comparable and are left
    out.

    Args:
        experiment: Its name; default the one with the latest run.
        metric: Metric to rank by, such as ``val_accuracy``; default the task's objective on validation.

    Raises:
        UsageError: When there is no such experiment or metric, or no run with a model.
    """
    return rank_runs(experiment, metric=metric, limit=1).best


@accept_keywords(BestJob, "experiment")
def rank_runs(job: BestJob, *, limit: int = 5) -> Ranking:
    """Return the best runs of an experiment; see :func:`best`.

    Args:
        job: The job; or its keys as keywords.
        limit: Maximum number of runs.
    """
    store = Store()
    store.close_orphans()
    chosen = store.known_experiment(job.experiment) if job.experiment is not None else _latest_experiment(store)
    # Each fold, and each seed of a comparison, has another validation split; a reproduction repeats an existing run.
    where = ["attributes.status = 'FINISHED'", f"tags.`{SCORED_TAG}` = 'yes'"]
    where += [f"tags.`zoo.kind` != '{kind}'" for kind in ("fold", "compared", "reproduction")]
    newest = store.search(" and ".join(where), experiment=chosen, limit=1, order="attributes.start_time DESC")
    if not newest:
        raise UsageError(f"the experiment {chosen.name!r} has no finished run of a model yet")
    tags = newest[0].data.tags
    name = job.metric or tags[OBJECTIVE_TAG]
    names = sorted(key for key in newest[0].data.metrics if key.startswith("val_"))
    if name.startswith("test_"):
        raise UsageError(f"{name} cannot choose a model: the test split only evaluates; use one of {', '.join(names)}")
    if name not in names:
        raise describe_unknown("metric", name, names, where="metric")
    where += [f"tags.`{tag}` = {_quoted(tags[tag])}" for tag in _COMPARABLE_TAGS if tags.get(tag)]
    where.append(f"metrics.`{name}` > -1e300")
    order = f"metrics.`{name}` {_sql_order(_direction_of(newest[0], name))}"
    validation = tags.get(VALIDATION_TAG, "")
    same = [*where, f"tags.`{VALIDATION_TAG}` = {_quoted(validation)}"] if validation else where
    most = max(limit, MOST_TIED)
    rows = store.search(" and ".join(same), experiment=chosen, limit=most, order=order)
    rows = [run for run in rows if not math.isnan(run.data.metrics[name])]
    if not rows:
        raise UsageError(f"{name} is not a number in any run of {chosen.name!r}", where="metric")
    everywhere = store.search(" and ".join(where), experiment=chosen, limit=limit, order=order) if validation else rows
    others = [run for run in everywhere if run.data.tags.get(VALIDATION_TAG, "") != validation]
    if earlier := _with_the_same_split(others, newest[0]):
        key = Direction(_direction_of(newest[0], name)).key
        rows = sorted([*rows, *earlier], key=lambda run: key(run.data.metrics[name]))[:most]
        others = [run for run in others if run not in earlier]
    table, left_out = (
        RunTable([describe_row(run, {chosen.experiment_id: chosen.name}, name) for run in listed], name)
        for listed in (rows[:limit], others)
    )
    direction = _direction_of(newest[0], name)
    tied = find_ties(_load_rivals(store, rows, name, direction), name, direction)
    preferred = select_among_ties(tied, name, direction)
    rows_of = validation.partition(",")[0]
    return Ranking(preferred, table, name, rows_of, left_out, [run.run_id for run in tied])


def _load_rivals(store: Store, rows: Sequence[Any], metric: str, direction: Direction) -> list[Run]:
    """Return the best run, and those whose score is within its interval; one without a stored result is left out."""
    best = load_run(store, rows[0].info.run_id)
    rivals = [best]
    for run in rows[1:]:
        scored = dataclasses.replace(best, metrics=run.data.metrics, intervals={})
        close = len(find_ties([best, scored], metric, direction)) > 1
        if close and store.read_text(run.info.run_id, RESULT_FILE) is not None:
            rivals.append(load_run(store, run.info.run_id))
    return rivals


def _with_the_same_split(runs: Sequence[Any], newest: Any) -> list[Any]:
    """Return the runs from before validation rows had a tag that have the same split, so the same validation rows."""
    split = unpack_tags(newest).get(SPLIT_TAG)
    return [
        run
        for run in runs
        if split and VALIDATION_TAG not in run.data.tags and unpack_tags(run).get(SPLIT_TAG) == split
    ]


def describe_row(run: Any, experiments: Mapping[str, str], sort: str | None = None) -> dict[str, Any]:
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
    """Quote a text for MLflow's filters."""
    return f'"{text}"' if "'" in text else f"'{text}'"


def _named(name: str, value: float | None) -> str:
    return f"{name} {format_number(value)}" if name and value is not None else ""


def _latest_experiment(store: Store) -> Any:
    latest = store.search(limit=1, order="attributes.start_time DESC")
    if not latest:
        raise UsageError("there are no runs yet")
    return store.client.get_experiment(latest[0].info.experiment_id)


def _sql_order(direction: Direction) -> str:
    return "ASC" if direction.less_is_better else "DESC"


def _direction_of(run: Any, metric: str) -> Direction:
    """Return the direction of a metric, as the run's tags say."""
    tags = unpack_tags(run)
    if metric == tags.get(OBJECTIVE_TAG):
        return Direction(tags[DIRECTION_TAG])
    less = tags.get(LESS_TAG, "").split(", ")
    name = metric.split("_", 1)[1] if metric.startswith(tuple(SPLIT_PREFIX.values())) else metric
    return Direction.MIN if name in (*less, "loss", "seconds", "n_parameters", "latency_ms") else Direction.MAX
