"""95 % intervals of the metrics of class probabilities: truth (N,) class indices, prediction (N, K), and the sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from zoo.metrics.decisions import decide_classes
from zoo.metrics.intervals import (
    LEAST_ROWS,
    NORMAL_QUANTILE,
    UNKNOWN,
    Interval,
    Sample,
    area_interval,
    combine_intervals,
    fraction_interval,
    mean_error_interval,
    mean_fraction_interval,
    student_quantile,
)
from zoo.metrics.ranking import (
    area_influence,
    area_under_roc,
    average_precision,
    discount_own_rows,
    precision_influence,
)

HARDLY_WRONG = 1.5  # rows, which are not integers where they are weighted
RARE = 3  # hits, up to which the lower bound of a score interval is adapted


def accuracy_interval(
    truth: np.ndarray, prediction: np.ndarray, sample: Sample, threshold: float | None = None, positive: int = 1
) -> Interval:
    """Return the score interval of the accuracy (Wilson, JASA 22, 1927), which does not collapse to a point.

    Groups lower the number of rows by the factor by which they raise the variance (Korn and Graubard 1998, "Confidence
    Intervals for Proportions with Small Expected Number of Positive Counts Estimated from Survey Data").

    Args:
        truth: (N,) class indices.
        prediction: (N, K) probabilities.
        sample: The rows.
        threshold: As in :func:`zoo.metrics.classes.accuracy`.
        positive: Index of the positive class.

    Example:
        >>> low, high = accuracy_interval(np.array([0]), np.array([[0.9, 0.1]]), Sample(np.ones(1)))
        >>> round(low, 3), high
        (0.207, 1.0)
    """
    correct = decide_classes(prediction, threshold, positive) == truth
    return mean_fraction_interval(correct.astype(float), sample)


Losses = Callable[[np.ndarray, np.ndarray], np.ndarray]


def mean_loss_interval(truth: np.ndarray, prediction: np.ndarray, sample: Sample, losses: Losses) -> Interval:
    """Return the interval of a mean loss of class probabilities, which allows for errors that are too rare to occur.

    Where at most one row is wrong, the spread of the losses does not show what an error costs. The upper bound is then
    at least the mean with as many errors as the interval of the accuracy allows for, in rows by their doubt, of the
    second class in place of the first.

    Args:
        truth: (N,) class indices.
        prediction: (N, K) probabilities.
        sample: The rows.
        losses: Function from truth and prediction to the loss of each row (N,).
    """
    values = losses(truth, prediction)
    low, high = mean_error_interval(values, sample)
    accuracy = float(sample.weight @ (np.argmax(prediction, axis=1) == truth) / sample.weight.sum())
    if (1 - accuracy) * sample.rows > HARDLY_WRONG:
        return low, high
    second = np.argsort(prediction, axis=1, kind="stable")[:, -2]
    doubt = sample.weight * np.maximum(1.0 - prediction.max(axis=1), 1e-15)
    unseen = accuracy - accuracy_interval(truth, prediction, sample)[0]
    mean, cost = float(sample.weight @ values / sample.weight.sum()), float(doubt @ losses(second, prediction))
    return low, max(high, mean + unseen * (cost / float(doubt.sum()) - mean))


def roc_auc_interval(truth: np.ndarray, prediction: np.ndarray, sample: Sample, positive: int = 1) -> Interval:
    """Return the interval of the area under the ROC curve, by the variance of DeLong et al. (1988) on a logit scale.

    Args:
        truth: (N,) class indices.
        prediction: (N, K) probabilities.
        sample: The rows.
        positive: Index of the positive class when K is 2.
    """

    def of_class(chosen: np.ndarray, score: np.ndarray) -> tuple[float, Interval, np.ndarray]:
        area = float(area_under_roc(chosen, score, sample.weight[None])[0])
        influence = area_influence(chosen, score, sample.weight)
        rows = min(sample.count(chosen), sample.count(~chosen))
        interval = area_interval(area, _variance(influence, chosen, sample), rows, min(rows, sample.units))
        return area, interval, influence

    return _mean_over_classes(of_class, truth, prediction, sample, positive)


def pr_auc_interval(truth: np.ndarray, prediction: np.ndarray, sample: Sample, positive: int = 1) -> Interval:
    """Return the interval of the average precision: a score interval with the rows that its variance is worth.

    For few positive rows, the average precision is too high by up to the difference to
    :func:`zoo.metrics.ranking.discount_own_rows`; the lower bound allows for half of it, and for all of it in a mean
    over classes, in which errors average out and the bias does not.

    Args:
        truth: (N,) class indices.
        prediction: (N, K) probabilities.
        sample: The rows.
        positive: Index of the positive class when K is 2.
    """

    def of_class(chosen: np.ndarray, score: np.ndarray) -> tuple[float, Interval, np.ndarray]:
        value = float(average_precision(chosen, score, sample.weight[None])[0])
        influence = precision_influence(chosen, score, sample.weight)
        variance, units = _variance(influence, chosen, sample), min(sample.count(chosen), sample.units)
        rows = value * (1 - value) / variance if variance > 0 and 0 < value < 1 else units
        discounted = discount_own_rows(chosen, score, sample.weight)
        centre = (value + discounted) / 2 if prediction.shape[1] == 2 else discounted
        low, _ = fraction_interval(centre, rows, student_quantile(units))
        _, high = fraction_interval(value, rows, student_quantile(units))
        return value, (min(low, value), high), influence

    return _mean_over_classes(of_class, truth, prediction, sample, positive)


def _mean_over_classes(
    of_class: Callable[[np.ndarray, np.ndarray], tuple[float, Interval, np.ndarray]],
    truth: np.ndarray,
    prediction: np.ndarray,
    sample: Sample,
    positive: int,
) -> Interval:
    """Return the interval of a mean over classes, given value, interval and influence (N,) of each class's ranking."""
    if not has_enough(truth, sample):
        return UNKNOWN
    classes = _ranked_classes(truth[sample.weight > 0], prediction, positive)
    values, intervals, influences = zip(*(of_class(truth == k, prediction[:, k]) for k in classes), strict=True)
    return combine_intervals(np.array(values), intervals, sample.covariance(np.array(influences)))


def f1_interval(
    truth: np.ndarray, prediction: np.ndarray, sample: Sample, positive: int = 1, threshold: float | None = None
) -> Interval:
    """Return the interval of the F1 of the positive class.

    F1 is a monotone function of the fraction of rows that are true and predicted among those that are either, of which
    a score interval is taken; it does not collapse to a point (Lam et al. 2023, "Confidence Intervals for the F1
    Score: A Comparison of Four Methods", the indirect Wilson method).

    Args:
        truth: (N,) class indices.
        prediction: (N, K) probabilities.
        sample: The rows.
        positive: Index of the positive class.
        threshold: As in :func:`zoo.metrics.classes.f1`.
    """
    if not has_enough(truth, sample):
        return UNKNOWN
    _, interval, _ = _f1(truth == positive, decide_classes(prediction, threshold, positive) == positive, sample)
    return interval


def f1_macro_interval(
    truth: np.ndarray, prediction: np.ndarray, sample: Sample, threshold: float | None = None, positive: int = 1
) -> Interval:
    """Return the interval of the mean F1 over classes, from the interval of each.

    The F1 of few rows is too low on average, by F (1 - F) / (true + predicted rows), the second term of its Taylor
    series; the interval is moved by the mean over classes.

    Args:
        truth: (N,) class indices.
        prediction: (N, K) probabilities.
        sample: The rows.
        threshold: As in :func:`zoo.metrics.classes.f1_macro`.
        positive: Index of the positive class.
    """
    if not has_enough(truth, sample):
        return UNKNOWN
    called = decide_classes(prediction, threshold, positive)
    drawn = sample.weight > 0
    classes = np.union1d(truth[drawn], called[drawn])
    values, intervals, influences = zip(*(_f1(truth == k, called == k, sample) for k in classes), strict=True)
    mean = float(np.mean(values))
    low, high = combine_intervals(np.array(values), intervals, sample.covariance(np.array(influences)))
    sizes = [sample.count(truth == k) + sample.count(called == k) for k in classes]
    bias = float(np.mean([value * (1 - value) / size for value, size in zip(values, sizes, strict=True)]))
    return min(low + bias, mean), min(high + bias, 1.0)


def has_enough(truth: np.ndarray, sample: Sample) -> bool:
    """Return whether each class that occurs has enough rows for the interval of a metric that depends on it."""
    present = np.unique(truth[sample.weight > 0])
    return sample.enough and len(present) > 1 and min(sample.count(truth == k) for k in present) >= LEAST_ROWS


def _f1(true: np.ndarray, called: np.ndarray, sample: Sample) -> tuple[float, Interval, np.ndarray]:
    """Return the F1 of a class, its interval, and the influence of each row (N,)."""
    either, both = true | called, (true & called).astype(float)
    weight, size = sample.weight, float(sample.weight @ either)
    fraction = float(weight @ both) / size
    influence = weight * (both - fraction * either) / size
    rows = sample.count(either) / sample.inflation(influence)
    quantile = NORMAL_QUANTILE if sample.group is None else student_quantile(sample.units)
    low, high = fraction_interval(fraction, rows, quantile)
    if 0 < fraction * rows <= RARE:
        # The score interval is too short at few hits: Brown, Cai and DasGupta 2001, "Interval Estimation for a
        # Binomial Proportion", section 4.1.1.
        low = min(low, float(special.gammaincinv(fraction * rows, 0.05)) / rows)
    slope = 2 / (1 + fraction) ** 2
    return _overlap_to_f1(fraction), (_overlap_to_f1(low), _overlap_to_f1(high)), slope * influence


def _overlap_to_f1(fraction: float) -> float:
    return 2 * fraction / (1 + fraction)


def _ranked_classes(truth: np.ndarray, prediction: np.ndarray, positive: int) -> list[int]:
    return [positive] if prediction.shape[1] == 2 else np.unique(truth).tolist()


def _variance(influence: np.ndarray, chosen: np.ndarray, sample: Sample) -> float:
    """Return the variance of an area, without bias for the number of rows of each of the two classes."""
    if sample.group is not None:
        return sample.variance(influence)
    rows = sample.count(chosen), sample.count(~chosen)
    inside, outside = (max(number / max(number - 1, 1e-9), 1.0) for number in rows)
    return sample.sum_powers(influence * np.sqrt(np.where(chosen, inside, outside)), 2)
