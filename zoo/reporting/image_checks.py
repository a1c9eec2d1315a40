"""Checks of images: near-duplicates of training images in the validation and test splits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset, Split
from zoo.data.examples.array_columns import IMAGE
from zoo.data.ragged import Ragged
from zoo.data.sources.image_files import shrink_to_grey
from zoo.reporting.check_inputs import NOTE, OK, WARNING, Finding
from zoo.text import format_fraction

HELD = ("validation", "test")
MOST_TRAIN, MOST_HELD = 20_000, 4_000
SIDE = 16  # images are compared at this size, in grey
ALIKE = 0.999  # correlation above which two images count as the same, resized or recompressed
LEAST_CONTRAST = 1.0  # standard deviation in grey values of 255; plain images cannot be compared


def check_near_duplicates(dataset: Dataset) -> Iterator[Finding]:
    """Report how many validation and test images are near-duplicates of a training image.

    Images are compared by correlation at 16 × 16 grey pixels, so that brightness, contrast and compression do not
    matter.
    """
    key = next(input_.key for input_ in dataset.spec.inputs if input_.kind == IMAGE)
    train = dataset.splits.get("train")
    if train is None:
        return
    small, _ = _small(train, key, MOST_TRAIN)
    compared, has_finding = 0, False
    scope = f", among {MOST_TRAIN:,} compared training images" if len(train) > MOST_TRAIN else ""
    for name in HELD:
        if name not in dataset.splits:
            continue
        split = dataset.splits[name]
        heldout, rows = _small(split, key, MOST_HELD)
        if not len(small) or not len(heldout):
            continue
        compared += len(heldout)
        alike = np.concatenate(
            [(some @ small.T).max(axis=1) for some in np.array_split(heldout, len(heldout) // 100 + 1)]
        )
        twins = rows[alike > ALIKE]
        portion = len(twins) / len(heldout)
        if portion < 0.005:
            continue
        has_finding = True
        shown = ", ".join(str(int(row) + 1) for row in split.rows[twins[:5]])
        of = f"of {len(heldout):,} " if len(heldout) < len(split) else "of the "
        text = f"{format_fraction(portion)} {of}{name} images are near-duplicates of a training image{scope}"
        advice = "they inflate the score; remove one image of each pair"
        yield Finding(
            "near-duplicates", WARNING if portion > 0.05 else NOTE, text, advice, (f"such as images {shown}",)
        )
    if compared and not has_finding:
        sampled = compared < sum(len(dataset.splits[name]) for name in HELD if name in dataset.splits)
        which = f"none of {compared:,} held-out images" if sampled else "no held-out image"
        yield Finding("near-duplicates", OK, f"{which} is a near-duplicate of a training image{scope}")


def _small(split: Split, key: str, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a split's images as normalised grey vectors (N, SIDE * SIDE), and their positions; without plain ones."""
    values: Any = split.inputs[key]
    rows = np.arange(len(split))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
    images = values.example if isinstance(values, Ragged) else values.__getitem__
    pixels = np.stack([shrink_to_grey(np.asarray(images(row)), SIDE).ravel() for row in rows.tolist()])
    pixels -= pixels.mean(axis=1, keepdims=True)
    length = np.linalg.norm(pixels, axis=1)
    has_contrast = length > LEAST_CONTRAST / 255 * SIDE
    return pixels[has_contrast] / length[has_contrast, None], rows[has_contrast]
