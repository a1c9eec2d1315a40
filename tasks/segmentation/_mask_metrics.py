"""Metrics of masks, all computed from the confusion matrix of each image, without pixels that have no class."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from zoo.data.dataset import Dataset
from zoo.metrics.metric import Metric, evaluate
from zoo.metrics.weighting import mean_of_defined, ratio

from ._mask_dataset import VOID


def count_confusion(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Return the number of pixels (K, K) by true class, in rows, and predicted class.

    Args:
        truth: Class of each pixel, ``VOID`` where there is none, of any shape.
        prediction: Predicted class of each pixel, of the same shape.
        classes: Number K of classes.

    Example:
        >>> count_confusion(np.array([[0, 1, 255]]), np.array([[0, 0, 1]]), 2).tolist()
        [[1, 0], [1, 0]]
    """
    valid = truth != VOID
    pairs = truth[valid].astype(np.int64) * classes + prediction[valid]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def compute_iou(confusion: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each class (…, K), NaN for one that is neither true nor predicted.

    This is the measure of PASCAL VOC (Everingham et al. 2010): pixels of all images are counted together.

    Example:
        >>> compute_iou(np.array([[3, 1], [0, 4]])).tolist()
        [0.75, 0.8]
    """
    right = np.diagonal(confusion, axis1=-2, axis2=-1).astype(float)
    return ratio(right, confusion.sum(axis=-1) + confusion.sum(axis=-2) - right)


def compute_dice(confusion: np.ndarray) -> np.ndarray:
    """Return the Dice coefficient of each class (…, K): 2 |A and B| / (|A| + |B|) (Dice 1945).

    Example:
        >>> compute_dice(np.array([[3, 1], [0, 4]])).round(3).tolist()
        [0.857, 0.889]
    """
    right = np.diagonal(confusion, axis1=-2, axis2=-1).astype(float)
    return ratio(2 * right, confusion.sum(axis=-1) + confusion.sum(axis=-2))


def _compute_accuracy(confusion: np.ndarray) -> np.ndarray:
    return ratio(np.trace(confusion, axis1=-2, axis2=-1).astype(float), confusion.sum(axis=(-2, -1)))


def _create_metric(name: str, function: Callable[[np.ndarray], np.ndarray]) -> Metric:
    def score(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the metric (R,) of confusion matrices (N, K K) of images under weights (R, N)."""
        classes = round(prediction.shape[1] ** 0.5)
        return function((weights @ prediction).reshape(-1, classes, classes))

    return Metric(name, "max", score, perfect=1.0, limits=(0.0, 1.0))


METRICS = (
    _create_metric("iou_mean", lambda confusion: mean_of_defined(compute_iou(confusion))),
    _create_metric("dice", lambda confusion: mean_of_defined(compute_dice(confusion))),
    _create_metric("pixel_accuracy", _compute_accuracy),
)


def score_confusions(
    confusions: np.ndarray, dataset: Dataset, split: str, *, resamples: int = 0
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return the metrics of a split, and their intervals, for which whole images are drawn.

    Args:
        confusions: Confusion matrix of each image (N, K, K).
        dataset: The data.
        split: Name of the split.
        resamples: Number of draws; 0 for no intervals.
    """
    flat = confusions.reshape(len(confusions), -1).astype(float)
    group = dataset.splits[split].group
    return evaluate(METRICS, np.zeros(len(flat)), flat, group=group, resamples=resamples)


def create_class_table(confusions: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Return a row for each class: its pixels, intersection over union, Dice coefficient, precision and recall.

    Example:
        >>> table = create_class_table(np.array([[[3, 1], [0, 4]]]), ["sky", "tree"])
        >>> table[["class", "iou", "recall"]].to_numpy().tolist()
        [['sky', 0.75, 0.75], ['tree', 0.8, 1.0]]
    """
    total = confusions.sum(axis=0)
    right = np.diagonal(total).astype(float)
    return pd.DataFrame(
        {
            "class": list(names),
            "pixels": total.sum(axis=1),
            "iou": compute_iou(total),
            "dice": compute_dice(total),
            "precision": ratio(right, total.sum(axis=0)),
            "recall": ratio(right, total.sum(axis=1)),
        }
    )
