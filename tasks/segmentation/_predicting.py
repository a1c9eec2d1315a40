"""Masks of images of any size: probabilities, classes, files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.ragged import Ragged
from zoo.errors import UsageError
from zoo.metrics.metric import Metric
from zoo.saving.files import write_atomically
from zoo.spec import ImageInput, Spec
from zoo.task import OutputRules
from zoo.training.preprocessed_arrays import forward, iterate_batches

from ._mask_files import write_mask
from ._mask_metrics import METRICS

MOST_PIXELS = 1 << 22  # of an image that is predicted at once
TILE, MARGIN = 1024, 128
CALL_PIXELS = 1 << 19  # in one call of a network, whose features need some hundred times the memory
IMAGE_KEY, PREDICTION, SIZE = "image", "prediction", "size"


class MaskRules(OutputRules):
    """Predictions are ``prediction``, a mask with the values of the training masks, and ``fraction_<class>``."""

    def metrics(self) -> Sequence[Metric]:
        """Return the mean intersection over union, which comes first, the mean Dice coefficient and the accuracy."""
        return METRICS

    def decoding(self) -> Mapping[str, Any]:
        """Return how masks are decoded from the probabilities of pixels."""
        return {
            "kind": "mask",
            "of": "output",
            "values": self.spec.options["values"],
            "classes": list(self.spec.target.classes),
        }


def predict_probabilities(model: Any, images: Ragged) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the row of each image and the probabilities of its pixels (H, W, K).

    Args:
        model: The full model, or what has a method ``outputs_of``.
        images: Images, whose sizes may differ.
    """
    large = np.flatnonzero(images.lengths > MOST_PIXELS)
    yield from ((int(row), predict_in_tiles(model, images.example(int(row)))) for row in large)
    rows = np.flatnonzero(images.lengths <= MOST_PIXELS)
    images_ = images[rows] if len(large) else images
    most = max(1, CALL_PIXELS // int(images_.lengths.max(initial=1)))
    for chosen, _ in iterate_batches({IMAGE_KEY: images_}, most) if len(rows) else ():
        batch = rows[chosen]
        yield from zip(batch.tolist(), np.asarray(forward(model, {IMAGE_KEY: images[batch]})), strict=True)


def predict_in_tiles(model: Any, image: np.ndarray, side: int = TILE, margin: int = MARGIN) -> np.ndarray:
    """Return the probabilities of an image's pixels (H, W, K), computed tile by tile to save memory.

    Args:
        model: The full model.
        image: (H, W, C).
        side: Side of a tile, a multiple of the network's stride.
        margin: Pixels around a tile that the network sees too, also a multiple; where it sees no further, the
            probabilities are the same as of the whole image.
    """
    height, width = image.shape[:2]
    whole: np.ndarray | None = None
    for top in range(0, height, side):
        for left in range(0, width, side):
            first = max(0, top - margin), max(0, left - margin)
            window = image[first[0] : top + side + margin, first[1] : left + side + margin]
            values = np.asarray(forward(model, {IMAGE_KEY: Ragged.of([window], axes=2)}))[0]
            whole = np.empty((height, width, values.shape[-1]), values.dtype) if whole is None else whole
            inner = values[top - first[0] :, left - first[1] :][:side, :side]
            whole[top : top + side, left : left + side] = inner
    assert whole is not None
    return whole


def predict_classes(model: Any, images: Ragged) -> list[np.ndarray]:
    """Return the most probable class of each pixel (H, W) of each image."""
    classes: list[Any] = [None] * len(images)
    for row, probabilities in predict_probabilities(model, images):
        classes[row] = probabilities.argmax(axis=-1).astype(np.uint8)
    return classes


def get_raw_images(inputs: Mapping[str, Any], spec: Spec) -> Ragged:
    """Return the images among the inputs of a model."""
    images = inputs[spec.only(ImageInput).key]
    assert isinstance(images, Ragged)
    return images


def write_predictions(frame: pd.DataFrame, path: Path) -> None:
    """Write predicted masks: an ``.npz`` file, or a folder with a PNG file for each image.

    In an ``.npz`` file, masks of one size are ``y`` (n, height, width); of several sizes they lie end to end, with
    heights and widths in ``size`` (n, 2), which training reads.

    Args:
        frame: Predictions, with ``file`` where images are files.
        path: The file, or the folder, which is created.

    Raises:
        UsageError: If the path is a file of another kind.
    """
    masks = frame[PREDICTION].tolist()
    if path.suffix == ".npz":
        masks_ = Ragged.of(masks, axes=2)
        together = {"y": masks_.padded()} if masks_.uniform else {"y": masks_.values, SIZE: masks_.sizes}
        with write_atomically(path) as writing, writing.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **together)
        return
    if path.suffix and not path.is_dir():
        raise UsageError("masks are written to a folder, or to a file that ends in .npz", where=str(path))
    width = len(str(len(frame)))
    files = frame["file"] if "file" in frame else [f"{row:0{width}}" for row in range(1, len(frame) + 1)]
    for name, mask in zip(files, masks, strict=True):
        target = path / Path(str(name)).with_suffix(".png")
        target.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(target) as writing:
            write_mask(mask, writing)
