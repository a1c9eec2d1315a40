"""The output layer of a network with fixed features, computed in closed form: ridge regression, no gradient steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import keras_tuner
import numpy as np
from scipy.special import log_softmax

from zoo.models.built_model import Trainer
from zoo.networks import Knobs, add_head
from zoo.networks.heads import compute_width
from zoo.networks.rocket import RocketFeatures, SequenceStatistics
from zoo.spec import Spec, Target
from zoo.training.epochs import CompiledScores
from zoo.training.fit_loop import SupervisedState
from zoo.training.preprocessed_arrays import forward, prepare_inputs
from zoo.training.streamed_arrays import StreamedArrays

ADAPTED_ROWS, MOST_VALUES = 1000, 100_000_000  # values of the features that the output layer is computed from

STRENGTHS = np.logspace(-3, 5, 17)
TEMPERATURES = np.exp(np.linspace(-2, 5, 57))


def add_ridge_head(features: Any, spec: Spec) -> tuple[Any, keras.losses.Loss]:
    """Return an output layer for :class:`RidgeTrainer`, which has no hyperparameters, and the loss.

    Args:
        features: (B, P), from a layer called ``features``.
        spec: Spec with targets; ordered classes become classes without an order.
    """
    targets = tuple(dataclasses.replace(target, ordered=False) for target in spec.targets)
    return add_head(features, dataclasses.replace(spec, targets=targets), Knobs(keras_tuner.HyperParameters()))


class RidgeTrainer(Trainer):
    """Adapts the layers of features to the training sequences, and computes the output layer from them.

    Classes are regressed as 1 and −1; their probabilities are the softmax of the scores times a temperature, which is
    chosen by the log loss of the rows left out. Quantiles are the predicted number plus the quantiles of the errors of
    the rows left out.

    Args:
        spec: Spec with the targets.
        widths: Widths of the groups of features.
        importances: Weight of each group of features as a whole.
    """

    def __init__(self, spec: Spec, *, widths: Sequence[int], importances: Sequence[float]) -> None:
        self.spec = spec
        scales = [(share / width) ** 0.5 for share, width in zip(importances, widths, strict=True)]
        self.scale = np.repeat(np.array(scales) * widths[0] ** 0.5, widths)

    def train(self, state: SupervisedState) -> None:
        """Adapt, solve and record the single epoch."""
        network, train = state.network, state.train
        assert not isinstance(train, StreamedArrays)  # tables alone are streamed
        assert train.y is not None
        self._adapt(network, train.x, state.plan.seed)
        rows, most = np.arange(len(train)), max(ADAPTED_ROWS, MOST_VALUES // len(self.scale))
        if len(rows) > most:
            rows = np.sort(np.random.default_rng(state.plan.seed).permutation(rows)[:most])
            state.plan.recorder.say(f"the output layer is computed from {most:,} of {len(train):,} rows, for memory")
        inputs = {name: values[rows] for name, values in train.x.items()}
        features = forward(keras.Model(network.inputs, network.get_layer("features").output), inputs)
        state.plan.recorder.within(1, 0.5)
        weight = np.ones(len(rows)) if train.weight is None else np.asarray(train.weight, float)[rows]
        kernels, biases = zip(*self._solve(features.astype(np.float64), train.y[rows], weight), strict=True)
        kernel, bias, start = np.concatenate(kernels, axis=1), np.concatenate(biases), 0
        names = {layer.name for layer in network.layers}
        outputs = ["output"] if "output" in names else [f"output_{index}" for index in range(len(kernels))]
        for layer in map(network.get_layer, outputs):  # in the order of the targets
            chosen = slice(start, start + layer.units)
            layer.set_weights([kernel[:, chosen], bias[chosen]])
            start += layer.units
        state.after_epoch({"loss": CompiledScores(network, train).loss_and_prediction()[0]})

    def _adapt(self, network: keras.Model, inputs: Any, seed: int) -> None:
        rows = len(next(iter(inputs.values())))
        chosen = np.sort(np.random.default_rng(seed).permutation(rows)[:ADAPTED_ROWS])
        tensors = prepare_inputs({name: values[chosen] for name, values in inputs.items()})
        for layer in network.layers:
            if isinstance(layer, RocketFeatures | SequenceStatistics):
                steps, real = keras.Model(network.inputs, layer.input)(tensors)
                options = {"seed": seed} if isinstance(layer, RocketFeatures) else {}
                layer.adapt(np.asarray(steps), np.asarray(real), **options)

    def _solve(
        self, features: np.ndarray, encoded: np.ndarray, weight: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield kernel (P, width) and bias (width,) of each target."""
        columns = np.asarray(encoded, np.float64).reshape(len(features), -1)
        if not np.isnan(columns).any():
            groups = [(self.spec.targets, columns)]
        else:
            counts = np.cumsum([_count_columns(target) for target in self.spec.targets])[:-1]
            parts = np.split(columns, counts, axis=1)
            groups = [((target,), part) for target, part in zip(self.spec.targets, parts, strict=True)]
        for targets, part in groups:
            rows = ~np.isnan(part).any(axis=1) & (weight > 0)
            fit = fit_ridge(features[rows], _encode(targets, part[rows]), weight[rows], self.scale)
            yield from _decode(targets, part[rows], fit, weight[rows])


def _count_columns(target: Target) -> int:
    return 1 if target.kind == "class" else int(np.prod(target.shape, dtype=int))


