"""Transformations of images that make one class look like another: 6 and 9 if rotated, b and d if flipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset, Split
from zoo.data.ragged import Ragged
from zoo.reporting.check_inputs import WARNING, Finding
from zoo.spec import ImageInput, Spec

from ._baselines import standardize_pixels

TOPIC = "augmentation changes classes"
ADVICE = {"flip": "false", "rotation": "15"}
MOST_COMPARED, MOST_TRANSFORMED = 3_000, 500  # images
LEAST_IMAGES = 5  # of a class
MOST_SHOWN = 6
LEAST_ACCURACY = 0.8  # of nearest neighbours on images as they are; below, they cannot judge
TYPICAL = 0.75  # quantile of the distances of a class's images to each other
MANY, SOME = 0.4, 0.2  # fractions of images that look like the other class, in one direction and in both
SHIFTS = [(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1)]  # pixels

Search = Callable[[Sequence[np.ndarray]], tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Confusion:
    """A transformation that makes images of one class look like another.

    Args:
        transformation: What it is, in words.
        hyperparameter: The hyperparameter that turns it on.
        given: Index of the class.
        likely: Index of the class that it looks like.
        count: Number of validation images that do.
        total: Number of validation images of the class.
        images: Image, transformed image, and the most similar training image of the other class.
    """

    transformation: str
    hyperparameter: str
    given: int
    likely: int
    count: int
    total: int
    images: tuple[np.ndarray, np.ndarray, np.ndarray]


def find_confusions(dataset: Dataset, hyperparameters: Mapping[str, Any]) -> list[Confusion]:
    """Return which transformations make many images of one class look like those of another, the worst first.

    The network cannot tell, because it was trained to ignore the transformations. Validation images are judged by their
    nearest training images. A transformed image looks like another class if its nearest neighbour, up to a shift by one
    pixel, is of that class and as near as images of that class are to each other. Two classes are alike if many images
    of one look like the other, and some of the other, transformed back, look like the first.

    Args:
        dataset: Images with classes.
        hyperparameters: Those of the network, which say which transformations are turned on.
    """
    spec, transformations = dataset.spec, _list_transformations(hyperparameters)
    if not (transformations and spec.has_classes and len(spec.targets) == 1 and "validation" in dataset.splits):
        return []
    images, truth = _take_images(dataset.splits["validation"], spec, MOST_TRANSFORMED)
    compared, classes = _take_images(dataset.splits["train"], spec, MOST_COMPARED)
    find_nearest = _create_search(compared, classes, spec)
    plain = find_nearest(images)
    if np.mean(classes[plain[2]] == truth) < LEAST_ACCURACY:
        return []
    judged = np.bincount(truth[plain[0] == truth], minlength=len(spec.target.classes))
    alike: dict[str, np.ndarray] = {}  # number of images (K, K) of each class that look like each other one
    shown: dict[tuple[str, int, int], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    for name, (_, transform, _) in transformations.items():
        changed = [transform(image) for image in images]
        likely, _, nearest = find_nearest(changed)
        alike[name] = np.zeros((len(judged), len(judged)), np.int64)
        for row in np.flatnonzero((plain[0] == truth) & (likely != truth) & (likely >= 0)):
            alike[name][truth[row], likely[row]] += 1
            shown.setdefault((name, truth[row], likely[row]), (images[row], changed[row], compared[nearest[row]]))
    worst: dict[tuple[str, int, int], Confusion] = {}
    for name, (hyperparameter, _, back) in transformations.items():
        fractions, others = (alike[each] / np.maximum(judged, 1)[:, None] for each in (name, back))
        both = np.minimum(fractions, others.T) >= SOME
        for given, other in np.argwhere(both & (fractions >= MANY) & (judged[:, None] >= LEAST_IMAGES)).tolist():
            count, place = int(alike[name][given, other]), (hyperparameter, given, other)
            if place not in worst or worst[place].count < count:
                total = int(judged[given])
                worst[place] = Confusion(name, hyperparameter, given, other, count, total, shown[name, given, other])
    return sorted(worst.values(), key=lambda each: -each.count / each.total)


def describe_confusions(confusions: Sequence[Confusion], classes: Sequence[str]) -> list[Finding]:
    """Return one warning about the transformations that make classes look alike; none without such.

    Args:
        confusions: From :func:`find_confusions`.
        classes: Names of the classes by index.
    """
    lines = [
        f"{each.transformation} makes {each.count} of {each.total} validation images of {classes[each.given]} "
        f"look like {classes[each.likely]}"
        for each in confusions
    ]
    advice = " ".join(
        f"--set {name}={ADVICE[name]}" for name in dict.fromkeys(each.hyperparameter for each in confusions)
    )
    return [Finding(TOPIC, WARNING, lines[0], advice, tuple(lines))] if lines else []


def draw_confusions(confusions: Sequence[Confusion], classes: Sequence[str]) -> Any:
    """Return a figure of the first confusions: image, transformed image, and the image that it looks like."""
    from zoo.figures.images import confused_images

    shown = confusions[:MOST_SHOWN]
    titles = [
        (classes[each.given], each.transformation.replace(" by ", "\nby "), f"similar: {classes[each.likely]}")
        for each in shown
    ]
    return confused_images([each.images for each in shown], titles)


def _list_transformations(hyperparameters: Mapping[str, Any]) -> dict[str, tuple[str, Callable[..., Any], str]]:
    """Return, by name, the hyperparameter, a function of an image, and the name of the inverse of each that is on."""
    from scipy.ndimage import rotate

    listed: dict[str, tuple[str, Callable[..., Any], str]] = {}
    if hyperparameters.get("flip"):
        listed["a horizontal flip"] = ("flip", np.fliplr, "a horizontal flip")
    most = float(hyperparameters.get("rotation") or 0)
    for angle in (most, -most, most / 2, -most / 2) if most else ():
        angle, back = (180.0 if abs(each) == 180 else each for each in (angle, -angle))
        turn = partial(rotate, angle=angle, reshape=False, order=1, mode="nearest")
        listed[f"a rotation by {angle:g} degrees"] = ("rotation", turn, f"a rotation by {back:g} degrees")
    return listed


def _take_images(split: Split, spec: Spec, most: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return at most ``most`` images of a split, evenly spaced, and their classes."""
    rows = np.unique(np.linspace(0, len(split) - 1, min(most, len(split))).astype(np.int64))
    images = split.inputs[spec.only(ImageInput).key]
    assert isinstance(images, Ragged)
    return [images.example(row) for row in rows], np.asarray(split.target)[rows]


