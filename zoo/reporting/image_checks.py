"""Checks of images: which held-out ones hardly differ from a training one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset, Split
from zoo.data.examples.array_columns import IMAGE
from zoo.data.ragged import Ragged
from zoo.data.sources.image_files import small_grey
from zoo.reporting.check_inputs import NOTE, OK, WARNING, Finding, share

HELD = ("validation", "test")
MOST_TRAIN, MOST_HELD = 20_000, 4_000
SIDE = 16  # images are compared at this size, in grey
ALIKE = 0.999  # correlation of two that are taken for one image, resized or saved anew
LEAST_CONTRAST = 1.0  # standard deviation in grey levels of 255; plain ones are all alike


def near_duplicates(dataset: Dataset) -> Iterator[Finding]:
    """Tell how many validation and test images are a training one, or hardly differ from it.

    They are compared at 16 times 16 pixels in grey by correlation, so that another brightness, contrast or
    compression makes no difference.
    """
    key = next(known.key for known in dataset.spec.inputs if known.kind == IMAGE)
    train = dataset.splits.get("train")
    if train is None:
        return
    small, _ = _small(train, key, MOST_TRAIN)
    compared, found = 0, False
    few = f", of {MOST_TRAIN:,} that were compared" if len(train) > MOST_TRAIN else ""
    for name in HELD:
        if name not in dataset.splits:
            continue
        split = dataset.splits[name]
        held, rows = _small(split, key, MOST_HELD)
        if not len(small) or not len(held):
            continue
        compared += len(held)
        alike = np.concatenate([(some @ small.T).max(axis=1) for some in np.array_split(held, len(held) // 100 + 1)])
        twins = rows[alike > ALIKE]
        portion = len(twins) / len(held)
        if portion < 0.005:
            continue
        found = True
        shown = ", ".join(str(int(row) + 1) for row in split.rows[twins[:5]])
        of = f"of {len(held):,} " if len(held) < len(split) else "of the "
        text = f"{share(portion)} {of}{name} images are a training image, or hardly differ from one{few}"
        advice = "the score tells of what was learnt by heart; leave one of each pair out"
        yield Finding(
            "near-duplicates", WARNING if portion > 0.05 else NOTE, text, advice, (f"such as images {shown}",)
        )
    if compared and not found:
        sampled = compared < sum(len(dataset.splits[name]) for name in HELD if name in dataset.splits)
        which = f"none of {compared:,} held-out images" if sampled else "no held-out image"
        yield Finding("near-duplicates", OK, f"{which} is a training one, or nearly so{few}")


def _small(split: Split, key: str, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of a part, small, grey and to one scale (N, SIDE * SIDE), and their positions; plain ones left out."""
    values: Any = split.inputs[key]
    rows = np.arange(len(split))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
    images = values.example if isinstance(values, Ragged) else values.__getitem__
    made = np.stack([small_grey(np.asarray(images(row)), SIDE).ravel() for row in rows.tolist()])
    made -= made.mean(axis=1, keepdims=True)
    length = np.linalg.norm(made, axis=1)
    told_apart = length > LEAST_CONTRAST / 255 * SIDE
    return made[told_apart] / length[told_apart, None], rows[told_apart]
