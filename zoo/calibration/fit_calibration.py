"""What is settled after training, on rows that taught the network nothing: calibration, threshold, limits.

Calibration and conformal limits come from the calibration part, which neither stopped nor chose the model; where it
serves both, each has half of it. The threshold is chosen on validation.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np

from zoo.calibration.calibration_layers import SMALLEST, Isotonic, Temperature
from zoo.data.dataset import Split
from zoo.data.splitting.splitters import hashed_share
from zoo.errors import UsageError
from zoo.spec import Spec

LEAST_ROWS = 20
SHARES = "shares"


def halves(split: Split, spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the calibration part that calibrate, and those that limits are found on.

    Rows of a group stay together where the split kept them so. Groups, or else rows by their place in the source, are
    gone through in an order that depends on their names alone, and each joins the half that has fewer rows yet.
    """
    names, codes, counts = np.unique(
        split.rows if split.group is None else split.group, return_inverse=True, return_counts=True
    )
    halved = np.zeros(len(names), np.int64)
    sizes = [0, 0]
    for group in np.argsort([hashed_share(name, spec.task) for name in names]):
        halved[group] = int(sizes[1] < sizes[0])
        sizes[halved[group]] += counts[group]
    return np.flatnonzero(halved[codes] == 0), np.flatnonzero(halved[codes] == 1)


def check_rows(rows: int) -> None:
    """Raise UsageError where there are too few rows to calibrate by."""
    if rows < LEAST_ROWS:
        raise UsageError(
            f"{rows} rows are too few to calibrate by, and {LEAST_ROWS} are the least; "
            "a larger --calibration-size has more",
            where="calibrate",
        )


def fit_calibration(
    way: str, output: np.ndarray, truth: np.ndarray, weight: np.ndarray | None, *, moved: bool = False
) -> tuple[keras.layers.Layer, dict[str, float]]:
    """Return the layer that brings probabilities in line with what happened, and what it was fitted to.

    Args:
        way: ``temperature``, ``isotonic``, or ``shares``: classes are moved to the shares that they have, and
            nothing else changes.
        output: The network's output on rows that it did not learn from (N, 1) or (N, K).
        truth: Class of each row by index (N,).
        weight: Weights (N,); None for equal ones.
        moved: Whether training saw other shares of the classes than there are: a temperature then has biases.

    Raises:
        UsageError: When there are too few rows.
    """
    check_rows(len(truth))
    weight = np.ones(len(truth)) if weight is None else np.asarray(weight, float)
    if way == "isotonic":
        return Isotonic(_lines(np.asarray(output, float), truth, weight)), {}
    temperature, biases = _temperature(
        np.asarray(output, float), truth, weight, heated=way == "temperature", moved=moved or way == SHARES
    )
    return Temperature(temperature, biases), {"temperature": temperature} if way == "temperature" else {}


def _temperature(
    output: np.ndarray, truth: np.ndarray, weight: np.ndarray, *, heated: bool, moved: bool
) -> tuple[float, list[float]]:
    """The temperature, 0.05 to 20, and the bias of each class, that give the least log-loss."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    two = np.concatenate([1 - output, output], axis=1) if output.shape[1] == 1 else output
    logarithms = np.log(np.clip(two, SMALLEST, 1))
    rows, share = np.arange(len(truth)), weight / weight.sum()
    one_hot = np.zeros_like(logarithms)
    one_hot[rows, truth] = 1

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        cold = np.exp(-x[0])
        scaled = log_softmax(logarithms * cold + x[1:], axis=1)
        error = share[:, None] * (np.exp(scaled) - one_hot)  # of the loss by each logit
        slope = np.concatenate([[-(error * logarithms).sum() * cold * heated], error.sum(axis=0) * moved])
        return float(-share @ scaled[rows, truth]), slope

    bounds = [(np.log(0.05), np.log(20))] + [(-20.0, 20.0)] * logarithms.shape[1]
    found = minimize(loss, np.zeros(1 + logarithms.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(np.exp(found[0])), (found[1:] - found[1:].mean()).tolist() if moved else []


def _lines(output: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> list[list[list[float]]]:
    from sklearn.isotonic import IsotonicRegression

    # No probability of 0 or 1: of so few rows nobody can know that something never happens.
    least = 0.5 / (len(truth) + 1)
    lines = []
    for index in range(output.shape[1]):
        own = truth == (1 if output.shape[1] == 1 else index)
        line = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
        line.fit(output[:, index], own.astype(float), sample_weight=weight)
        lines.append([line.X_thresholds_.tolist(), line.y_thresholds_.tolist()])
    return lines


def choose_threshold(way: str, truth: np.ndarray, prediction: np.ndarray, positive: int, weight: np.ndarray) -> float:
    """Return the probability from which on the positive class is best called.

    Args:
        way: ``accuracy``, ``f1``, ``balanced_accuracy`` or ``cost=FALSE_POSITIVE:FALSE_NEGATIVE``.
        truth: Class of each row by index (N,).
        prediction: Probabilities (N, 2).
        positive: Index of the positive class.
        weight: Weights (N,).

    Example:
        >>> p = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3]])
        >>> round(choose_threshold("f1", np.array([0, 1, 1]), p, 1, np.ones(3)), 2)
        0.2
    """
    score = prediction[:, positive]
    order = np.argsort(-score, kind="stable")
    score, hit, weight = score[order], (truth == positive)[order], weight[order]
    right, wrong = np.cumsum(weight * hit), np.cumsum(weight * ~hit)  # called positive down to each row
    right, wrong = np.append(0, right), np.append(0, wrong)
    hits, others = right[-1], wrong[-1]
    if way == "accuracy":
        gain = right - wrong
    elif way == "f1":
        gain = 2 * right / np.maximum(hits + right + wrong, 1e-300)
    elif way == "balanced_accuracy":
        gain = right / max(hits, 1e-300) - wrong / max(others, 1e-300)
    else:
        false_positive, false_negative = (float(text) for text in way.removeprefix("cost=").split(":"))
        gain = false_negative * right - false_positive * wrong
    edges = np.append(np.append(np.inf, score), -np.inf)
    allowed = edges[:-1] != edges[1:]  # rows of equal probability are called together
    best = int(np.argmax(np.where(allowed, gain, -np.inf)))
    upper = min(edges[best], 1.0) if best else 1.0 + (1.0 - score[0])
    return float((upper + max(edges[best + 1], 0.0)) / 2)


def with_threshold(spec: Spec, threshold: float) -> Spec:
    """Return the spec with a threshold in its target."""
    assert spec.target is not None
    return dataclasses.replace(spec, target=dataclasses.replace(spec.target, threshold=threshold))


def part_of(split: Split, rows: np.ndarray) -> Split:
    """Return some rows of a part."""
    inputs: dict[str, Any] = {key: values[rows] for key, values in split.inputs.items()}
    return Split(
        inputs,
        split.target[rows] if split.target is not None else None,
        split.rows[rows],
        split.weight[rows] if split.weight is not None else None,
        group=split.group[rows] if split.group is not None else None,
    )
