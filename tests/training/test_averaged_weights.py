"""The moving average of the weights: it is scored, kept, and survives an interruption."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import zoo
from zoo.training.fit_loop import fit
from zoo.training.fit_settings import FitSettings
from zoo.training.preprocessed_arrays import Arrays
from zoo.training.recorder import MemoryRecorder
from zoo.training.training_state import FitPlan

MOMENTUM = 0.8
ROWS = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
TRAIN, VALIDATION = (Arrays({"x": part}, part.sum(axis=1)) for part in (ROWS[:16], ROWS[16:]))


def _network() -> keras.Model:
    keras.utils.set_random_seed(0)
    x = keras.Input((3,), name="x")
    network = keras.Model({"x": x}, keras.layers.Dense(1)(keras.layers.Dense(4, "tanh")(x)))
    network.compile(keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=MOMENTUM), "mse")
    return network


def _plan(epochs: int, **options: object) -> FitPlan:
    options.setdefault("recorder", MemoryRecorder())
    return FitPlan(FitSettings(batch_size=16, epochs=epochs, patience=99), **options)  # type: ignore[arg-type]


class Remember(keras.callbacks.Callback):
    """Keeps the weights of the network after each epoch, which is one step."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[np.ndarray]] = []

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.seen.append(self.model.get_weights())


@pytest.mark.parametrize("validation", [VALIDATION, None])
def test_the_kept_weights_are_the_average_over_the_steps(validation: Arrays | None) -> None:
    network, remember = _network(), Remember()
    result = fit(network, TRAIN, validation, _plan(5, callbacks=[remember]))
    assert result.best_epoch == 5
    average = remember.seen[0]
    for weights in remember.seen[1:]:
        average = [MOMENTUM * old + (1 - MOMENTUM) * new for old, new in zip(average, weights, strict=True)]
    for kept, expected in zip(network.get_weights(), average, strict=True):
        np.testing.assert_allclose(kept, expected, rtol=1e-5, atol=1e-6)
    if validation is not None:
        error = np.mean((network.predict(validation.x, verbose=0)[:, 0] - validation.y) ** 2)
        assert result.history["val_loss"][-1] == pytest.approx(error, rel=1e-5)


def test_an_interrupted_training_ends_with_the_same_average(tmp_path: Path) -> None:
    whole, broken, resumed = _network(), _network(), _network()
    fit(whole, TRAIN, VALIDATION, _plan(6))
    path = tmp_path / "checkpoint"
    fit(broken, TRAIN, VALIDATION, _plan(6, checkpoint=path, recorder=MemoryRecorder(3)))
    fit(resumed, TRAIN, VALIDATION, _plan(6, checkpoint=path))
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_models_take_the_momentum_as_a_hyperparameter() -> None:
    losses = []
    for momentum in (0.0, 0.9):
        options = {"ema_momentum": momentum, "units": 8, "optimizer": "muon"}
        run = zoo.train("classification/mlp", "wine", epochs=2, hyperparameters=options, baselines="none", quiet=True)
        assert run.hyperparameters["ema_momentum"] == momentum
        losses.append(run.metrics["val_log_loss"])
    assert losses[1] > losses[0]  # after so few steps, the average is near the weights at the start
