"""Significance of differences: paired tests, corrected for shared rows and for multiple comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from zoo.metrics.direction import Direction
from zoo.metrics.intervals import NORMAL_QUANTILE, Sample
from zoo.metrics.metric import Metric, draw_weights, limit_draws

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval, and the p-value of the hypothesis that it is zero."""

    mean: float
    low: float
    high: float
    p: float


def estimate_mean(values: np.ndarray, *, tested: float = 0.0, noise: float = 0.0) -> Estimate:
    """Return the mean of repeats with its 95 % interval and the two-sided p-value for zero.

    Repeats on random splits share most of their training rows: the variance of their mean is that of Student's t,
    increased by the ratio of test to training rows (Nadeau and Bengio 2003, "Inference for the Generalization
    Error", equation 8). Repeats on one test split share its sampling error, which adds a second variance; the sum has
    the degrees of freedom of Welch (1947) and Satterthwaite (1946).

    Args:
        values: One value per repeat (R,); to compare two models, their differences on the same splits.
        tested: Ratio of test to training rows if each repeat draws its own split; else 0.
        noise: Standard error from the test rows if all repeats share them; else 0.

    Example:
        >>> estimate = estimate_mean(np.array([1.0, 2.0, 3.0]), tested=0.5)
        >>> round(estimate.low, 2), round(estimate.high, 2), round(estimate.p, 3)
        (-1.93, 5.93, 0.16)
    """
    mean, count = float(np.mean(values)), len(values)
    repeats = float(np.var(values, ddof=1)) * (1 / count + tested) if count > 1 else 0.0
    variance = repeats + noise**2
    if math.isnan(mean) or (count == 1 and not noise):
        return Estimate(mean, math.nan, math.nan, math.nan)
    if variance <= 0:
        return Estimate(mean, mean, mean, 1.0 if mean == 0 else 0.0)
    freedom = variance**2 / (repeats**2 / (count - 1)) if repeats else math.inf
    error = math.sqrt(variance)
    half = float(stats.t.ppf(0.975, freedom)) * error
    return Estimate(mean, mean - half, mean + half, float(2 * stats.t.sf(abs(mean) / error, freedom)))


def compute_standard_error(intervals: Sequence[tuple[float, float]]) -> float:
    """Return the mean standard error that 95 % intervals imply, by the normal distribution; NaN if none is a number.

    Args:
        intervals: 95 % intervals of one score in several runs.

    Example:
        >>> round(compute_standard_error([(0.5, 0.9), (math.nan, math.nan)]), 3)
        0.102
    """
    widths = [high - low for low, high in intervals if not math.isnan(high - low)]
    return float(np.mean(widths)) / (2 * NORMAL_QUANTILE) if widths else math.nan


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for multiple comparisons by Holm's step-down method (1979); NaN stays and is not counted.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    corrected = [math.nan] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        corrected[index] = highest
    return corrected


def row_losses(predicted: pd.DataFrame) -> np.ndarray:
    """Return the loss of each row (N,): log loss for classes, squared error for numbers, its mean for several.

    Args:
        predicted: ``truth`` and ``prediction`` of N rows, and for classes ``probability_<class>``; for several numbers
            ``truth_<name>`` and ``prediction_<name>``.

    Example:
        >>> row_losses(pd.DataFrame({"truth": [1.0, 2.0], "prediction": [1.5, 2.0]})).tolist()
        [0.25, 0.0]
    """
    if not any(name.startswith("probability_") for name in predicted.columns):
        truths = [name for name in predicted.columns if name == "truth" or name.startswith("truth_")]
        predictions = [name.replace("truth", "prediction", 1) for name in truths]
        errors = predicted[predictions].to_numpy(float) - predicted[truths].to_numpy(float)
        return np.square(errors).mean(axis=1)
    columns = [f"probability_{name}" for name in predicted["truth"]]
    places = predicted.columns.get_indexer(pd.Index(columns))
    probability = predicted.to_numpy()[np.arange(len(predicted)), places].astype(float)
    return -np.log(np.clip(probability, 1e-15, 1.0))


