"""Gradient norms and dead units of layers are logged after each epoch on request, and change nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from command import Answer

import zoo
from zoo.errors import UsageError
from zoo.fitting.fit import Plan, fit
from zoo.fitting.model_builder import create_model_builder
from zoo.inspection.layer_statistics import DEAD_UNITS, GRADIENT_NORM, LayerWatch, select_layer_curves
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import make_job
from zoo.tracking.store import Store
from zoo.training.preprocessed_arrays import Arrays
from zoo.training.recorder import MemoryRecorder

QUICK: dict[str, Any] = {"epochs": 3, "quiet": True, "baselines": "none"}


def test_each_epoch_has_a_point_in_mlflow(workspace: Path, command: Callable[..., Answer]) -> None:
    answer = command(
        "train", "classification/mlp", "wine", "--epochs", "3", "--baselines", "none", "--track-layers", "--json"
    )
    run_id = answer.json["run_id"]
    assert any("each layer are in the run's metrics of each epoch" in note for note in answer.json["notes"])
    client = Store().client
    curve = client.get_metric_history(run_id, "epoch/gradient_norm/dense_0")
    assert [point.step for point in curve] == [1, 2, 3]
    assert all(point.value > 0 for point in curve)
    dead = client.get_metric_history(run_id, "epoch/dead_units/dense_0")
    assert all(0 <= point.value <= 1 for point in dead)
    assert "figures/layers.png" in {file.path for file in client.list_artifacts(run_id, "figures")}


def test_tracking_does_not_change_the_weights(workspace: Path) -> None:
    plain, tracked = (
        zoo.train("classification/mlp", "wine", track_layers=track, **QUICK).model.predict("wine")
        for track in (False, True)
    )
    np.testing.assert_array_equal(plain.iloc[:, 1:].to_numpy(), tracked.iloc[:, 1:].to_numpy())


@pytest.mark.parametrize(
    "model", ["sequence/gru", pytest.param("language/rnn", marks=pytest.mark.slow),
              pytest.param("clustering/autoencoder", marks=pytest.mark.slow),
              pytest.param("anomaly/ksdm", marks=pytest.mark.slow),
              pytest.param("association/elsa", marks=pytest.mark.slow),
              pytest.param("segmentation/unet", marks=pytest.mark.slow),
              pytest.param("forecasting/gru", marks=pytest.mark.slow),
              pytest.param("image/cnn", marks=pytest.mark.slow)]
)  # fmt: skip
def test_every_task_that_fits_by_epochs_can_track_layers(workspace: Path, model: str) -> None:
    builder = create_model_builder(model)
    job = {"model": model, "source": builder.task.example}
    if model.startswith("forecasting"):
        job["target"] = "passengers"
    dataset = builder.task.read(make_job(TrainJob, job))
    history = fit(builder, dataset, {}, Plan(epochs=2, track_layers=True)).result.history
    norms = select_layer_curves(history, GRADIENT_NORM)
    assert norms
    assert all(len(values) == 2 and np.isfinite(values).all() for values in norms.values())
    assert any(values[0] > 0 for values in norms.values())


def test_curves_go_on_where_training_was_interrupted(workspace: Path) -> None:
    builder = create_model_builder("classification/mlp")
    dataset = builder.task.read(make_job(TrainJob, {"model": builder.name, "source": "wine"}))
    whole = fit(builder, dataset, {}, Plan(epochs=4, track_layers=True)).result.history
    plan = Plan(epochs=4, track_layers=True, checkpoint=workspace / "checkpoint", recorder=MemoryRecorder(stop_after=2))
    assert len(fit(builder, dataset, {}, plan).result.history["loss"]) == 2
    resumed = fit(builder, dataset, {}, dataclasses.replace(plan, recorder=MemoryRecorder())).result.history
    for name, values in whole.items():
        np.testing.assert_allclose(resumed[name], values, rtol=1e-5, atol=1e-7, err_msg=name)


def test_dead_units_are_counted() -> None:
    x = keras.Input((3,), name="features")
    hidden = keras.layers.Dense(4, activation="relu", name="hidden")(x)
    network = keras.Model({"features": x}, keras.layers.Dense(1, name="output")(hidden))
    network.compile("sgd", "mse")
    network.get_layer("hidden").bias.assign([-100, 0, 0, -100])
    rows = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
    measured = LayerWatch(network, Arrays({"features": rows}, np.ones((50, 1), "float32"))).measure()
    assert measured[f"{DEAD_UNITS}hidden"] == 0.5
    assert measured[f"{GRADIENT_NORM}output"] > 0
    network.get_layer("hidden").bias.assign([-100] * 4)
    measured = LayerWatch(network, Arrays({"features": rows}, np.ones((50, 1), "float32"))).measure()
    assert measured[f"{DEAD_UNITS}hidden"] == 1
    assert measured[f"{GRADIENT_NORM}hidden"] == 0


def test_the_gradient_of_an_embedding_counts_repeated_words_together() -> None:
    words = keras.Input((6,), dtype="int32", name="words")
    embedding = keras.layers.Embedding(3, 4, name="embedding")
    hidden = keras.layers.GlobalAveragePooling1D()(embedding(words))
    network = keras.Model({"words": words}, keras.layers.Dense(1, name="output")(hidden))
    network.compile("sgd", "mse")
    x, y = np.random.default_rng(0).integers(0, 3, (50, 6)).astype("int32"), np.ones((50, 1), "float32")
    table = embedding.embeddings.value
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(network({"words": x}) - y))
    dense = tf.convert_to_tensor(tape.gradient(loss, table)).numpy()
    measured = LayerWatch(network, Arrays({"words": x}, y)).measure()
    assert measured[f"{GRADIENT_NORM}embedding"] == pytest.approx(np.linalg.norm(dense), rel=1e-5)


@pytest.mark.parametrize(("shape", "rows"), [((8, 8, 3), 16), ((5,), 256)])
def test_layers_are_watched_on_a_sample_of_the_size_of_a_batch(shape: tuple[int, ...], rows: int) -> None:
    inputs = keras.Input(shape, name="features")
    hidden = keras.layers.Flatten()(keras.layers.Dense(2)(inputs))
    output = keras.layers.Dense(1, name="output")(hidden)
    network = keras.Model({"features": inputs}, output)
    network.compile("sgd", "mse")
    y = np.repeat([0.0, 1.0], 200)[:, None].astype("float32")  # as in a file that is sorted by class
    watch = LayerWatch(network, Arrays({"features": np.zeros((400, *shape), "float32")}, y), batch=16)
    assert len(watch.y) == rows
    assert 0.3 < np.mean(watch.y) < 0.7


def test_where_it_is_not_possible_that_is_said(workspace: Path) -> None:
    with pytest.raises(UsageError, match="is not trained by the common loop"):
        zoo.train("rl/dqn", "CartPole-v1", track_layers=True, **QUICK)
    with pytest.raises(UsageError, match="track_layers"):
        zoo.tune("classification/mlp", "wine", track_layers=True, trials=1, quiet=True, figures=False)
