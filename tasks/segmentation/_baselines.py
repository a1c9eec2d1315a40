"""Baselines of segmentation, each of single pixels: the most frequent class, thresholds, colours, boosting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.spec import Spec
from zoo.task import Baseline

from ._mask_dataset import VOID, get_images, get_mask
from ._mask_metrics import METRICS, count_confusion, score_confusions

FITTED_PIXELS = 100_000
BLURS = (1.0, 2.0, 4.0)
BINS = 256
Segment = Callable[[np.ndarray], np.ndarray]  # from an image (H, W, C) to class indices (H, W)


def choose_baselines(level: str, spec: Spec) -> list[Baseline]:
    """Return the baselines of a level, ``none``, ``quick`` or ``all``.

    ``colour_threshold``, for two classes, is the threshold of Otsu (1979) of each image; ``nearest_colour`` takes the
    class whose mean colour is nearest; ``boosting`` is that of scikit-learn on the colours around a pixel.
    """
    threshold = {"colour_threshold": _fit_threshold} if len(spec.target.classes) == 2 else {}
    quick = {"most_frequent": _fit_most_frequent, **threshold, "nearest_colour": _fit_nearest_colour}
    chosen = {"none": {}, "quick": quick, "all": {**quick, "boosting": _fit_boosting}}[level]
    return [
        Baseline(name, partial(_run_baseline, fit), is_dummy=name == "most_frequent") for name, fit in chosen.items()
    ]


def _run_baseline(
    fit: Callable[[Dataset, int], Segment], dataset: Dataset, seed: int
) -> Mapping[str, Mapping[str, float]]:
    segment, classes = fit(dataset, seed), len(dataset.spec.target.classes)
    return {
        name: score_confusions(_count_split(segment, split, dataset.spec, classes), dataset, name)[0]
        for name, split in dataset.splits.items()
    }


def _count_split(segment: Segment, split: Any, spec: Spec, classes: int) -> np.ndarray:
    images = get_images(split, spec)
    return np.array(
        [
            count_confusion(get_mask(split, row, images.sizes[row]), segment(images.example(row)), classes)
            for row in range(len(images))
        ]
    )


def _fit_most_frequent(dataset: Dataset, seed: int) -> Segment:
    chosen = int(np.argmax(dataset.spec.target.counts))
    return lambda image: np.full(image.shape[:2], chosen)


def _fit_threshold(dataset: Dataset, seed: int) -> Segment:
    """Return the threshold of each image's grey values; which class is above it is what fits the training split."""

    def segment(image: np.ndarray, above: int) -> np.ndarray:
        grey = image.mean(axis=-1)
        return np.where(grey > find_threshold(grey), above, 1 - above)

    def score(above: int) -> float:
        train = dataset.splits["train"]
        confusions = _count_split(partial(segment, above=above), train, dataset.spec, 2)
        return score_confusions(confusions, dataset, "train")[0][METRICS[0].name]

    return partial(segment, above=max((1, 0), key=score))


def find_threshold(values: np.ndarray) -> float:
    """Return the threshold with the least variance on both sides (Otsu 1979), in a histogram of 256 bins.

    Example:
        >>> 1.0 < find_threshold(np.array([0.0, 1.0, 8.0, 9.0])) < 8.0
        True
    """
    counts, edges = np.histogram(values, BINS)
    middles = (edges[:-1] + edges[1:]) / 2
    below, total = np.cumsum(counts)[:-1], np.cumsum(counts * middles)
    above = counts.sum() - below
    sums = total[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (total[-1] - sums) / above) ** 2
    return float(edges[1 + int(np.argmax(np.nan_to_num(between)))])


def _fit_nearest_colour(dataset: Dataset, seed: int) -> Segment:
    from sklearn.neighbors import NearestCentroid

    colours, classes = _sample_pixels(dataset, seed, lambda image: image)
    return _as_segment(NearestCentroid().fit(colours, classes), lambda image: image)


def _fit_boosting(dataset: Dataset, seed: int) -> Segment:
    from sklearn.ensemble import HistGradientBoostingClassifier

    features, classes = _sample_pixels(dataset, seed, describe_surroundings)
    return _as_segment(HistGradientBoostingClassifier(random_state=seed).fit(features, classes), describe_surroundings)


def describe_surroundings(image: np.ndarray) -> np.ndarray:
    """Return each pixel's colours, those blurred, and the strength of edges at each blur (H, W, F).

    Example:
        >>> describe_surroundings(np.zeros((8, 8, 3))).shape
        (8, 8, 15)
    """
    from scipy import ndimage

    image = image.astype(np.float32)
    grey, parts = image.mean(axis=-1), [image]
    for sigma in BLURS:
        parts.append(ndimage.gaussian_filter(image, (sigma, sigma, 0)))
        parts.append(ndimage.gaussian_gradient_magnitude(grey, sigma)[..., None])
    return np.concatenate(parts, axis=-1)


def _as_segment(estimator: Any, describe: Callable[[np.ndarray], np.ndarray]) -> Segment:
    def segment(image: np.ndarray) -> np.ndarray:
        features = describe(image)
        return np.asarray(estimator.predict(features.reshape(-1, features.shape[-1]))).reshape(image.shape[:2])

    return segment


def _sample_pixels(
    dataset: Dataset, seed: int, describe: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the features (P, F) and classes (P,) of random training pixels that have a class."""
    train = dataset.splits["train"]
    images, generator = get_images(train, dataset.spec), np.random.default_rng(seed)
    fraction = min(1.0, FITTED_PIXELS / images.lengths.sum())
    features, classes = [], []
    for row in range(len(images)):
        mask = get_mask(train, row, images.sizes[row])
        chosen = (generator.random(mask.shape) < fraction) & (mask != VOID)
        features.append(describe(images.example(row))[chosen])
        classes.append(mask[chosen])
    return np.concatenate(features).astype(np.float32), np.concatenate(classes)
