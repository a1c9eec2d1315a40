"""Random changes of images in training, and the warning if they make one class look like another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from command import Answer
from zoo.tasks.image._confusions import TOPIC, describe_confusions, find_confusions

import zoo
from zoo.errors import UsageError
from zoo.fitting.fit import Plan, fit
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.data_options import DataJob
from zoo.networks.augmentation import ChangeColors, MixImages, add_augmentation, mix_images
from zoo.networks.losses import EachTarget, MixedLoss, SmoothedCrossentropy
from zoo.task import load_task
from zoo.training.recorder import MemoryRecorder

RANDOM = np.random.default_rng(0)


def letters(count: int = 60, side: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Letters b, d and o, a little moved and noisy: a flip turns b into d, and leaves o alone."""
    images, names = [], []
    for number in range(count * 3):
        name = "bdo"[number % 3]
        image = np.zeros((side, side))
        image[6:10, 4:8], image[7:9, 5:7] = 200, 0
        if name != "o":
            image[2:10, 4 if name == "b" else 7] = 200
        moved = np.roll(image, RANDOM.integers(-1, 2, 2), (0, 1)) + RANDOM.uniform(0, 40, (side, side))
        images.append(moved.astype(np.uint8)[..., None])
        names.append(name)
    return np.stack(images), np.array(names)


@pytest.mark.parametrize(
    "hyperparameters, pairs",
    [
        ({"flip": True}, {("b", "d", "a horizontal flip"), ("d", "b", "a horizontal flip")}),
        ({"flip": False, "rotation": 0.0}, set()),
        ({"rotation": 10.0}, set()),
        ({"shift": 0.1, "zoom": 0.1}, set()),
    ],
)
def test_a_flip_turns_b_into_d(hyperparameters: dict[str, Any], pairs: set[tuple[str, str, str]]) -> None:
    dataset = load_task("image").read(DataJob(source=letters()))
    classes = dataset.spec.target.classes
    confusions = find_confusions(dataset, hyperparameters)
    assert {(classes[each.given], classes[each.likely], each.transformation) for each in confusions} == pairs
    assert len(describe_confusions(confusions, classes)) == bool(pairs)


def test_the_warning_and_its_figure(workspace: Path, command: Callable[..., Answer]) -> None:
    x, y = letters()
    np.savez(workspace / "letters.npz", x=x, y=y)
    options = {"epochs": 1, "baselines": "none"}
    small, source = {"filters": 8, "units": 32}, str(workspace / "letters.npz")
    changes = {"flip": True, "rotation": 5, "blur": 0.2, "contrast": 0.1}
    run = zoo.train("image/cnn", source, hyperparameters={**small, **changes}, **options)
    finding = next(finding for finding in run.diagnosis if finding.topic == TOPIC)
    assert "a horizontal flip makes" in finding.text
    assert finding.advice == "--set flip=false"
    assert "augmentation_changes_classes" in run.figures
    assert TOPIC in command("show", run.run_id).out
    loaded = zoo.load(run.run_id).predict_proba(x[:5])
    np.testing.assert_allclose(np.asarray(loaded), np.asarray(run.model.predict_proba(x[:5])), atol=1e-5)
    safe = zoo.train("image/cnn", source, hyperparameters=small, **options)
    assert TOPIC not in [finding.topic for finding in safe.diagnosis]
    assert "augmentation_changes_classes" not in safe.figures


@pytest.mark.parametrize(
    "options",
    [{"rotation": 90}, {"blur": 1.0}, {"brightness": 0.5}, {"contrast": 0.5}, {"noise": 0.5}, {"cutout": 0.5}],
)
def test_images_change_in_training_alone(options: dict[str, float]) -> None:
    inputs = keras.Input((9, 7, 2))
    model = keras.Model(inputs, add_augmentation(inputs, **options))
    images = RANDOM.normal(size=(16, 9, 7, 2)).astype(np.float32)
    assert np.array_equal(np.asarray(model(images, training=False)), images)
    changed = np.asarray(model(images, training=True))
    assert changed.shape == images.shape
    assert (np.abs(changed - images).max(axis=(1, 2, 3)) > 1e-4).mean() > 0.9
    restored = keras.models.clone_model(model)
    assert np.array_equal(np.asarray(restored(images)), images)