def _encode(targets: Sequence[Target], columns: np.ndarray) -> np.ndarray:
    """Return the goals of the regression: 1 and −1 for classes, numbers as they are."""
    goals, start = [], 0
    for target in targets:
        count = _count_columns(target)
        values = columns[:, start : start + count]
        if target.kind == "class":
            width = compute_width(target)
            places = np.arange(width) if width > 1 else np.ones(1)
            values = np.where(values == places, 1.0, -1.0)
        goals.append(values)
        start += count
    return np.concatenate(goals, axis=1)


def _decode(
    targets: Sequence[Target], columns: np.ndarray, fit: RidgeFit, weight: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield kernel and bias of each target's outputs."""
    start = column = 0
    for target in targets:
        width = compute_width(target) if target.kind == "class" else _count_columns(target)
        chosen = slice(start, start + width)
        kernel, bias, left_out = fit.kernel[:, chosen], fit.bias[chosen], fit.left_out[:, chosen]
        if target.kind == "class":
            scores = left_out if width > 1 else np.hstack([0 * left_out, left_out])
            factor = choose_temperature(scores, columns[:, column].astype(int), weight)
            kernel, bias = kernel * factor, bias * factor
        elif target.quantiles:
            errors = columns[:, column] - left_out[:, 0]
            errors = np.quantile(errors, target.quantiles, weights=weight, method="inverted_cdf")
            kernel, bias = np.repeat(kernel, len(errors), axis=1), bias + errors
        yield kernel, bias
        start += width
        column += _count_columns(target)


@dataclass(frozen=True)
class RidgeFit:
    """A ridge regression of K targets on P features.

    Args:
        kernel: Weights of the features (P, K).
        bias: Offsets (K,).
        left_out: Prediction of each row by a regression without that row (N, K).
        strength: The strength of the penalty, chosen by the squared error of ``left_out``.
    """

    kernel: np.ndarray
    bias: np.ndarray
    left_out: np.ndarray
    strength: float


def fit_ridge(
    features: np.ndarray,
    targets: np.ndarray,
    weight: np.ndarray | None = None,
    importance: np.ndarray | float = 1.0,
) -> RidgeFit:
    """Fit a ridge regression on standardised features, its strength chosen by leave-one-out.

    Hoerl and Kennard 1970; the predictions without each row follow from one eigendecomposition (Rifkin and Lippert
    2007, "Notes on regularized least squares", section 3.2). The intercept has no penalty.

    Args:
        features: (N, P).
        targets: (N, K).
        weight: Example weights (N,) above 0, or None for equal weights.
        importance: Factor of each standardised feature (P,); of a larger one the penalty is smaller.

    Example:
        >>> x = np.linspace(0, 1, 20)[:, None]
        >>> bool(abs(fit_ridge(x, 3 * x + 1).bias[0] - 1) < 0.01)
        True
    """
    share = np.full(len(features), 1 / len(features)) if weight is None else weight / weight.sum()
    mean = share @ features
    deviation = np.sqrt(share @ (features - mean) ** 2)
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 1e-7) * importance
    middle = share @ targets
    root = np.sqrt(share * len(features))[:, None]
    rows, goals = (features - mean) * scale * root, (targets - middle) * root
    solve = _solve_by_rows if len(rows) <= rows.shape[1] else _solve_by_features
    best: tuple[float, float, np.ndarray, np.ndarray] | None = None
    for strength, residual, weights in solve(rows, goals, share):
        error = float(np.mean(residual**2))
        if best is None or error < best[0]:
            best = error, strength, residual, weights
    assert best is not None
    _, strength, residual, weights = best
    kernel = weights * scale[:, None]
    return RidgeFit(kernel, middle - mean @ kernel, targets - residual / root, strength)


def choose_temperature(scores: np.ndarray, classes: np.ndarray, weight: np.ndarray) -> float:
    """Return the factor of class scores (N, K) whose softmax has the lowest log loss (Guo et al. 2017, section 4.2).

    Args:
        scores: (N, K).
        classes: Class of each row (N,).
        weight: Example weights (N,).
    """
    rows = np.arange(len(classes))
    losses = [-(log_softmax(scores * factor, axis=1)[rows, classes] @ weight) for factor in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def _solve_by_rows(
    rows: np.ndarray, goals: np.ndarray, share: np.ndarray
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Yield strength, residuals without each row and weights, by the eigenvectors of the rows' products (N, N)."""
    values, vectors = np.linalg.eigh(rows @ rows.T)
    turned = vectors.T @ goals
    for strength in STRENGTHS:
        inverse = 1 / (np.maximum(values, 0) + strength)
        duals = vectors @ (inverse[:, None] * turned)
        diagonal = vectors**2 @ inverse - share / strength  # without the direction of the intercept
        yield float(strength), duals / np.maximum(diagonal, 1e-12)[:, None], rows.T @ duals


def _solve_by_features(
    rows: np.ndarray, goals: np.ndarray, share: np.ndarray
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Yield the same by the eigenvectors of the features' products (P, P)."""
    values, vectors = np.linalg.eigh(rows.T @ rows)
    turned, coordinates = vectors.T @ (rows.T @ goals), rows @ vectors
    for strength in STRENGTHS:
        inverse = 1 / (np.maximum(values, 0) + strength)
        leverage = coordinates**2 @ inverse + share
        residual = goals - coordinates @ (inverse[:, None] * turned)
        yield (
            float(strength),
            residual / np.maximum(1 - leverage, 1e-12)[:, None],
            vectors @ (inverse[:, None] * turned),
        )