def bounded_losses(predicted: pd.DataFrame) -> np.ndarray:
    """Return the loss of each row (N,), for classes one that has a bound: Brier score in [0, 2], else squared error.

    Of several targets with classes among them, it is the mean over those that the row has: 1 for a wrong class, and the
    squared error of a number by the variance of its truth.

    Args:
        predicted: As for :func:`row_losses`; also several targets with classes.

    Example:
        >>> probabilities = {"probability_a": [0.25], "probability_b": [0.75]}
        >>> bounded_losses(pd.DataFrame({"truth": ["a"], "prediction": ["b"], **probabilities})).tolist()
        [1.125]
    """
    columns = [name for name in predicted.columns if name.startswith("probability_")]
    if not columns:
        return row_losses(predicted)
    if "truth" not in predicted:
        return _losses_of_several(predicted)
    truth = predicted["truth"].to_numpy(str)[:, None] == [name.removeprefix("probability_") for name in columns]
    return np.square(predicted[columns].to_numpy(float) - truth).sum(axis=1)


def _losses_of_several(predicted: pd.DataFrame) -> np.ndarray:
    losses = []
    for name in predicted.columns:
        if not name.startswith("truth_"):
            continue
        truth, prediction = predicted[name], predicted[name.replace("truth", "prediction", 1)]
        if pd.api.types.is_float_dtype(truth.dtype) and pd.api.types.is_float_dtype(prediction.dtype):
            loss = (prediction - truth) ** 2 / (float(truth.var()) or 1.0)
        else:
            loss = (prediction.astype(object) != truth.astype(object)).astype(float).mask(truth.isna())
        losses.append(loss.to_numpy(float))
    return np.asarray(np.nanmean(np.stack(losses), axis=0))


def cautious_difference(
    first: np.ndarray, second: np.ndarray, weight: np.ndarray | None = None, *, worst: float | None = None
) -> tuple[float, float]:
    """Return a 95 % interval of the mean of ``first - second`` that holds with few rows and rare, large losses.

    Student's interval of the rows and one more on which ``first`` loses by ``worst``: of N rows that show no such loss,
    a fraction of some 1 / N in the population is still plausible (Agresti and Coull 1998 add rows for the same reason).

    Args:
        first: Loss of each row (N,) of the first model.
        second: Loss of each row (N,) of the second model.
        weight: Weights (N,); None for equal ones.
        worst: Largest possible difference; None for the largest absolute one among the rows.

    Example:
        >>> low, high = cautious_difference(np.zeros(99), np.ones(99), worst=1.0)
        >>> round(low, 2), round(high, 2)
        (-1.02, -0.94)
    """
    difference = first - second
    weight = np.ones(len(difference)) if weight is None else weight
    difference = np.append(difference, np.abs(difference).max() if worst is None else worst)
    weight = np.append(weight, weight.mean())
    mean = np.average(difference, weights=weight)
    n = weight.sum() ** 2 / np.square(weight).sum()  # effective number of rows (Kish 1965)
    variance = np.average(np.square(difference - mean), weights=weight) * n / (n - 1)
    half = float(stats.t.ppf(0.975, n - 1) * np.sqrt(variance / n))
    return float(mean) - half, float(mean) + half


