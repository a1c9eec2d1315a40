"""Baselines: each is its own tracked run, computed once for the same data, split and target."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Mapping
from typing import Any, Literal

from zoo.data.dataset import SPLIT_PREFIX, Dataset
from zoo.errors import describe_missing_packages
from zoo.running.run_facts import add_prefixes
from zoo.task import Baseline, Task
from zoo.tracking.store import Store
from zoo.tracking.tags import BASELINE_TAG, OBJECTIVE_TAG
from zoo.tracking.tracked_run import TrackedRun, end_run

# What a classical estimator raises for data that it cannot be fitted on.
BASELINE_ERRORS = (ArithmeticError, LookupError, MemoryError, TypeError, ValueError)


def run_baselines(
    task: Task,
    dataset: Dataset,
    level: Literal["quick", "all", "none"],
    *,
    store: Store,
    experiment: Any,
    seed: int,
    threshold: str | None = None,
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Return the metrics of each baseline, and notes about baselines that were skipped.

    Baselines that were already run on the same splits are read from the store. With a ``threshold`` each chooses its
    own on the validation split, as the model does. Ctrl-C skips those that are left; the run itself continues.
    """
    dataset = dataclasses.replace(dataset, threshold=threshold)
    results: dict[str, dict[str, float]] = {}
    notes: list[str] = []
    rows = len(dataset.splits["train"]) if "train" in dataset.splits else 0
    baselines = task.baselines(level, dataset.spec)
    for baseline in baselines:
        if baseline.needs is not None and (missing := describe_missing_packages(*baseline.needs)) is not None:
            notes.append(f"baseline {baseline.name} is left out: {missing}")
            continue
        if baseline.most_rows is not None and rows > baseline.most_rows:
            notes.append(
                f"baseline {baseline.name} is left out: it is limited to {baseline.most_rows:,} training rows, "
                f"and there are {rows:,}"
            )
            continue
        if baseline.fitted_rows is not None and rows > baseline.fitted_rows:
            notes.append(f"baseline {baseline.name} is fitted on {baseline.fitted_rows:,} of {rows:,} training rows")
        try:
            results[baseline.name] = _tracked(task, dataset, baseline, store, experiment, seed)
        except KeyboardInterrupt:
            left = [each.name for each in baselines[baselines.index(baseline) :]]
            notes.append(f"the baselines {', '.join(left)} were skipped by Ctrl-C")
            print("the baselines are skipped; Ctrl-C again stops the run", file=sys.stderr, flush=True)
            break
        except BASELINE_ERRORS as error:
            notes.append(f"baseline {baseline.name} failed: {error}")  # a failing baseline must not fail the run
    return results, notes


def _tracked(
    task: Task, dataset: Dataset, baseline: Baseline, store: Store, experiment: Any, seed: int
) -> dict[str, float]:
    key = _key(task, dataset, baseline, seed)
    runs = store.search(f"tags.`{BASELINE_TAG}` = '{key}' and attributes.status = 'FINISHED'", limit=100)
    here = [run for run in runs if run.info.experiment_id == experiment.experiment_id]
    if here:
        return _scores(here[0].data.metrics)
    tags = {
        BASELINE_TAG: key,
        "zoo.kind": "baseline",
        "zoo.task": task.name,
        "zoo.model": baseline.name,
        "zoo.source": dataset.source,
        "zoo.digest": dataset.digest,
        OBJECTIVE_TAG: task.objective_prefix + task.rules(dataset.spec).metrics()[0].name,
    }
    killed = store.search(f"tags.`{BASELINE_TAG}` = '{key}' and attributes.status = 'KILLED'", experiment=experiment)
    if killed:
        tracked = TrackedRun.reopen(store, killed[0].info.run_id)
    else:
        tracked = TrackedRun.create(store, experiment, f"{baseline.name} on {dataset.name}", tags=tags)
    with end_run(tracked) as run:
        run.dataset(dataset)
        if runs:
            metrics = dict(runs[0].data.metrics)
            run.tags({"zoo.copied_from": runs[0].info.run_id})
        else:
            began = time.perf_counter()
            metrics = add_prefixes(baseline.run(dataset, seed))
            metrics["seconds"] = time.perf_counter() - began
        run.metrics(metrics)
    return _scores(metrics)


def _scores(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name.startswith(tuple(SPLIT_PREFIX.values()))}


def _key(task: Task, dataset: Dataset, baseline: Baseline, seed: int) -> str:
    positive = dataset.spec.target.positive if dataset.spec.has_classes else None
    used = {name: value for name, value in dataset.spec.options.items() if name not in task.options.unused_by_baselines}
    options = json.dumps(used, sort_keys=True, default=str)
    version = 3 if dataset.spec.weights_count else 2  # of how baselines are computed
    text = f"{version} {task.name} {baseline.name} {dataset.split_digest} {positive} {seed} {options}"
    text += f" {dataset.threshold}" if dataset.threshold is not None else ""
    rows = len(dataset.splits["train"]) if "train" in dataset.splits else 0
    is_sampled = baseline.fitted_rows is not None and rows > baseline.fitted_rows
    text += f" on {baseline.fitted_rows} rows" if is_sampled else ""
    return hashlib.sha256(text.encode()).hexdigest()[:24]