def test_brightness_and_contrast_are_within_their_limits() -> None:
    images = np.ones((500, 2, 2, 1), np.float32)
    changed = np.asarray(ChangeColors(0.3, 0.2, seed=1)(images, training=True))
    assert np.ptp(changed, axis=(1, 2, 3)).max() < 1e-6  # all pixels of an image alike
    assert 0.5 <= changed.min() < 0.6
    assert 1.4 < changed.max() <= 1.5


def test_nothing_is_added_by_default() -> None:
    x = keras.Input((8, 8, 1))
    assert add_augmentation(x) is x


@pytest.mark.parametrize(
    "name, value", [("rotation", 181), ("rotation", -1), ("blur", 2), ("contrast", 1.5), ("noise", 3), ("cutout", 1.1)]
)
def test_values_outside_of_their_limits(name: str, value: float) -> None:
    with pytest.raises(UsageError, match="it must be a number from 0 to"):
        add_augmentation(keras.Input((8, 8, 1)), **{name: value})


# Noise, cutout, mixup and CutMix


def train_once(images: np.ndarray, **options: float) -> np.ndarray:
    inputs = keras.Input(images.shape[1:])
    return np.asarray(keras.Model(inputs, add_augmentation(inputs, **options))(images, training=True))


def test_noise_has_its_standard_deviation() -> None:
    images = RANDOM.normal(size=(50, 8, 8, 3)).astype(np.float32)
    assert abs((train_once(images, noise=0.4) - images).std() - 0.4) < 0.02


def test_cutout_erases_a_rectangle_of_its_side() -> None:
    images = np.ones((60, 10, 20, 2), np.float32)
    erased = train_once(images, cutout=0.5) == 0
    assert (erased[..., 0] == erased[..., 1]).all()
    rows, columns = erased[..., 0].any(axis=2).sum(axis=1), erased[..., 0].any(axis=1).sum(axis=1)
    assert (np.abs(rows - 5) <= 1).all()
    assert (np.abs(columns - 10) <= 1).all()
    assert (erased[..., 0].sum(axis=(1, 2)) == rows * columns).all()
    assert len({tuple(np.flatnonzero(image.any(axis=1))) for image in erased[..., 0]}) > 3


@pytest.mark.parametrize("mixup, cutmix", [(0.4, 0.0), (0.0, 1.0), (0.3, 1.0)])
def test_each_image_is_mixed_with_the_next_by_the_fraction_that_is_returned(mixup: float, cutmix: float) -> None:
    """Of images of one value each, the mean tells how much of which is in a mixed one."""
    values = np.arange(40, dtype=np.float32)
    images = np.broadcast_to(values[:, None, None, None], (40, 16, 16, 1))
    mixed, kept = map(np.asarray, MixImages(mixup, cutmix, seed=1)(images, training=True))
    expected = kept[:, 0] * values + (1 - kept[:, 0]) * np.roll(values, -1)
    np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)), expected, atol=1e-3)
    assert 0 <= kept.min() < kept.max() <= 1
    pasted = np.array([len(np.unique(image)) == 2 for image in mixed])
    assert pasted.any() == bool(cutmix)
    again = MixImages(mixup, cutmix, seed=1)(images, training=True)
    np.testing.assert_array_equal(again[0], mixed)
    plain, all_own = MixImages(mixup, cutmix)(images)
    np.testing.assert_array_equal(plain, images)
    assert (np.asarray(all_own) == 1).all()


