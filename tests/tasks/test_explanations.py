"""Nearest training images of wrong predictions, and occlusion maps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawing import assert_draws
from zoo.tasks.image._explanations import (
    NEIGHBOURS,
    STEPS,
    can_explain,
    compute_features,
    compute_occlusion,
    draw_nearest,
    draw_occlusion,
)

from zoo.fitting.fit import Plan, fit
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.data_options import DataJob
from zoo.task import load_task

RANDOM = np.random.default_rng(0)


def corners(count: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """Noise; the class says whether the upper left corner is bright."""
    images = RANDOM.integers(0, 100, (count, 16, 16, 1))
    bright = np.arange(count) % 2 == 1
    images[bright, :5, :5] += 150
    return images.astype(np.uint8), np.where(bright, "bright", "dark")


@pytest.fixture(scope="module")
def fitted() -> Any:
    dataset = load_task("image").read(DataJob(source=corners()))
    options = {"filters": 8, "shift": 0, "zoom": 0, "flip": False, "dropout": 0, "blocks": 2}
    return fit(create_model_builder("image/cnn"), dataset, options, Plan(epochs=15))


def prediction_of(fitted: Any) -> np.ndarray:
    output = fitted.task.output(fitted.built_model.full_model(), fitted.dataset.splits["validation"].inputs)
    return np.concatenate([1 - output, output], axis=1)


def test_a_prediction_depends_on_the_corner(fitted: Any) -> None:
    model, validation = fitted.built_model.full_model(), fitted.dataset.splits["validation"]
    chosen = prediction_of(fitted).argmax(axis=1)
    rows = np.flatnonzero(chosen == list(fitted.dataset.spec.target.classes).index("bright"))[:5]
    inputs = {key: values[rows] for key, values in validation.inputs.items()}
    maps = compute_occlusion(model, inputs, fitted.dataset.spec, chosen[rows])
    assert maps.shape == (5, STEPS, STEPS)
    assert (maps[:, :2, :2].max(axis=(1, 2)) > 0.1).all()
    assert np.abs(maps[:, 5:, 5:]).max() < maps[:, :2, :2].max(axis=(1, 2)).min()


def test_the_nearest_training_images_are_of_the_predicted_class(fitted: Any) -> None:
    """If all predictions are reversed, each image is an error, and its neighbours have its true class."""
    model, dataset, prediction = fitted.built_model.full_model(), fitted.dataset, prediction_of(fitted)
    assert can_explain(dataset, model)
    features = compute_features(model, dataset.splits["validation"].inputs)
    assert features.shape[0] == len(prediction)
    figure = draw_nearest(model, dataset, prediction[:, ::-1])
    assert_draws(figure)
    titles = [axis.get_title() for axis in figure.axes]
    for first in range(0, len(titles), NEIGHBOURS + 1):
        truth, predicted = titles[first].split(" predicted as\n")
        assert truth != predicted
        assert titles[first + 1 : first + 1 + NEIGHBOURS] == [truth] * NEIGHBOURS
    assert_draws(draw_occlusion(model, dataset, prediction))


def test_without_errors_the_figure_says_so(fitted: Any) -> None:
    truth = np.asarray(fitted.dataset.splits["validation"].target)
    figure = draw_nearest(fitted.built_model.full_model(), fitted.dataset, np.eye(2)[truth])
    assert figure.texts[0].get_text() == "No image was misclassified."


def test_nothing_is_explained_without_validation(fitted: Any) -> None:
    import dataclasses

    train = {"train": fitted.dataset.splits["train"]}
    assert not can_explain(dataclasses.replace(fitted.dataset, splits=train), fitted.built_model.full_model())
