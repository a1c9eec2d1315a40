"""Targets that cannot be predicted as they are: arrays of labels, masks, files; errors say what can be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.label_cells import has_lists
from zoo.data.raw_table import Table
from zoo.data.sources.image_files import IMAGE_FILES
from zoo.errors import DataError, WrongSourceError
from zoo.registry import find_tasks_reading

LABELS_NEEDED = (
    "a cell with several values is no class; several labels are predicted if each has a column of yes and no (repeat "
    "--target), or a cell lists their names (--column TARGET=labels)"
)
_MASK_FOLDERS = ("mask", "annotations", "labels", "segment", "targets")  # how their names begin


def check_targets(table: Table, names: Sequence[str], kind: str) -> None:
    """Refuse targets whose cells have several values, unless they are names of labels.

    Args:
        table: A table.
        names: Its targets.
        kind: ``class``, ``number``, or ``either``, which depends on the column.

    Raises:
        DataError: If cells of a target are lists of numbers, masks or files.
    """
    for name in names:
        values = table.frame[name].dropna()
        where = f"{table.source}, column {name}"
        if not len(values) or pd.api.types.is_numeric_dtype(values.dtype):
            continue
        if kind != "number" and has_lists(values):
            continue
        several = values[[isinstance(cell, (list, tuple, set, frozenset, dict, np.ndarray)) for cell in values]]
        if len(several) and (hint := describe_cells(several.iloc[0], kind)):
            raise DataError(hint, where=where)
        if kind != "number" and _are_image_files(values):
            raise DataError(describe_masks(), where=where)


def describe_cells(cell: Any, kind: str) -> str | None:
    """Return why a cell with several values is no target; None if it may be one, such as an array of numbers.

    Example:
        >>> describe_cells(np.zeros((4, 4)), "class").split(" is ")[0]
        'a mask or image as the target'
    """
    is_array = isinstance(cell, np.ndarray)
    if kind != "class" and is_array:
        return None  # a model of the user's own may predict it
    if kind == "number" and not isinstance(cell, (set, frozenset, dict)):
        return "several numbers in a cell; give each a column of its own, and use --target for each"
    return describe_shape(np.shape(cell) if is_array else (len(cell),))


def describe_shape(shape: tuple[int, ...]) -> str:
    """Return why targets with several values of this shape for each row are not supported."""
    return describe_masks() if len(shape) > 1 else LABELS_NEEDED


def describe_masks() -> str:
    """Return why masks are no target of this task, and which tasks predict them.

    Example:
        >>> describe_masks()
        'a mask or image as the target is not supported by this task; tasks that predict masks: segmentation'
    """
    tasks = ", ".join(find_tasks_reading("masks")) or "none"
    return f"a mask or image as the target is not supported by this task; tasks that predict masks: {tasks}"


def check_mask_folders(folders: Sequence[str], files: Sequence[str], where: str) -> None:
    """Refuse a folder of images and one of their masks, which are no classes.

    Args:
        folders: Names of the class folders.
        files: Files below them, as ``folder/name.png``.
        where: The source.

    Raises:
        WrongSourceError: If the folders are ``images`` and ``masks``, or one of two is called after masks, and its
            files are called as those of the other.
    """
    if len(folders) != 2 or not any(folder.lower().startswith(_MASK_FOLDERS) for folder in folders):
        return
    first, second = ({Path(file).stem for file in files if Path(file).parts[0] == folder} for folder in folders)
    if (first and first == second) or {folder.lower() for folder in folders} == {"images", "masks"}:
        message = f"{describe_masks()}; the folders {' and '.join(folders)} would be its classes"
        raise WrongSourceError(message, where=where)


def _are_image_files(values: pd.Series) -> bool:
    return all(isinstance(cell, str) and cell.lower().endswith(IMAGE_FILES) for cell in values)
