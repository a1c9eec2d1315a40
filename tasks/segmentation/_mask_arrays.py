"""Images and masks in arrays: ``.npz`` files, and columns with an array in each cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.examples.array_columns import IMAGE, MASK, convert_to_cells
from zoo.data.sources.npz import load_arrays
from zoo.errors import DataError

from ._mask_files import check_mask

_ARRAY_SPLITS = {"train": "train", "val": "validation", "test": "test"}


def read_arrays(path: Path, *, masks: bool) -> tuple[pd.DataFrame, np.ndarray | None]:
    """Return the frame of an ``.npz`` file, and the split of each row, if the file has several.

    Args:
        path: A file with images ``x`` (n, h, w, c) and masks ``y`` (n, h, w), or ``x_train``, ``y_train``, …; images of
            several sizes lie end to end, as pixels (p, c) and (p,), with heights and widths in ``size`` (n, 2).
        masks: Whether masks are read.

    Raises:
        DataError: If an array is missing, or does not fit the others.
    """
    arrays, frames, splits = load_arrays(path), [], []
    for suffix, split in _ARRAY_SPLITS.items():
        if f"x_{suffix}" not in arrays:
            continue
        names = [f"x_{suffix}", *([f"y_{suffix}"] if masks else [])]
        absent = [name for name in names if name not in arrays]
        if absent:
            message = f"has no array {absent[0]} of masks (n, height, width), one value for each pixel"
            raise DataError(f"{message}; it has {', '.join(arrays)}", where=str(path))
        sizes = arrays.get(f"size_{suffix}", arrays.get("size") if suffix == "train" else None)
        cells = [_take_apart(arrays[name], sizes, f"{path}, array {name}") for name in names]
        if masks and len(cells[0]) != len(cells[1]):
            message = f"{names[0]} has {len(cells[0])} images, and {names[1]} {len(cells[1])} masks"
            raise DataError(f"{message}; expected a mask for each image", where=str(path))
        frame = pd.DataFrame({IMAGE: convert_to_cells(cells[0])})
        if masks:
            frame[MASK] = check_pairs(frame[IMAGE], convert_to_cells(cells[1]), f"{path}, {names[1]}").to_numpy()
        frames.append(frame)
        splits += [split] * len(frame)
    return pd.concat(frames, ignore_index=True), np.array(splits) if len(frames) > 1 else None


def _take_apart(values: np.ndarray, sizes: np.ndarray | None, where: str) -> Any:
    """Return the examples of an array: along its first axis, or of pixels that lie end to end, by their sizes."""
    if sizes is None:
        if values.ndim < 3:
            message = f"has the shape {values.shape}; expected images (n, height, width, channels) and masks (n, height"
            raise DataError(f"{message}, width); pixels that lie end to end need an array size (n, 2)", where=where)
        return values
    sizes = np.asarray(sizes)
    right = sizes.ndim == 2 and sizes.shape[1] == 2 and sizes.dtype.kind in "iu"
    if not right or (sizes < 1).any() or sizes.prod(axis=1).sum() != len(values):
        message = f"has {len(values)} pixels, which the array size (n, 2) of heights and widths does not give"
        raise DataError(message, where=where)
    ends = np.cumsum(sizes.prod(axis=1))[:-1]
    parts = np.split(values, ends)
    return [part.reshape(*size, *values.shape[1:]) for part, size in zip(parts, sizes, strict=True)]


def check_pairs(images: pd.Series, masks: pd.Series, where: str) -> pd.Series:
    """Return masks as bytes.

    Raises:
        DataError: If a mask cannot be used, or has another size than its image.
    """
    checked = []
    for row, (image, mask) in enumerate(zip(images, masks, strict=True), 1):
        place = f"{where}, row {row}"
        checked.append(check_mask(np.asarray(mask), place))
        check_size(np.asarray(image), checked[-1], place)
    return convert_to_cells(checked)


def check_size(image: np.ndarray, mask: np.ndarray, where: str) -> None:
    """Raise DataError if a mask has another size than its image."""
    if image.shape[:2] != mask.shape:
        height, width = mask.shape
        sizes = f"the mask has {height} x {width} pixels, but its image {image.shape[0]} x {image.shape[1]}"
        raise DataError(f"{sizes} (height x width); they must have the same size", where=where)
