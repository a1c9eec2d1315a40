"""Adam's fused update gives the weights of Keras' update."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from zoo.models.fused_adam import fuse_updates


def _train(optimizer: keras.optimizers.Optimizer, network: keras.Model, rows: np.ndarray) -> list[np.ndarray]:
    weights = network.get_weights()
    network = keras.models.clone_model(network)
    network.set_weights(weights)
    network.compile(optimizer, "mse")
    network.fit(rows, rows.sum(axis=1), epochs=3, batch_size=16, shuffle=False, verbose=0)
    return [np.asarray(variable) for variable in [*network.trainable_variables, *optimizer.variables]]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Adam", {}),
        ("Adam", {"global_clipnorm": 0.1, "epsilon": 1e-3}),
        ("AdamW", {"weight_decay": 0.1}),
        ("Adam", {"amsgrad": True}),
    ],
)
def test_weights_and_moments_are_those_of_keras(name: str, options: dict[str, Any]) -> None:
    network = keras.Sequential([keras.Input((5,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
    rows = np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32)
    expected, fused = (
        _train(wrap(getattr(keras.optimizers, name)(0.01, **options)), network, rows)
        for wrap in (lambda optimizer: optimizer, fuse_updates)
    )
    for one, other in zip(expected, fused, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-5)


def test_gradients_of_some_rows_update_an_embedding_as_in_keras() -> None:
    network = keras.Sequential([keras.Input((4,)), keras.layers.Embedding(10, 3), keras.layers.Flatten(),
                                keras.layers.Dense(1)])  # fmt: skip
    rows = np.random.default_rng(0).integers(10, size=(64, 4)).astype(np.float32)
    expected, fused = (
        _train(wrap(keras.optimizers.Adam(0.01)), network, rows) for wrap in (lambda each: each, fuse_updates)
    )
    for one, other in zip(expected, fused, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-5)


def test_configuration_is_that_of_keras() -> None:
    optimizer = fuse_updates(keras.optimizers.AdamW(0.01, weight_decay=0.1))
    copy = keras.optimizers.get(keras.optimizers.serialize(optimizer))
    assert type(copy) is keras.optimizers.AdamW
    assert copy.get_config() == optimizer.get_config()
