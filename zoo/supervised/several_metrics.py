"""Metrics of several targets: truth (N, K) with NaN where a row lacks one, prediction (N, P), weights (R, N)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from zoo.metrics.intervals import ERROR, FRACTION, UNKNOWN, Interval, Sample
from zoo.metrics.metric import Metric
from zoo.metrics.numbers import create_mean_metrics, find_present
from zoo.metrics.weighting import weighted_mean

# Of classes; a number has few metrics, and all of them are kept.
OF_EACH = ("log_loss", "accuracy", "roc_auc", "f1", "f1_macro", "quadratic_kappa", "rank_error", "rmse", "mae", "r2")
MOST_TARGETS = 10  # that have metrics of their own
MEANS = ("log_loss", "accuracy", "roc_auc", "f1_macro")


@dataclass(frozen=True)
class TargetColumn:
    """One of several targets in truth and prediction.

    Args:
        name: Its name, which follows that of its metrics.
        metrics: Its metrics, as if it were the only target; the first is its objective.
        scale: Value of the objective for a model that uses the targets alone.
        truth: Its column in the truth.
        prediction: Its columns in the prediction: probabilities of classes, or a number.
        called: Function from probabilities (N, C) to the index of the predicted class (N,); None for a number.
    """

    name: str
    metrics: Sequence[Metric]
    scale: float
    truth: int
    prediction: slice
    called: Callable[[np.ndarray], np.ndarray] | None

    @property
    def is_class(self) -> bool:
        """Whether it has classes."""
        return self.called is not None


def create_several_metrics(columns: Sequence[TargetColumn]) -> tuple[Metric, ...]:
    """Return the metrics of several targets, the objective of a search first, then those of each target.

    Of numbers alone, the first are the means of rmse, mae and r2, each divided by its standard deviation; of classes
    alone, the means of log_loss, accuracy, roc_auc and f1_macro, and ``exact_match``, the fraction of rows in which all
    targets are right; of both, ``relative_error``, the mean of rmse / standard deviation and log_loss / entropy of the
    classes, which is 1 for a model that uses the targets alone. Those of more than ten targets are a table instead,
    :func:`score_targets`.

    Args:
        columns: The targets.
    """
    if all(not column.is_class for column in columns):
        first = create_mean_metrics(np.array([column.scale for column in columns]))
    elif all(column.is_class for column in columns):
        match = Metric("exact_match", "max", partial(_exact_match, columns=columns), limits=FRACTION)
        first = (*(metric for name in MEANS for metric in _mean_metric(columns, name)), match)
    else:
        first = (Metric("relative_error", "min", partial(_mean, columns=columns, name=None), limits=ERROR),)
    if len(columns) > MOST_TARGETS:
        return first
    return (*first, *(_of_target(column, metric) for column in columns for metric in column.metrics))


def score_targets(
    columns: Sequence[TargetColumn], truth: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None
) -> list[dict[str, Any]]:
    """Return the name of each target, the number of rows that have it, and its metrics on them.

    Args:
        columns: The targets.
        truth: (N, K) truth.
        prediction: (N, P) prediction.
        weight: (N,) weights of rows; None if all are equal.
    """
    weights = np.ones((1, len(truth))) if weight is None else weight[None]
    return [
        {
            "target": column.name,
            "rows": len(find_present(truth[:, column.truth])),
            **{
                metric.name: float(_of_rows(metric.function, column, truth, prediction, weights)[0])
                for metric in column.metrics
            },
        }
        for column in columns
    ]


def _mean_metric(columns: Sequence[TargetColumn], name: str) -> tuple[Metric, ...]:
    metric = next((metric for metric in columns[0].metrics if metric.name == name), None)
    if metric is None:
        return ()
    return (Metric(name, metric.direction, partial(_mean, columns=columns, name=name), limits=metric.limits),)


def _mean(
    truth: np.ndarray,
    prediction: np.ndarray,
    weights: np.ndarray,
    columns: Sequence[TargetColumn],
    name: str | None,
) -> np.ndarray:
    """Return the mean of a metric over targets; without a name that of their objectives by their scales."""
    values = []
    for column in columns:
        metric = column.metrics[0] if name is None else next(m for m in column.metrics if m.name == name)
        value = _of_rows(metric.function, column, truth, prediction, weights)
        values.append(value / column.scale if name is None else value)
    defined = [value for value in values if not np.isnan(value).all()]
    return np.asarray(np.mean(defined, axis=0)) if defined else np.full(len(weights), np.nan)


def _exact_match(
    truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray, columns: Sequence[TargetColumn]
) -> np.ndarray:
    right = np.ones(len(truth), bool)
    for column in columns:
        assert column.called is not None
        values = truth[:, column.truth]
        right &= np.isnan(values) | (column.called(prediction[:, column.prediction]) == values)
    return weighted_mean(right.astype(float), weights)


def _of_target(column: TargetColumn, metric: Metric) -> Metric:
    interval = None if metric.interval is None else partial(_interval_of_rows, metric.interval, column)
    return Metric(
        f"{metric.name}_{column.name}",
        metric.direction,
        partial(_of_rows, metric.function, column),
        interval,
        limits=metric.limits,
    )


def _of_rows(
    function: Callable[..., Any], column: TargetColumn, truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray
) -> Any:
    """Return a metric (R,) of one target on the rows that have it."""
    rows = find_present(truth[:, column.truth])
    if not len(rows):
        return np.full(len(weights), np.nan)
    return function(*_pick(column, truth, prediction, rows), weights[:, rows])


def _interval_of_rows(
    function: Callable[..., Interval], column: TargetColumn, truth: np.ndarray, prediction: np.ndarray, sample: Sample
) -> Interval:
    rows = find_present(truth[:, column.truth])
    if not sample.weight[rows].any():
        return UNKNOWN
    group = None if sample.group is None else sample.group[rows]
    return function(*_pick(column, truth, prediction, rows), Sample(sample.weight[rows], sample.counts, group))


def _pick(
    column: TargetColumn, truth: np.ndarray, prediction: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    values, output = truth[rows, column.truth], prediction[rows, column.prediction]
    return (values.astype(np.int64), output) if column.is_class else (values, output[:, 0])
