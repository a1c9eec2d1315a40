"""Post-processing fitted after training on held-out rows: calibration, decision threshold, conformal quantiles.

Calibration and conformal quantiles use the calibration split, which was not used for early stopping or model
selection; if both are fitted, each uses half of it. The threshold is chosen on the validation split.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from zoo.calibration.calibration_layers import SMALLEST, Isotonic, Temperature
from zoo.data.dataset import Split
from zoo.data.splitting.splitters import hash_to_fraction
from zoo.errors import UsageError
from zoo.spec import Spec

LEAST_ROWS = 20
SHARES = "shares"


def split_in_two(split: Split, spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the calibration split for calibration, and those for conformal quantiles.

    Groups stay together if the split kept them together. Groups, or else rows, are processed in an order that depends
    only on their names; each is added to the half with fewer rows.
    """
    names, codes, counts = np.unique(
        split.rows if split.group is None else split.group, return_inverse=True, return_counts=True
    )
    halved = np.zeros(len(names), np.int64)
    sizes = [0, 0]
    for group in np.argsort([hash_to_fraction(name, spec.task) for name in names]):
        halved[group] = int(sizes[1] < sizes[0])
        sizes[halved[group]] += counts[group]
    return np.flatnonzero(halved[codes] == 0), np.flatnonzero(halved[codes] == 1)


def check_rows(rows: int) -> None:
    """Raise UsageError if there are too few rows for calibration."""
    if rows < LEAST_ROWS:
        raise UsageError(
            f"{rows} rows are too few for calibration, which needs at least {LEAST_ROWS}; increase --calibration-size",
            where="calibrate",
        )


def fit_calibration(
    way: str, output: np.ndarray, truth: np.ndarray, weight: np.ndarray | None, *, moved: bool = False
) -> tuple[keras.layers.Layer, dict[str, float]]:
    """Fit a calibration layer; return it and its parameters.

    Args:
        way: ``temperature``, ``isotonic``, or ``fractions``, which only corrects class frequencies.
        output: Output of the network on held-out rows (N, 1) or (N, K).
        truth: Class index of each row (N,).
        weight: Weights (N,); None for equal ones.
        moved: Whether class frequencies differed in training, so that temperature scaling needs biases.

    Raises:
        UsageError: If there are too few rows.
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
    """Return the temperature, from 0.05 to 20, and the bias of each class that minimise the log loss."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    two = np.concatenate([1 - output, output], axis=1) if output.shape[1] == 1 else output
    logarithms = np.log(np.clip(two, SMALLEST, 1))
    rows, fraction = np.arange(len(truth)), weight / weight.sum()
    one_hot = np.zeros_like(logarithms)
    one_hot[rows, truth] = 1

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        cold = np.exp(-x[0])
        scaled = log_softmax(logarithms * cold + x[1:], axis=1)
        error = fraction[:, None] * (np.exp(scaled) - one_hot)  # gradient by logit
        slope = np.concatenate([[-(error * logarithms).sum() * cold * heated], error.sum(axis=0) * moved])
        return float(-fraction @ scaled[rows, truth]), slope

    bounds = [(np.log(0.05), np.log(20))] + [(-20.0, 20.0)] * logarithms.shape[1]
    solution = minimize(loss, np.zeros(1 + logarithms.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(np.exp(solution[0])), (solution[1:] - solution[1:].mean()).tolist() if moved else []


def _lines(output: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> list[list[list[float]]]:
    from sklearn.isotonic import IsotonicRegression

    # Avoid probabilities of 0 and 1, which a finite sample cannot justify.
    least = 0.5 / (len(truth) + 1)
    lines = []
    for index in range(output.shape[1]):
        is_class = truth == (1 if output.shape[1] == 1 else index)
        line = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
        line.fit(output[:, index], is_class.astype(float), sample_weight=weight)
        lines.append([line.X_thresholds_.tolist(), line.y_thresholds_.tolist()])
    return lines


def choose_threshold(way: str, truth: np.ndarray, prediction: np.ndarray, positive: int, weight: np.ndarray) -> float:
    """Return the best decision threshold on the probability of the positive class.

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
    right, wrong = np.cumsum(weight * hit), np.cumsum(weight * ~hit)  # weights predicted positive up to each row
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
    allowed = edges[:-1] != edges[1:]  # rows with equal probability are predicted together
    best = int(np.argmax(np.where(allowed, gain, -np.inf)))
    upper = min(edges[best], 1.0) if best else 1.0 + (1.0 - score[0])
    return float((upper + max(edges[best + 1], 0.0)) / 2)


def choose_threshold_of(way: str, rows: Split, prediction: np.ndarray, spec: Spec) -> Spec:
    """Return the spec with the decision threshold that is best for predictions (N, 2) of a split's rows."""
    weight = np.ones(len(rows)) if rows.weight is None else np.asarray(rows.weight)
    positive = spec.target.positive_index
    return spec.with_target(threshold=choose_threshold(way, rows.encoded_target, prediction, positive, weight))


def select_rows(split: Split, rows: np.ndarray) -> Split:
    """Return the given rows of a split."""
    inputs: dict[str, Any] = {key: values[rows] for key, values in split.inputs.items()}
    return Split(
        inputs,
        split.target[rows] if split.target is not None else None,
        split.rows[rows],
        split.weight[rows] if split.weight is not None else None,
        group=split.group[rows] if split.group is not None else None,
    )