def compare_on_rows(
    metric: Metric,
    truth: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    *,
    weight: np.ndarray | None = None,
    group: np.ndarray | None = None,
    seed: int = 0,
    draws: int = 1000,
) -> float:
    """Return the fraction of bootstrap draws of the rows in which the first predictions have the better metric.

    For probabilities, the rows are those given and one more, on which each prediction is as sure as on the others, and
    wrong: of N rows that a model gets right, a fraction of some 1 / N in the population may still be wrong (Agresti and
    Coull 1998 add rows for the same reason).

    Args:
        metric: The metric.
        truth: (N,) or (N, ...) encoded targets.
        first: (N, ...) predictions, as the metric expects them.
        second: (N, ...) predictions to compare with.
        weight: (N,) non-negative sample weights; None for equal weights.
        group: (N,) names of groups, if rows of a group depend on each other; None for independent rows.
        seed: Seed of the draws.
        draws: Number of draws; of many rows fewer, down to a fifth.

    Example:
        >>> from zoo.metrics.classes import create_class_metrics
        >>> truth = np.arange(40) % 2
        >>> sure, sober = (np.abs(truth[:, None] - [p, 1 - p]) for p in (1e-9, 0.1))
        >>> compare_on_rows(create_class_metrics(2)[0], truth, 1 - sure, 1 - sober) < 0.95
        True
    """
    weight = np.ones(len(truth)) if weight is None else np.asarray(weight, float)
    if truth.ndim == 1 and first.ndim == 2 and truth.dtype.kind in "iu":
        (truth, first), (_, second) = _add_wrong_row(truth, first), _add_wrong_row(truth, second)
        weight = np.append(weight, weight.mean())
        group = None if group is None else np.append(group.astype(str), "one more")
    better: list[np.ndarray] = []
    for weights in draw_weights(weight, seed, limit_draws(draws, first), Sample(weight, group=group)):
        values = [metric.function(truth, prediction, weights) for prediction in (first, second)]
        better.append(Direction(metric.direction).sign * (values[1] - values[0]) > 0)
    return float(np.concatenate(better).mean())


def _add_wrong_row(truth: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return truth (N + 1,) and probabilities (N + 1, K) with one more row, wrong by the second most probable class.

    Its probabilities are the geometric means of those of the other rows, sorted, so that its log loss is the mean of
    what the other rows would have lost.
    """
    ordered = np.sort(np.clip(probabilities, 1e-15, 1.0), axis=1)
    return np.append(truth, probabilities.shape[1] - 2), np.vstack(
        [probabilities, np.exp(np.log(ordered).mean(axis=0))]
    )


@dataclass(frozen=True)
class Ranks:
    """Mean ranks over several sources.

    Args:
        mean: Mean rank by name; 1 is best.
        p: P-value of Friedman's test (1937) that all models are equal.
        distance: Critical difference of mean ranks (Nemenyi 1963; Demšar 2006, "Statistical Comparisons of
            Classifiers over Multiple Data Sets", section 3.2.2).
    """

    mean: dict[str, float]
    p: float
    distance: float


def rank_over_sources(scores: Mapping[str, Sequence[float]], direction: str) -> Ranks:
    """Return mean ranks of models over sources.

    Args:
        scores: By model name, one score per source (S,).
        direction: ``min`` or ``max``.

    Example:
        >>> ranks = rank_over_sources({"a": [0.9, 0.8, 0.7], "b": [0.8, 0.7, 0.6], "c": [0.7, 0.7, 0.5]}, "max")
        >>> ranks.mean["a"], round(ranks.mean["b"], 2), round(ranks.distance, 2)
        (1.0, 2.17, 1.91)
    """
    names = list(scores)
    table = np.array([scores[name] for name in names], float).T
    ranks = stats.rankdata(Direction(direction).sign * table, axis=1)
    sources, models = ranks.shape
    p = math.nan
    if models > 2 and sources > 1 and np.ptp(ranks, axis=1).any():
        p = float(stats.friedmanchisquare(*table.T).pvalue)
    critical = float(stats.studentized_range.ppf(1 - SIGNIFICANT, models, np.inf)) / math.sqrt(2)
    distance = critical * math.sqrt(models * (models + 1) / (6 * sources))
    return Ranks(dict(zip(names, ranks.mean(axis=0).tolist(), strict=True)), p, distance)
