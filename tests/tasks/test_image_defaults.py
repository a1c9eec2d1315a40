"""Defaults of image models: what they do to a spec, and that the shared parts of their training are right."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from zoo.tasks.image._image_defaults import choose_blocks, choose_epochs, choose_flip, choose_stride

from zoo.fitting.fit import Plan, evaluate, fit
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.data_options import DataJob
from zoo.networks.convolutional import BatchNormalization
from zoo.networks.losses import SmoothedCrossentropy
from zoo.spec import Spec
from zoo.task import load_task
from zoo.training.fit_settings import FitSettings

RANDOM = np.random.default_rng(0)


def spec_of(shape: tuple[int, ...], *, colored: bool = True, rows: int = 20) -> Spec:
    images = RANDOM.integers(0, 256, (rows, *shape)).astype(np.uint8)
    images = images if colored else np.repeat(images[..., :1], shape[-1], axis=-1)
    return load_task("image").read(DataJob(source=(images, np.arange(rows) % 2))).spec


@pytest.mark.parametrize(
    "shape, colored, flip", [((8, 8, 3), True, True), ((8, 8, 3), False, False), ((8, 8, 1), True, False)]
)
def test_only_images_in_colour_are_flipped(shape: tuple[int, ...], colored: bool, flip: bool) -> None:
    assert choose_flip(spec_of(shape, colored=colored)) is flip
    for name in ("image/cnn", "image/resnet9"):
        _, hp = create_model_builder(name).build_checked({}, spec_of(shape, colored=colored), seed=0)
        assert hp.values["flip"] is flip


@pytest.mark.parametrize(
    "side, stride, blocks",
    [(8, 1, 2), (28, 1, 3), (64, 1, 4), (100, 2, 4), (128, 2, 4), (224, 4, 4), (300, 4, 5)],
)
def test_the_network_depends_on_the_size_of_images(side: int, stride: int, blocks: int) -> None:
    spec = spec_of((side, side, 3))
    assert (choose_stride(spec), choose_blocks(spec, 2, 5)) == (stride, blocks)
    for name in ("image/cnn", "image/resnet9"):
        built_model, _ = create_model_builder(name).build_checked({}, spec, seed=0)
        assert built_model.n_parameters < 400_000


def test_few_images_take_more_epochs() -> None:
    spec = spec_of((8, 8, 1))
    assert choose_epochs(spec, 100 * spec.rows, fewest=5, most=200) == 100
    assert choose_epochs(spec, 100 * spec.rows, fewest=5, most=50) == 50
    assert choose_epochs(spec, 1, fewest=5, most=50) == 5


@pytest.mark.parametrize("name", ["image/cnn", pytest.param("image/resnet9", marks=pytest.mark.slow)])
def test_digits_are_learned_in_a_few_epochs(name: str) -> None:
    dataset = load_task("image").read(DataJob(source="digits"))
    fitted = fit(create_model_builder(name), dataset, {"batch_size": 32}, Plan(epochs=8))
    assert evaluate(fitted, ["test"])["test"].scores["accuracy"] > 0.97


# Parts that all models share


def test_the_fused_operation_equals_keras_layer() -> None:
    images = RANDOM.normal(2, 3, (16, 6, 5, 4)).astype(np.float32)
    fused, plain = BatchNormalization(momentum=0.5), keras.layers.BatchNormalization(momentum=0.5)
    np.testing.assert_allclose(fused(images, training=True), plain(images, training=True), atol=1e-4)
    np.testing.assert_allclose(fused(images, training=False), plain(images, training=False), atol=5e-2)
    np.testing.assert_allclose(fused.moving_mean, plain.moving_mean, atol=1e-5)
    np.testing.assert_allclose(fused.moving_variance, plain.moving_variance, rtol=1e-2)  # divided by one less
    fused.trainable = False
    np.testing.assert_array_equal(fused(images, training=True), fused(images, training=False))
    table = RANDOM.normal(size=(8, 3)).astype(np.float32)
    np.testing.assert_allclose(
        BatchNormalization()(table, training=True), keras.layers.BatchNormalization()(table, training=True), atol=1e-5
    )


def test_label_smoothing_is_that_of_keras() -> None:
    truth, output = np.array([0, 2, 1]), np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3]], np.float32)
    expected = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)(np.eye(3)[truth], output)
    loss: Any = SmoothedCrossentropy(0.1)
    assert abs(float(loss(truth, output)) - float(expected)) < 1e-5
    assert SmoothedCrossentropy.from_config(loss.get_config()).label_smoothing == 0.1


def test_label_smoothing_is_for_every_model_with_classes() -> None:
    spec = load_task("classification").read(DataJob(source="wine")).spec
    build = create_model_builder("classification/mlp").build_checked
    assert build({"label_smoothing": 0.1}, spec, seed=0)[0].network.loss.label_smoothing == 0.1
    assert type(build({}, spec, seed=0)[0].network.loss).__name__ == "SparseCategoricalCrossentropy"


@pytest.mark.parametrize("keep, epoch", [("best", 1), ("last", 3)])
def test_weights_of_the_last_epoch_can_be_kept(keep: str, epoch: int) -> None:
    dataset = load_task("classification").read(DataJob(source="wine"))
    slow = {"optimizer": "sgd", "learning_rate": 1e-3, "keep": keep, "patience": 1, "min_delta": 10.0}
    fitted = fit(create_model_builder("classification/mlp"), dataset, slow, Plan(epochs=3))
    assert fitted.result.best_epoch == epoch


def test_one_cycle_rises_for_a_quarter_and_falls_to_nearly_zero() -> None:
    settings = FitSettings(epochs=4, schedule="one_cycle")
    rates = np.concatenate([settings.rates(2.0, epoch, 10) for epoch in range(4)])  # type: ignore[misc]
    assert rates.argmax() in (9, 10)
    assert (np.diff(rates[:10]) > 0).all()
    assert (np.diff(rates[10:]) < 0).all()
    assert 0 < rates[-1] < 0.05
    assert 0 < rates[0] < 0.2
    assert rates.max() <= 2
