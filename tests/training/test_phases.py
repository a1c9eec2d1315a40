"""Phases of training: frozen layers, a learning rate of their own, and a resumed training in the right phase."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from zoo.hardware import Hardware
from zoo.models.phases import Phase, PhasedTraining
from zoo.training.fit_loop import fit
from zoo.training.fit_settings import FitSettings
from zoo.training.preprocessed_arrays import Arrays
from zoo.training.recorder import MemoryRecorder
from zoo.training.training_state import FitPlan

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 3)).astype(np.float32)
TRAIN = Arrays({"x": X}, X.sum(axis=1, keepdims=True) ** 2)


def network(seed: int = 0, optimizer: str = "adam", **options: Any) -> keras.Model:
    keras.utils.set_random_seed(seed)
    x = keras.Input((3,), name="x")
    lower = keras.layers.Dense(8, activation="relu", name="lower")(x)
    model = keras.Model({"x": x}, keras.layers.Dense(1, name="head")(lower))
    model.compile(optimizer=keras.optimizers.get({"class_name": optimizer, "config": options}), loss="mse")
    return model


def phases(model: keras.Model) -> list[Phase]:
    return [Phase(0, "head", (model.get_layer("lower"),)), Phase(2, "all", rate=0.1)]


def train(model: keras.Model, epochs: int, planned: list[Phase] | None = None, **options: Any) -> Any:
    settings = FitSettings(batch_size=16, epochs=epochs, **options.pop("settings", {}))
    validation = options.pop("validation", None)
    planned = phases(model) if planned is None else planned
    return fit(model, TRAIN, validation, FitPlan(settings, **options), phases=planned)


def kernel(model: keras.Model) -> np.ndarray:
    return np.asarray(model.get_layer("lower").kernel)


class EachBatch(keras.callbacks.Callback):
    """Makes keras.Model.fit run the epochs."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        pass


@pytest.mark.parametrize("callbacks", [(), (EachBatch(),)], ids=["compiled", "keras"])
def test_layers_are_frozen_in_their_phase_alone(callbacks: Any) -> None:
    first, recorder = network(), MemoryRecorder()
    before = kernel(first)
    result = train(first, 2, callbacks=callbacks)
    np.testing.assert_array_equal(kernel(first), before)
    assert result.epochs_run == 2
    second = network()
    result = train(second, 4, callbacks=callbacks, recorder=recorder)
    assert (kernel(second) != before).any()
    assert recorder.messages[-2:] == ["from epoch 1: head", "from epoch 3: all"]
    np.testing.assert_allclose(result.history["learning_rate"], [1e-3, 1e-3, 1e-4, 1e-4], rtol=1e-6)
    assert all(layer.trainable for layer in second.layers)


def test_a_phase_begins_with_a_new_optimizer() -> None:
    """As if the network were compiled again, which is what Keras' guide does."""
    phased, plain = network(), network()
    train(phased, 3)
    plain.get_layer("lower").trainable = False
    train(plain, 2, [])
    plain.get_layer("lower").trainable = True
    plain.compile(optimizer=keras.optimizers.Adam(1e-4), loss="mse")
    for epoch in (2,):
        order = np.random.default_rng([0, epoch]).permutation(len(X))
        plain.fit({"x": X[order]}, TRAIN.y[order], batch_size=16, shuffle=False, verbose=0)
    np.testing.assert_allclose(kernel(phased), kernel(plain), atol=1e-6)


def test_phases_of_mixed_precision(tmp_path: Path) -> None:
    def create_network() -> keras.Model:
        with Hardware("mixed_float16").apply():
            return network()

    path, mixed, plain = tmp_path / "checkpoint", create_network(), network()
    train(mixed, 4)
    train(plain, 4)
    np.testing.assert_allclose(kernel(mixed), kernel(plain), atol=0.01)
    train(create_network(), 4, checkpoint=path, recorder=MemoryRecorder(3))
    resumed = create_network()
    train(resumed, 4, checkpoint=path)
    np.testing.assert_array_equal(kernel(resumed), kernel(mixed))


@pytest.mark.parametrize("optimizer", ["adam", "adagrad", "sgd"])
@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_a_resumed_training_ends_with_the_same_weights(stop_after: int, optimizer: str, tmp_path: Path) -> None:
    path, settings = tmp_path / "checkpoint", {"schedule": "one_cycle"}
    straight = network(optimizer=optimizer)
    expected = train(straight, 4, settings=settings)
    train(network(optimizer=optimizer), 4, settings=settings, checkpoint=path, recorder=MemoryRecorder(stop_after))
    resumed = network(seed=5, optimizer=optimizer)
    result = train(resumed, 4, settings=settings, checkpoint=path)
    assert result.history == expected.history
    for weight, other in zip(resumed.weights, straight.weights, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_each_phase_has_the_whole_schedule() -> None:
    model = network()
    rates = train(model, 6, settings={"schedule": "cosine"}).history["learning_rate"]  # of the last step
    assert rates[0] > rates[1]
    assert rates[2] < 1.01e-4
    assert rates[2] > rates[3] > rates[4] > rates[5]


def test_early_stopping_waits_for_the_last_phase() -> None:
    noise = Arrays(TRAIN.x, RANDOM.normal(size=(40, 1)) * 100)
    settings = {"patience": 1, "min_delta": 1e9}
    result = train(network(), 9, settings=settings, validation=noise)
    assert (result.stopped, result.epochs_run) == ("patience", 3)
    assert train(network(), 9, [], settings=settings, validation=noise).epochs_run == 2


def test_phases_after_the_last_epoch_are_left_out() -> None:
    model = network()
    phased = PhasedTraining(model, phases(model), 2)
    assert (phased.last_start, phased.find_end(0)) == (0, 2)
    assert PhasedTraining(model, (), 2).enter(0) is None


@pytest.mark.parametrize("callbacks", [(), (EachBatch(),)], ids=["compiled", "keras"])
def test_averaged_weights_are_kept_but_training_goes_on_from_the_weights_themselves(callbacks: Any) -> None:
    settings = {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.5}
    plain, averaged = network(optimizer="sgd", learning_rate=0.1), network(optimizer="sgd", **settings)
    weights: list[list[np.ndarray]] = [[], []]
    for model, seen in zip((plain, averaged), weights, strict=True):
        remember = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs, model=model, seen=seen: seen.append(kernel(model))
        )
        train(model, 4, callbacks=(remember, *callbacks))
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-5, atol=1e-6)
    assert not np.allclose(kernel(averaged), weights[1][-1])
