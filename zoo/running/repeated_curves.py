"""The curves of repeated training as a figure of the parent run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.errors import JobError
from zoo.stored_runs.results import Run
from zoo.tracking.tracked_run import TrackedRun

STEPS = "epoch/steps"


def keep_curves(parent: TrackedRun, runs: Sequence[Run], names: Sequence[str]) -> None:
    """Log ``figures/runs.png``: the validation objective of each run after each epoch, with mean and range.

    Nothing is drawn for runs without a validation split, or while the tracking server does not answer.

    Args:
        parent: The parent run.
        runs: The repeated runs.
        names: Name of each run, such as ``seed 0``.
    """
    from zoo.figures.curves import repeated_curves

    metric = f"val_{runs[0].objective}"
    try:
        values = [_read_curve(parent, run, f"epoch/{metric}") for run in runs]
        if min(map(len, values)) < 2:
            return
        steps = [_read_curve(parent, run, STEPS) for run in runs]
    except JobError:
        return
    by_steps = all(len(x) == len(y) and x.any() for x, y in zip(steps, values, strict=True))
    places = steps if by_steps else [np.arange(1, len(y) + 1) for y in values]
    curves = dict(zip(names, zip(places, values, strict=True), strict=True))
    x_label = "environment steps" if by_steps else "epoch"
    parent.figures({"runs": repeated_curves(curves, metric=metric, x_label=x_label)})


def _read_curve(parent: TrackedRun, run: Run, name: str) -> np.ndarray:
    history: list[Any] = parent.store.client.get_metric_history(run.run_id, name)
    return np.array([each.value for each in sorted(history, key=lambda each: each.step)])
