"""Metrics of anomaly scores, by the same rules for models and classical detectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.metrics.class_intervals import has_enough, pr_auc_interval, roc_auc_interval
from zoo.metrics.classes import pr_auc, roc_auc
from zoo.metrics.intervals import (
    ERROR,
    FRACTION,
    UNKNOWN,
    Interval,
    Sample,
    fraction_interval,
    mean_error_interval,
    student_quantile,
)
from zoo.metrics.metric import Metric, evaluate
from zoo.metrics.weighting import ratio, weighted_mean

from ._layers import CONTRIBUTIONS, SCORE

ALARM_RATE = "alarm_rate"


def compute_precision_at_k(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the fraction of anomalies among the k rows with the highest scores, where k is the number of anomalies.

    Of equal scores at the limit each row counts in part, as if their order were drawn. It is also called R-precision
    (Manning, Raghavan and Schütze, *Introduction to Information Retrieval*, 2008, section 8.4).

    Args:
        truth: (N,) 1 for an anomaly, else 0.
        prediction: (N, 2) scores, of the second column.
        weights: (R, N).

    Returns:
        (R,), NaN where no anomaly has weight.

    Example:
        >>> scores = np.array([0.1, 0.9, 0.5, 0.5])
        >>> compute_precision_at_k(np.array([0, 0, 1, 1]), np.stack([-scores, scores], axis=1), np.ones((1, 4)))
        array([0.5])
    """
    falling = -np.asarray(prediction, float)[:, 1]
    order = np.argsort(falling, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(falling[order]) > 0))  # of rows with equal scores
    ordered = weights[:, order]
    rows = np.add.reduceat(ordered, starts, axis=1)
    hits = np.add.reduceat(ordered * (truth[order] == 1), starts, axis=1)
    wanted = hits.sum(axis=1)
    counted = np.clip(wanted[:, None] - (np.cumsum(rows, axis=1) - rows), 0, rows)
    return ratio((hits * np.divide(counted, rows, out=np.zeros_like(rows), where=rows > 0)).sum(axis=1), wanted)


def create_metrics(labelled: bool) -> tuple[Metric, ...]:
    """Return the metrics of anomaly scores, the objective of a search first.

    Args:
        labelled: Whether there are labels.

    Example:
        >>> [metric.name for metric in create_metrics(labelled=True)]
        ['loss', 'pr_auc', 'roc_auc', 'precision_at_k']
    """
    loss = Metric("loss", "min", _mean, _mean_interval, limits=ERROR)
    return (loss, *_LABELLED) if labelled else (loss,)


def score_rows(
    output: Mapping[str, Any], dataset: Dataset, split: str, *, intervals: bool
) -> tuple[dict[str, float], dict[str, Interval]]:
    """Return the metrics of one split, and their intervals if they are requested.

    Args:
        output: ``score`` (N, 1) of the split's rows; of a model, whose mean score is its loss, also ``contributions``.
        dataset: The data, with the threshold in the options of its spec if one was chosen.
        split: Name of the split.
        intervals: Whether to compute intervals.
    """
    resamples = 1000 if intervals else 0
    scores: dict[str, float] = {}
    bounds: dict[str, Interval] = {}
    score = np.asarray(output[SCORE], float)[:, 0]
    if CONTRIBUTIONS in output:
        scores, bounds = evaluate(create_metrics(labelled=False), score, score, resamples=resamples)
    threshold = dataset.spec.options.get("threshold")
    if threshold is not None:
        scores[ALARM_RATE] = float((score > threshold).mean())
    labels = dataset.splits[split].target
    if labels is not None and (labels >= 0).any():
        has_label = labels >= 0
        two = np.stack([-score, score], axis=1)[has_label]
        more, of_labels = evaluate(_LABELLED, labels[has_label], two, resamples=resamples)
        scores, bounds = {**scores, **more}, {**bounds, **of_labels}
    return scores, bounds if intervals else {}


def _mean(truth: np.ndarray, _: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weighted_mean(truth, weights)


def _mean_interval(truth: np.ndarray, _: np.ndarray, sample: Sample) -> Interval:
    return mean_error_interval(truth, sample)


def _precision_interval(truth: np.ndarray, prediction: np.ndarray, sample: Sample) -> Interval:
    """Return the score interval of a fraction of as many rows as there are anomalies."""
    anomalies = sample.count(truth == 1)
    if not has_enough(truth, sample):
        return UNKNOWN
    value = float(compute_precision_at_k(truth, prediction, sample.weight[None])[0])
    return fraction_interval(value, anomalies, student_quantile(min(anomalies, sample.units)))


_LABELLED: Sequence[Metric] = (
    Metric("pr_auc", "max", pr_auc, pr_auc_interval, limits=FRACTION),
    Metric("roc_auc", "max", roc_auc, roc_auc_interval, limits=FRACTION),
    Metric("precision_at_k", "max", compute_precision_at_k, _precision_interval, limits=FRACTION),
)
