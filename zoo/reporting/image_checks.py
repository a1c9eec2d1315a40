"""Checks of pictures: which held-out ones hardly differ from a training one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset, Part
from zoo.data.examples.array_columns import IMAGE
from zoo.data.ragged import Ragged
from zoo.data.sources.image_files import small_grey
from zoo.reporting.check_inputs import NOTE, OK, WARNING, Finding, share

HELD = ("validation", "test")
MOST_TRAIN, MOST_HELD = 20_000, 4_000
SIDE = 16  # pictures are compared at this size, in grey
ALIKE = 0.999  # correlation of two that are taken for one picture, resized or saved anew
LEAST_CONTRAST = 1.0  # standard deviation in grey levels of 255; plain ones are all alike


def near_duplicates(dataset: Dataset) -> Iterator[Finding]:
    """Tell how many validation and test pictures are a training one, or hardly differ from it.

    They are compared at 16 times 16 pixels in grey by correlation, so that another brightness, contrast or
    compression makes no difference.
    """
    key = next(known.key for known in dataset.spec.inputs if known.kind == IMAGE)
    train = dataset.parts.get("train")
    if train is None:
        return
    small, _ = _small(train, key, MOST_TRAIN)
    compared, found = 0, False
    few = f", of {MOST_TRAIN:,} that were compared" if len(train) > MOST_TRAIN else ""
    for name in HELD:
        if name not in dataset.parts:
            continue
        part = dataset.parts[name]
        held, rows = _small(part, key, MOST_HELD)
        if not len(small) or not len(held):
            continue
        compared += len(held)
        alike = np.concatenate([(some @ small.T).max(axis=1) for some in np.array_split(held, len(held) // 100 + 1)])
        twins = rows[alike > ALIKE]
        portion = len(twins) / len(held)
        if portion < 0.005:
            continue
        found = True
        shown = ", ".join(str(int(row) + 1) for row in part.rows[twins[:5]])
        of = f"of {len(held):,} " if len(held) < len(part) else "of the "
        text = f"{share(portion)} {of}{name} pictures are a training picture, or hardly differ from one{few}"
        advice = "the score tells of what was learnt by heart; leave one of each pair out"
        yield Finding(
            "near-duplicates", WARNING if portion > 0.05 else NOTE, text, advice, (f"such as pictures {shown}",)
        )
    if compared and not found:
        sampled = compared < sum(len(dataset.parts[name]) for name in HELD if name in dataset.parts)
        which = f"none of {compared:,} held-out pictures" if sampled else "no held-out picture"
        yield Finding("near-duplicates", OK, f"{which} is a training one, or nearly so{few}")


def _small(part: Part, key: str, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of a part, small, grey and to one scale (N, SIDE * SIDE), and their positions; plain ones left out."""
    values: Any = part.inputs[key]
    rows = np.arange(len(part))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
    pictures = values.example if isinstance(values, Ragged) else values.__getitem__
    made = np.stack([small_grey(np.asarray(pictures(row)), SIDE).ravel() for row in rows.tolist()])
    made -= made.mean(axis=1, keepdims=True)
    length = np.linalg.norm(made, axis=1)
    told_apart = length > LEAST_CONTRAST / 255 * SIDE
    return made[told_apart] / length[told_apart, None], rows[told_apart]
