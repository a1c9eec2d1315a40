"""The output layer of a network with fixed features, computed in closed form by ridge regression: no gradient steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np

from zoo.models.built_model import Trainer
from zoo.networks import Knobs, add_head
from zoo.networks.heads import compute_width
from zoo.networks.rocket import RocketFeatures, SequenceStatistics
from zoo.spec import Spec, Target
from zoo.training.epochs import CompiledScores
from zoo.training.fit_loop import SupervisedState
from zoo.training.preprocessed_arrays import Arrays, forward, prepare_inputs
from zoo.training.streamed_arrays import StreamedArrays

from ._ridge import RidgeFit, choose_temperature, fit_ridge

FEATURES = "joined_features"  # name of the layer whose output is solved
ADAPTED_ROWS, MOST_SOLVED = 1000, 100_000_000  # values of the features that are solved


def add_ridge_head(features: Any, spec: Spec) -> tuple[Any, keras.losses.Loss]:
    """Return an output layer for :class:`RidgeTrainer`, which has no hyperparameters, and the loss.

    Args:
        features: (B, P), from a layer called :data:`FEATURES`.
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
        rows, most = np.arange(len(train)), max(ADAPTED_ROWS, MOST_SOLVED // len(self.scale))
        if len(rows) > most:
            rows = np.sort(np.random.default_rng(state.plan.seed).permutation(rows)[:most])
            state.plan.recorder.say(f"the output layer is computed from {most:,} of {len(train):,} rows, for memory")
        inputs = {name: values[rows] for name, values in train.x.items()}
        features = forward(keras.Model(network.inputs, network.get_layer(FEATURES).output), inputs)
        state.plan.recorder.within(1, 0.5)
        weight = np.ones(len(rows)) if train.weight is None else np.asarray(train.weight, float)[rows]
        solved = list(self._solve(features.astype(np.float64), train.y[rows], weight))
        if "output" in {layer.name for layer in network.layers}:  # one layer for all targets
            kernels, biases = zip(*solved, strict=True)
            network.get_layer("output").set_weights([np.concatenate(kernels, axis=1), np.concatenate(biases)])
        else:
            for index, weights in enumerate(solved):
                network.get_layer(f"output_{index}").set_weights(weights)
        # The features of the rows are known: computing them again would take as long as the first time.
        head = keras.Model(network.get_layer(FEATURES).output, network.output)
        head.compile(loss=network.loss)
        arrays = Arrays(features, train.y[rows], None if train.weight is None else train.weight[rows])
        state.after_epoch({"loss": CompiledScores(head, arrays).loss_and_prediction()[0]})

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
