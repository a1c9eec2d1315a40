"""95 % interval of the expected calibration error."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from zoo.metrics.intervals import UNKNOWN, Interval, Sample, mean_influence, student_quantile

ECE_BINS = 15
# 97.5 % quantile of chi squared with 15 degrees of freedom: the sum of squared gaps of a calibrated model's bins.
MOST_BY_CHANCE = 27.488392863442982


def ece_interval(truth: np.ndarray, prediction: np.ndarray, sample: Sample) -> Interval:
    """Return the interval of the expected calibration error, which is biased upwards.

    The gap between accuracy and confidence in each bin has a normal error. The sum of absolute gaps is never below the
    sum of signed ones, whose standard error gives the upper bound. The lower bound is the value minus its bias and its
    error; both are those of a calibrated model unless the gaps are larger than chance explains, by a chi squared test.
    For a calibrated model, it is 0 in 97.5 % of cases. The interval is conservative.

    Args:
        truth: (N,) class indices.
        prediction: (N, K) probabilities.
        sample: The rows.

    Example:
        >>> ece_interval(np.zeros(100, int), np.tile([0.9, 0.1], (100, 1)), Sample(np.ones(100)))[0] > 0
        True
    """
    if not sample.enough:
        return UNKNOWN
    confidence = prediction.max(axis=1).astype(float)
    correct = (np.argmax(prediction, axis=1) == truth).astype(float)
    residual, doubt = correct - confidence, confidence * (1 - confidence)
    bins = _assign_bins(confidence, sample.weight)
    share = sample.weight / sample.weight.sum()
    gaps = np.bincount(bins, share * residual, minlength=ECE_BINS)
    mass = np.bincount(bins, share, minlength=ECE_BINS)
    centred = share * (residual - np.divide(gaps, mass, out=np.zeros(ECE_BINS), where=mass > 0)[bins])
    expected = share * doubt * (1 / sample.rows if sample.counts else share)
    errors = np.array(
        [
            math.sqrt(max(sample.sum_powers(np.where(bins == index, centred, 0.0), 2), by_chance))
            for index, by_chance in enumerate(np.bincount(bins, expected, minlength=ECE_BINS))
        ]
    )
    value, quantile = float(np.abs(gaps).sum()), student_quantile(sample.units)
    bias, deviation = _fold(gaps, errors)
    low = value - bias - quantile * deviation
    accuracy = (float(share @ correct) * sample.rows + 1) / (sample.rows + 2)  # not exactly 0 or 1
    of_mean = max(
        sample.variance(mean_influence(residual, sample.weight)),
        float(expected.sum()),
        accuracy * (1 - accuracy) / sample.rows,
    )
    return min(max(low, 0.0), value), min(value + quantile * math.sqrt(of_mean), 1.0)


def _assign_bins(confidence: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the bin of equal mass of each row (N,); rows of equal confidence share a bin, as in ece."""
    levels, codes = np.unique(confidence, return_inverse=True)
    mass = np.bincount(codes, weight, minlength=len(levels))
    end = np.cumsum(mass)
    middle = (end - mass / 2) / end[-1]
    return np.minimum((middle * ECE_BINS).astype(int), ECE_BINS - 1)[codes]


def _fold(gaps: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Return the bias and standard deviation of the sum of absolute gaps, which have normal errors."""
    scaled = np.divide(gaps, errors, out=np.zeros_like(gaps), where=errors > 0)
    statistic = float(np.square(scaled).sum())
    true = np.abs(gaps) * math.sqrt(max(0.0, 1 - MOST_BY_CHANCE / statistic) if statistic > 0 else 0.0)
    ratio = np.divide(true, errors, out=np.zeros_like(gaps), where=errors > 0)
    # Mean and variance of the folded normal distribution (Leone, Nelson and Nottingham, Technometrics 3, 1961).
    mean = errors * math.sqrt(2 / math.pi) * np.exp(-(ratio**2) / 2) + true * (2 * special.ndtr(ratio) - 1)
    variance = np.maximum(true**2 + errors**2 - mean**2, 0.0)
    return float((mean - true).sum()), math.sqrt(float(variance.sum()))
