"""A user's own compiled model is refused before training, or loads in another process and predicts the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

import zoo
from zoo.errors import UsageError
from zoo.tracking.store import Store

QUICK: dict[str, Any] = {"target": "y", "epochs": 2, "quiet": True, "figures": False, "baselines": "none"}


def numbers() -> pd.DataFrame:
    x = np.random.default_rng(0).normal(size=60)
    return pd.DataFrame({"a": x, "b": -x, "y": 3 * x})


def classes(k: int) -> pd.DataFrame:
    random = np.random.default_rng(1)
    x = random.normal(size=300)
    codes = np.digitize(x + 0.5 * random.normal(size=300), np.linspace(-0.5, 0.5, k - 1) if k > 2 else [0])
    return pd.DataFrame({"a": x, "b": random.normal(size=300), "y": np.array(list("uvwx"))[codes]})


def wape(truth: Any, prediction: Any) -> Any:
    return keras.ops.sum(keras.ops.abs(truth - prediction)) / keras.ops.sum(keras.ops.abs(truth))


@keras.saving.register_keras_serializable("tests")
def registered_wape(truth: Any, prediction: Any) -> Any:
    return wape(truth, prediction)


class Twice(keras.layers.Layer):
    def call(self, values: Any) -> Any:
        return values * 2.0


@keras.saving.register_keras_serializable("tests")
class RegisteredTwice(Twice):
    pass


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, values: Any) -> Any:
        return self.dense(values)


def _double(values: Any) -> Any:
    return values * 2


def network(
    layer: Callable[[Any], Any] = lambda x: x, *, loss: Any = "mse", metrics: Any = None, **options: Any
) -> keras.Model:
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1, **options)(layer(inputs)))
    model.compile("adam", loss, metrics=metrics)
    return model


def test_it_loads_in_another_process(workspace: Path) -> None:
    table = numbers()
    models = [
        network(metrics=[wape]),
        network(loss=wape),
        network(loss=registered_wape, metrics=[registered_wape]),
        network(lambda x: keras.ops.tanh(x) * 2, activation=keras.activations.gelu, kernel_regularizer="l2"),
        network(keras.Sequential([keras.layers.Dense(3, "relu"), keras.layers.BatchNormalization()])),
        network(bias_initializer=keras.initializers.Constant(1.0)),
    ]
    runs = [zoo.train(model, table, task="regression", **QUICK) for model in models]
    table.to_csv("rows.csv", index=False)
    ids = [run.run_id for run in runs]
    script = f"import zoo; print(*(zoo.load(run).predict('rows.csv')['prediction'].sum() for run in {ids}))"
    ended = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    expected = [run.model.predict(table)["prediction"].sum() for run in runs]
    assert [float(text) for text in ended.stdout.split()] == pytest.approx(expected, rel=1e-4, abs=1e-4)


def subclassed() -> keras.Model:
    model = Subclassed()
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: network(keras.layers.Lambda(lambda x: x * 2)), "a Lambda layer"),
        (lambda: network(activation=lambda x: x * 2), "a lambda"),
        (lambda: network(kernel_initializer=lambda shape, dtype=None: keras.ops.ones(shape)), "a lambda"),
        (lambda: network(Twice()), "Twice is not part of Keras"),
        (lambda: network(RegisteredTwice()), "RegisteredTwice is not part of Keras"),
        (lambda: network(keras.Sequential([keras.layers.Dense(3), Twice()])), "Twice is not part of Keras"),
        (lambda: network(activation=_double), "_double is not part of Keras"),
        (subclassed, "a subclass of keras.Model cannot be saved without its code"),
    ],
)
def test_what_could_not_be_loaded_is_refused_before_training(
    workspace: Path, make: Callable[[], keras.Model], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        zoo.train(make(), numbers(), task="regression", **QUICK)
    assert Store().search("attributes.status = 'FINISHED'") == []


def head(k: int, *, logits: bool, functional: bool) -> keras.Model:
    keras.utils.set_random_seed(0)
    width = 1 if k == 2 else k
    activation = None if logits else ("sigmoid" if k == 2 else "softmax")
    layer = keras.layers.Dense(width, activation=activation)
    inputs = keras.Input((2,))
    model = keras.Model(inputs, layer(inputs)) if functional else keras.Sequential([inputs, layer])
    loss = keras.losses.BinaryCrossentropy if k == 2 else keras.losses.SparseCategoricalCrossentropy
    model.compile(keras.optimizers.Adam(0.05), loss(from_logits=logits))
    return model


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("functional", [True, False])
def test_logits_become_probabilities(workspace: Path, k: int, functional: bool) -> None:
    table = classes(k)
    runs = [
        zoo.train(
            head(k, logits=logits, functional=functional), table, task="classification", **{**QUICK, "epochs": 10}
        )
        for logits in (False, True)
    ]
    plain, logits = (zoo.load(run.run_id).predict(table) for run in runs)
    columns = [name for name in plain if name.startswith("probability_")]
    assert logits[columns].sum(axis=1).to_numpy() == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(logits[columns], plain[columns], atol=1e-3)
    assert (logits["prediction"] == plain["prediction"]).mean() > 0.98
    assert runs[1].metrics["test_log_loss"] == pytest.approx(runs[0].metrics["test_log_loss"], rel=1e-2)


@pytest.mark.parametrize(
    ("activation", "loss", "message"),
    [
        (None, "sparse_categorical_crossentropy", "the output has no activation"),
        ("softmax", "categorical_crossentropy", "takes one-hot targets; compile the model with sparse_categorical"),
        ("softmax", keras.losses.CategoricalFocalCrossentropy(), "takes one-hot targets"),
    ],
)
def test_an_output_that_is_no_probability_is_refused(
    workspace: Path, activation: str | None, loss: Any, message: str
) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation=activation)])
    model.compile("adam", loss)
    with pytest.raises(UsageError, match=message):
        zoo.train(model, classes(3), task="classification", **QUICK)


def test_a_sequential_model_without_an_input_is_refused(workspace: Path) -> None:
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("adam", "mse")
    with pytest.raises(UsageError, match=r"needs a keras.Input as its first layer"):
        zoo.train(model, numbers(), task="regression", **QUICK)
