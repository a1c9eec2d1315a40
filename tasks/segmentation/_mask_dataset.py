"""The dataset of images with masks: classes by the values of the masks, and the encoded masks of each split."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.data.examples.array_columns import MASK
from zoo.data.ragged import Ragged
from zoo.data.sources.read import Table
from zoo.data.table_dataset import create_table_dataset
from zoo.errors import DataError, UsageError
from zoo.jobs.data_options import DataJob
from zoo.spec import ImageInput, Spec, Target

from ._mask_reading import MaskLayout

VOID = 255  # code of pixels without a class
MOST_CLASSES = 64
MOST_CROP = 128  # side of a crop by default
MOST_CROPS = 2000  # in an epoch


def read_dataset(job: DataJob, task: str, options: Any) -> Dataset:
    """Return the job's dataset, whose targets are masks (N, H, W) of class indices, padded with ``VOID``.

    Raises:
        DataError: If the data cannot be used.
        UsageError: If the job has a target column.
    """
    for name in ("target", "positive"):
        if getattr(job, name):
            raise UsageError("the target of segmentation is the mask of each image", where=name)
    layout = MaskLayout()
    dataset = create_table_dataset(
        job, task=task, target_kind="none", layout=layout.layout(), options=options.model_dump(exclude_none=True)
    )
    values, names = _choose_classes(layout, options.ignore)
    encoder = np.full(256, VOID, np.uint8)
    encoder[values] = np.arange(len(values))
    splits = {}
    for name, split in dataset.splits.items():
        table = layout.tables[1 if name == "test" and dataset.has_test_source else 0]
        target = _pad([encoder[mask] for mask in table.frame[MASK].iloc[split.rows]])
        files = None if table.files is None else table.files[split.rows].astype(str)
        splits[name] = dataclasses.replace(split, target=target, files=files)
    train = splits["train"].encoded_target
    counts = np.bincount(train[train != VOID].ravel(), minlength=len(values))
    if not counts.any():
        raise DataError("no pixel of the training masks has a class", where=dataset.source)
    if np.count_nonzero(counts) == 1:
        message = f"all pixels of the training masks are of the class {names[int(counts.argmax())]}"
        raise DataError(f"{message}; a model needs two classes", where=dataset.source)
    target_ = Target(MASK, MASK, classes=names, dtype="int", counts=tuple(counts.tolist()))
    spec = _complete(dataset.spec, target_, values, get_images(splits["train"], dataset.spec).sizes)
    notes = [f"{len(values)} classes of pixels: {_describe_fractions(names, counts)}"]
    if options.ignore is None and len(values) > 2 and values[-1] == VOID:
        notes.append(f"the value {VOID} of masks is a class; if it means that there is none, use --ignore {VOID}")
    return dataclasses.replace(dataset, spec=spec, splits=splits, notes=(*dataset.notes, *notes))


def get_images(split: Any, spec: Spec) -> Ragged:
    """Return the images of a split."""
    images = split.inputs[spec.only(ImageInput).key]
    assert isinstance(images, Ragged)
    return images


def get_mask(split: Any, row: int, size: Sequence[int]) -> np.ndarray:
    """Return the mask (H, W) of an image of a split, without padding."""
    return np.asarray(split.target[row, : size[0], : size[1]])


def count_crops(sizes: np.ndarray, side: int) -> np.ndarray:
    """Return how many crops of a side cover each image of sizes (N, 2) about once (N,).

    Example:
        >>> count_crops(np.array([[20, 40], [5, 5]]), 10).tolist()
        [8, 1]
    """
    return np.maximum(1, np.round(sizes.prod(axis=1) / side**2).astype(int))


def _complete(spec: Spec, target: Target, values: Sequence[int], sizes: np.ndarray) -> Spec:
    options = {**spec.options, "values": [int(value) for value in values]}
    options.setdefault("crop", min(MOST_CROP, int(sizes.max())))
    options["crops"] = min(MOST_CROPS, int(count_crops(sizes, options["crop"]).sum()))
    return dataclasses.replace(spec, targets=(target,), options=options)


def _pad(masks: Sequence[np.ndarray]) -> np.ndarray:
    """Return masks as one array (N, H, W), padded with ``VOID`` to the largest."""
    size = np.max([mask.shape for mask in masks], axis=0)
    padded = np.full((len(masks), *size), VOID, np.uint8)
    for row, mask in enumerate(masks):
        padded[row, : mask.shape[0], : mask.shape[1]] = mask
    return padded


def _choose_classes(layout: MaskLayout, ignore: int | None) -> tuple[list[int], tuple[str, ...]]:
    """Return the values of the masks that are classes, in order, and the names of the classes.

    Raises:
        DataError: If masks have a value without a class, or there are too few or too many.
    """
    first, names = layout.tables[0], layout.names
    values = [value for value in _list_values(first) if value != ignore]
    if names and values and values[-1] < len(names):
        values = [value for value in range(len(names)) if value != ignore]
        names = tuple(names[value] for value in values)
    elif names and len(names) != len(values):
        text = f"the values are {', '.join(map(str, values[:20]))}"
        wrong = next((value for value in values if value >= len(names)), values[-1])
        message = f"{len(names)} classes have a name, the first for the value 0, but a mask has the value {wrong}"
        raise DataError(f"{message}; {text}", where=_find_mask(first, wrong))
    if len(values) < 2:
        raise DataError(f"all masks have the value {values[0] if values else ignore}; a model needs two classes",
                        where=first.source)  # fmt: skip
    if len(values) > MOST_CLASSES:
        message = f"the masks have {len(values)} different values, as photographs have; expected one for each class"
        raise DataError(f"{message}, at most {MOST_CLASSES}, saved as grey or indexed PNG", where=first.source)
    for table in layout.tables[1:]:
        unknown = [value for value in _list_values(table) if value != ignore and value not in values]
        if unknown:
            message = f"the mask has the value {unknown[0]}, which no mask of the training source has; they have"
            raise DataError(f"{message} {', '.join(map(str, values[:20]))}", where=_find_mask(table, unknown[0]))
    return values, names or tuple(map(str, values))


def _list_values(table: Table) -> list[int]:
    counts = sum(np.bincount(mask.ravel(), minlength=256) for mask in table.frame[MASK])
    return np.flatnonzero(counts).tolist()


def _find_mask(table: Table, value: int) -> str:
    """Return where a mask with a value is."""
    row = next(row for row, mask in enumerate(table.frame[MASK]) if (mask == value).any())
    place = f"row {row + 1}" if table.files is None else f"mask of {table.files[row]}"
    return f"{table.source}, {place}"


def _describe_fractions(names: Sequence[str], counts: np.ndarray) -> str:
    shares = counts / counts.sum()
    order = np.argsort(-counts, kind="stable")[:8]
    return ", ".join(f"{names[index]} {100 * shares[index]:.3g} %" for index in order)
