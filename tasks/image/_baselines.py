"""Classical baselines of image models, on pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.data.dataset import Split
from zoo.data.ragged import Ragged
from zoo.spec import ImageInput, Spec
from zoo.supervised.classical_estimators import ClassicalBaseline, Estimator
from zoo.supervised.several_baselines import choose_several_baselines

# A support vector machine returns margins; Platt scaling (1999) converts them to probabilities.
SVM = Estimator(
    "sklearn.calibration:CalibratedClassifierCV",
    {"estimator": Estimator("sklearn.svm:SVC"), "ensemble": False, "cv": 3},
)


def choose_baselines(level: str, spec: Spec) -> Sequence[ClassicalBaseline]:
    """Return the baselines of a level: ``none``, ``quick`` or ``all``."""
    if len(spec.targets) > 1:
        return choose_several_baselines(level, spec, standardize_pixels)
    # scikit-learn's C scales the sum over rows; this keeps the regularization strength independent of their number.
    strength = {"C": min(1.0, 500 / max(spec.rows, 1)), "max_iter": 300, "tol": 1e-3}
    logistic = Estimator("sklearn.linear_model:LogisticRegression", strength)
    dummy = Estimator("sklearn.dummy:DummyClassifier", {"strategy": "prior"})
    quick = (
        ClassicalBaseline("majority", dummy, standardize_pixels, is_dummy=True),
        ClassicalBaseline("logistic", logistic, standardize_pixels, most_rows=100_000),
    )
    forest = Estimator("sklearn.ensemble:RandomForestClassifier")
    neighbours = Estimator("sklearn.neighbors:KNeighborsClassifier")
    slow = (
        ClassicalBaseline("svm", SVM, standardize_pixels, most_rows=10_000),
        ClassicalBaseline("nearest_neighbours", neighbours, standardize_pixels, most_rows=50_000),
        ClassicalBaseline("random_forest", forest, standardize_pixels, most_rows=100_000),
    )
    return {"none": (), "quick": quick, "all": quick + slow}[level]


def standardize_pixels(split: Split, spec: Spec) -> np.ndarray:
    """Return the standardized pixels of each image (N, H W C), resized to a common size."""
    image = spec.only(ImageInput)
    images = split.inputs[image.key]
    assert isinstance(images, Ragged)
    size = (image.height, image.width)
    if images.uniform and (images.sizes == size).all():
        values = images.padded()
    else:
        values = np.stack([_resized(images.example(row), size) for row in range(len(images))])
    std = np.where(np.array(image.std) > 0, image.std, 1)
    scaled = (values.astype(np.float32) - np.array(image.mean, np.float32)) / std.astype(np.float32)
    return scaled.reshape(len(scaled), -1)


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    channels = [
        Image.fromarray(np.asarray(image[..., index], np.float32)).resize(size[::-1], Image.Resampling.BILINEAR)
        for index in range(image.shape[-1])
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)
