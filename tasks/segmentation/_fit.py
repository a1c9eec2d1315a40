"""Training of a segmentation network on crops, new ones in each epoch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from zoo.data.dataset import Dataset
from zoo.data.ragged import Ragged
from zoo.models.built_model import BuiltModel
from zoo.training.fit_loop import fit
from zoo.training.preprocessed_arrays import Arrays
from zoo.training.streamed_arrays import StreamedArrays
from zoo.training.training_state import FitPlan, FitResult, Monitor

from ._mask_dataset import MOST_CROPS, VOID, count_crops, get_images, get_mask
from ._mask_metrics import METRICS, count_confusion

INPUT = "images"
BUFFER_PIXELS = 1 << 23  # cut and shuffled together
MOST_MONITORED = 1 << 21  # pixels of the validation split that early stopping looks at


def fit_network(built_model: BuiltModel, dataset: Dataset, plan: FitPlan) -> FitResult:
    """Train the network on random crops; early stopping monitors ``val_iou_mean``.

    Args:
        built_model: Model of images that keep their sizes.
        dataset: The data.
        plan: How to train.
    """
    side, spec = dataset.spec.options["crop"], dataset.spec
    train = dataset.splits["train"]
    masks = [get_mask(train, row, size) for row, size in enumerate(get_images(train, spec).sizes)]
    crops = Crops(get_images(train, spec), masks, side, plan.seed)
    validation = None
    if "validation" in dataset.splits:
        split = dataset.splits["validation"]
        images = get_images(split, spec)
        masks = [get_mask(split, row, size) for row, size in enumerate(images.sizes)]
        validation = cut_tiles(images, masks, side, most=max(1, MOST_MONITORED // side**2))
        plan = dataclasses.replace(plan, monitor=_create_monitor(validation, len(spec.target.classes)))
    return fit(built_model.network, crops, validation, plan)


class Crops(StreamedArrays):
    """Random square crops of images and masks, drawn anew in each epoch, as many as cover the images about once.

    Images that are smaller are padded by repeating their border, and their masks with ``VOID``.

    Args:
        images: The images.
        masks: Mask of each image (H, W).
        side: Side of a crop.
        seed: Seed of the crops.
    """

    def __init__(self, images: Ragged, masks: list[np.ndarray], side: int, seed: int) -> None:
        self.images, self.masks, self.side, self.seed = images, masks, side, seed
        self.ragged = {}
        self.rows = np.repeat(np.arange(len(images)), count_crops(images.sizes, side))

    def __len__(self) -> int:
        return min(len(self.rows), MOST_CROPS)

    def buffers(self, epoch: int, batch: int) -> Iterator[Arrays]:
        """Yield all crops of an epoch, several full batches at a time."""
        generator = np.random.default_rng([self.seed, epoch])
        rows = generator.permutation(self.rows)[: len(self)]
        starts = generator.random((len(rows), 2))
        most = max(1, BUFFER_PIXELS // self.side**2 // batch) * batch
        for first in range(0, len(rows), most):
            chosen = slice(first, first + most)
            yield _cut(self.images, self.masks, self.side, rows[chosen], starts[chosen])


def cut_tiles(images: Ragged, masks: list[np.ndarray], side: int, *, most: int) -> Arrays:
    """Return tiles that cover images without overlap, of large data an even sample.

    Args:
        images: The images.
        masks: Their masks.
        side: Side of a tile.
        most: Maximum number of tiles.
    """
    places = [
        (row, top, left)
        for row, (height, width) in enumerate(images.sizes.tolist())
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]
    if len(places) > most:
        places = [places[index] for index in np.linspace(0, len(places) - 1, most).astype(int)]
    parts = [_cut_one(images.example(row), masks[row], side, top, left) for row, top, left in places]
    return _stack(parts)


def _cut(images: Ragged, masks: list[np.ndarray], side: int, rows: np.ndarray, starts: np.ndarray) -> Arrays:
    parts = []
    for row, start in zip(rows, starts, strict=True):
        spare = np.maximum(images.sizes[row] - side, 0)
        top, left = np.floor(start * (spare + 1)).astype(int)
        parts.append(_cut_one(images.example(row), masks[row], side, top, left))
    return _stack(parts)


def _cut_one(image: np.ndarray, mask: np.ndarray, side: int, top: int, left: int) -> tuple[np.ndarray, np.ndarray]:
    image, mask = (values[top : top + side, left : left + side] for values in (image, mask))
    below, right = side - mask.shape[0], side - mask.shape[1]
    if below or right:
        image = np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")
        mask = np.pad(mask, ((0, below), (0, right)), constant_values=VOID)
    return image, mask


def _stack(parts: list[tuple[np.ndarray, np.ndarray]]) -> Arrays:
    x = {INPUT: np.stack([image for image, _ in parts])}
    return Arrays(x, np.stack([mask for _, mask in parts]).astype(np.int32))


def _create_monitor(validation: Arrays, classes: int) -> Monitor:
    truth = np.asarray(validation.y)

    def score(output: np.ndarray) -> float:
        confusion = count_confusion(truth, output.argmax(axis=-1), classes).reshape(1, -1).astype(float)
        return float(METRICS[0].function(np.zeros(1), confusion, np.ones((1, 1)))[0])

    return Monitor(f"val_{METRICS[0].name}", METRICS[0].direction, score)