def _create_search(compared: Sequence[np.ndarray], classes: np.ndarray, spec: Spec) -> Search:
    """Return a function from images to class (N,), distance and position of their nearest among the compared images.

    The class is -1 if the distance is longer than is typical between images of that class.
    """
    from sklearn.neighbors import NearestNeighbors

    key = spec.only(ImageInput).key

    def flatten(images: Sequence[np.ndarray]) -> np.ndarray:
        return standardize_pixels(Split({key: Ragged.of(images, axes=2)}, None, np.arange(len(images))), spec)

    pixels = flatten(compared)
    limits = np.zeros(len(spec.target.classes))
    for label in np.unique(classes):
        rows = pixels[classes == label]
        if len(rows) > 1:
            limits[label] = np.quantile(
                NearestNeighbors(n_neighbors=1, algorithm="brute").fit(rows).kneighbors()[0], TYPICAL
            )
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(pixels)

    def find_nearest(images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        shifted = [search.kneighbors(flatten([np.roll(image, shift, (0, 1)) for image in images])) for shift in SHIFTS]
        every = np.stack([distances[:, 0] for distances, _ in shifted])
        best, places = every.argmin(axis=0), np.arange(len(images))
        distances, rows = every[best, places], np.stack([rows[:, 0] for _, rows in shifted])[best, places]
        return np.where(distances <= limits[classes[rows]], classes[rows], -1), distances, rows

    return find_nearest