def test_mixing_adds_nothing_by_default_and_has_limits() -> None:
    x = keras.Input((8, 8, 1))
    assert mix_images(x) == (x, None)
    with pytest.raises(UsageError, match="it must be a number from 0 to 10"):
        mix_images(x, mixup=-1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_cross_entropy_with_mixed_labels_and_weights_of_each_label(smoothing: float) -> None:
    rows, classes = 12, 4
    labels, weights = RANDOM.integers(0, classes, rows), RANDOM.uniform(0.5, 2, rows).astype(np.float32)
    output = RANDOM.dirichlet(np.ones(classes), rows).astype(np.float32)
    kept = RANDOM.uniform(0, 1, (rows, 1)).astype(np.float32)
    inner = SmoothedCrossentropy(smoothing) if smoothing else keras.losses.SparseCategoricalCrossentropy()
    loss = MixedLoss(inner, classes)
    one_hot = np.eye(classes)[labels] * (1 - smoothing) + smoothing / classes
    targets = kept * one_hot + (1 - kept) * np.roll(one_hot, -1, axis=0)
    expected = -(targets * np.log(output)).sum(axis=1).mean()
    joined = np.concatenate([output, kept], axis=1)
    assert abs(float(loss(labels, joined)) - expected) < 1e-5
    weighed = (weights * kept[:, 0])[:, None] * one_hot
    weighed += (np.roll(weights, -1) * (1 - kept[:, 0]))[:, None] * np.roll(one_hot, -1, axis=0)
    expected = -(weighed * np.log(output)).sum(axis=1).mean()
    assert abs(float(loss(labels, joined, sample_weight=weights)) - expected) < 1e-5
    assert abs(float(loss(labels, output)) - float(inner(labels, output))) < 1e-6
    restored = keras.losses.deserialize(keras.losses.serialize(loss))
    assert abs(float(restored(labels, joined)) - float(loss(labels, joined))) < 1e-6


def test_mixed_numbers_have_the_gradient_of_their_mixed_target() -> None:
    import tensorflow as tf

    numbers, kept = RANDOM.normal(size=(8, 1)).astype(np.float32), RANDOM.uniform(size=(8, 1)).astype(np.float32)
    output = tf.Variable(RANDOM.normal(size=(8, 1)).astype(np.float32))
    targets = kept * numbers + (1 - kept) * np.roll(numbers, -1, axis=0)
    loss = MixedLoss(keras.losses.MeanSquaredError(), 1)
    with tf.GradientTape(persistent=True) as tape:
        mixed, plain = loss(numbers, tf.concat([output, kept], 1)), tf.reduce_mean((output - targets) ** 2)
    np.testing.assert_allclose(tape.gradient(mixed, output), tape.gradient(plain, output), atol=1e-6)


def test_a_missing_target_of_several_has_no_part_in_a_mixed_loss() -> None:
    inner = EachTarget(["class", "squared_error"], [1, 1])
    truth = np.array([[1.0, np.nan], [0.0, 2.0]], np.float32)
    output, kept = np.array([[0.7, 3.0], [0.4, 1.0]], np.float32), np.array([[0.8], [1.0]], np.float32)
    own = inner.call(truth, output)
    expected = (0.8 * own[0] + own[1] + 0.2 * inner.call(truth, output[::-1])[1]) / 2
    joined = np.concatenate([output, kept], axis=1)
    assert abs(float(MixedLoss(inner, 2)(truth, joined)) - float(expected)) < 1e-6


MIXED = {"filters": 8, "blocks": 2, "mixup": 0.3, "cutmix": 1.0, "noise": 0.1, "cutout": 0.3, "batch_size": 32}


@pytest.mark.parametrize("source", ["digits", "letters"])
def test_a_training_with_mixed_images_resumes_to_the_same_weights(source: str, tmp_path: Path) -> None:
    dataset = load_task("image").read(DataJob(source="digits" if source == "digits" else letters(15)))
    builder, path = create_model_builder("image/cnn"), tmp_path / "checkpoint"
    straight = fit(builder, dataset, MIXED, Plan(epochs=3))
    fit(builder, dataset, MIXED, Plan(epochs=3, checkpoint=path, recorder=MemoryRecorder(1)))
    resumed = fit(builder, dataset, MIXED, Plan(epochs=3, checkpoint=path))
    for value, other in zip(
        resumed.built_model.network.get_weights(), straight.built_model.network.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(value, other)
    assert resumed.result.history == straight.result.history


def test_a_run_with_mixed_images_learns_and_predicts_plain_ones(workspace: Path) -> None:
    hyperparameters = {**MIXED, "cutout": 0, "filters": 16}
    run = zoo.train("image/cnn", "digits", hyperparameters=hyperparameters, epochs=8, baselines="none", quiet=True)
    assert run.metrics["test_accuracy"] > 0.9
    frame = zoo.load(run.run_id).predict("digits").filter(like="probability_")
    assert frame.shape[1] == 10
    np.testing.assert_allclose(frame.sum(axis=1), 1, atol=1e-5)
