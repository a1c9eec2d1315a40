"""Why a network predicts a class: the training images that it finds most similar, and what it looks at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from zoo.data.dataset import Dataset, Split
from zoo.data.ragged import Ragged
from zoo.models.built_model import find_network, find_preprocessing
from zoo.spec import ImageInput, Spec
from zoo.training.preprocessed_arrays import forward

NEIGHBOURS = 4
MOST_EXPLAINED = 6  # wrong predictions
MOST_OCCLUDED = 4
MOST_COMPARED = 3_000  # training images
STEPS = 8  # positions of the patch along a side
PATCH = 0.25  # of the side


def can_explain(dataset: Dataset, model: Any) -> bool:
    """Return whether there are one target of classes, validation images, and a network with its preprocessing."""
    spec = dataset.spec
    one = spec.has_classes and len(spec.targets) == 1 and {"train", "validation"} <= set(dataset.splits)
    return one and find_preprocessing(model) is not None and _find_features(find_network(model)) is not None


def draw_nearest(model: keras.Model, dataset: Dataset, prediction: np.ndarray) -> Any:
    """Return a figure of the most confident wrong predictions, with the nearest training images of each.

    Near is what has a small Euclidean distance in the space of the last hidden layer.

    Args:
        model: The full model.
        dataset: Images with classes.
        prediction: Probabilities of the validation images (N, K).
    """
    from sklearn.neighbors import NearestNeighbors

    from zoo.figures.images import list_errors, nearest_images

    validation, train, classes = dataset.splits["validation"], dataset.splits["train"], dataset.spec.target.classes
    truth = np.asarray(validation.target)
    wrong = list_errors(truth, prediction)[:MOST_EXPLAINED]
    if not len(wrong):
        return nearest_images([], [])
    compared = np.unique(np.linspace(0, len(train) - 1, min(MOST_COMPARED, len(train))).astype(np.int64))
    features = compute_features(model, _take(train, compared))
    search = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(compared)), algorithm="brute").fit(features)
    nearest = compared[search.kneighbors(compute_features(model, _take(validation, wrong)))[1]]
    images, others = _find_images(validation, dataset.spec), _find_images(train, dataset.spec)
    labels = np.asarray(train.target)
    rows = [
        [images.example(int(row)), *(others.example(int(each)) for each in near)]
        for row, near in zip(wrong, nearest, strict=True)
    ]
    titles = [
        [
            f"{classes[truth[row]]} predicted as\n{classes[prediction[row].argmax()]}",
            *(classes[i] for i in labels[near]),
        ]
        for row, near in zip(wrong, nearest, strict=True)
    ]
    return nearest_images(rows, titles)


def compute_features(model: keras.Model, inputs: Mapping[str, Any]) -> np.ndarray:
    """Return the outputs (N, F) of the last hidden layer of a model for raw inputs."""
    network = find_network(model)
    tensors = {tensor.name: tensor for tensor in network.inputs}
    part = keras.Model(tensors, _find_features(network))
    return np.asarray(forward(part, forward(find_preprocessing(model), inputs)))


def draw_occlusion(model: keras.Model, dataset: Dataset, prediction: np.ndarray) -> Any:
    """Return a figure of the parts of validation images that predictions depend on, for wrong and right ones.

    Args:
        model: The full model.
        dataset: Images with classes.
        prediction: Probabilities of the validation images (N, K).
    """
    from zoo.figures.images import occlusion_maps

    validation, classes = dataset.splits["validation"], dataset.spec.target.classes
    truth, chosen = np.asarray(validation.target), prediction.argmax(axis=1)
    order = np.argsort(-prediction.max(axis=1), kind="stable")
    wrong, right = order[chosen[order] != truth[order]], order[chosen[order] == truth[order]]
    firsts = right[np.sort(np.unique(truth[right], return_index=True)[1])]  # one of each class
    rows = np.concatenate([wrong[: MOST_OCCLUDED // 2], firsts])[:MOST_OCCLUDED]
    maps = compute_occlusion(model, _take(validation, rows), dataset.spec, chosen[rows])
    images = _find_images(validation, dataset.spec)
    titles = [f"{classes[truth[row]]} predicted as\n{classes[chosen[row]]}" for row in rows]
    return occlusion_maps([images.example(int(row)) for row in rows], maps, titles)


def compute_occlusion(model: keras.Model, inputs: Mapping[str, Any], spec: Spec, chosen: np.ndarray) -> np.ndarray:
    """Return how much the probability of a class falls if a patch of an image has the mean color (N, h, w).

    Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks", section 4.2. The patch is a quarter
    of the side, at 8 positions along each side. Probabilities are those of the network, before calibration.

    Args:
        model: The full model.
        inputs: Raw inputs of N images by key.
        spec: Spec of the images.
        chosen: Index of the class of each image (N,).
    """
    network, preprocessed = find_network(model), forward(find_preprocessing(model), inputs)
    ((name, images),) = preprocessed.items()
    images = np.asarray(images)
    height, width = images.shape[1:3]
    mean = np.asarray(spec.only(ImageInput).mean)
    mean = np.round(mean).astype(images.dtype) if images.dtype.kind in "iu" else mean.astype(images.dtype)
    places = [_place(height, row) + _place(width, column) for row in range(STEPS) for column in range(STEPS)]
    before = _probability(network, {name: images}, chosen)
    maps = np.empty((len(places), len(images)))
    for index, (top, bottom, left, right) in enumerate(places):
        hidden = images.copy()
        hidden[:, top:bottom, left:right] = mean
        maps[index] = before - _probability(network, {name: hidden}, chosen)
    return maps.T.reshape(len(images), STEPS, STEPS)


def _place(side: int, step: int) -> tuple[int, int]:
    """Return where the patch begins and ends along a side, at one of its positions."""
    size = max(1, math.ceil(PATCH * side))
    start = round((side - size) * step / (STEPS - 1))
    return start, start + size


def _probability(network: keras.Model, inputs: Mapping[str, Any], chosen: np.ndarray) -> np.ndarray:
    output = np.asarray(forward(network, inputs))
    output = np.concatenate([1 - output, output], axis=1) if output.shape[1] == 1 else output
    return np.asarray(output[np.arange(len(output)), chosen])


def _find_features(network: keras.Model) -> Any:
    """Return the input (B, F) of the last layer with weights; None if it has another shape."""
    layers = [layer for layer in network.layers if layer.weights]
    tensor = layers[-1].input if layers else None
    return tensor if len(getattr(tensor, "shape", ())) == 2 else None


def _take(split: Split, rows: np.ndarray) -> dict[str, Any]:
    return {key: values[rows] for key, values in split.inputs.items()}


def _find_images(split: Split, spec: Spec) -> Ragged:
    images = split.inputs[spec.only(ImageInput).key]
    assert isinstance(images, Ragged)
    return images
