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
from zoo.jobs.data_options import DataJob
from zoo.networks.augmentation import ChangeColors, add_augmentation
from zoo.task import load_task

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


@pytest.mark.parametrize("options", [{"rotation": 90}, {"blur": 1.0}, {"brightness": 0.5}, {"contrast": 0.5}])
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


@pytest.mark.parametrize("name, value", [("rotation", 181), ("rotation", -1), ("blur", 2), ("contrast", 1.5)])
def test_values_outside_of_their_limits(name: str, value: float) -> None:
    with pytest.raises(UsageError, match="it must be a number from 0 to"):
        add_augmentation(keras.Input((8, 8, 1)), **{name: value})
