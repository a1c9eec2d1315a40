"""Whole examples in the cells of a frame: an array a cell, as images and sequences come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from zoo.errors import DataError

IMAGE, SEQUENCE, TEXT = "image", "sequence", "text"


def cells_of(values: Sequence[Any] | np.ndarray) -> pd.Series:
    """Return N arrays, of one shape or of several, as a column with an array a cell.

    Example:
        >>> cells_of(np.zeros((3, 2, 2)))[0].shape
        (2, 2)
    """
    cells = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        cells[index] = np.asarray(value)
    return pd.Series(cells, dtype=object)


def arrays_of_cells(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the columns of a frame whose cells are arrays, by name."""
    objects = [str(name) for name in frame.columns if frame[name].dtype == object]
    return {name: frame[name] for name in objects if len(frame) and frame[name].map(_is_array).all()}


def lists_as_arrays(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose columns of lists, as JSON has them, are columns of arrays.

    Raises:
        DataError: When a list is no array: its own lists differ in length.
    """
    for name in frame.columns:
        if frame[name].dtype == object and len(frame) and frame[name].map(_is_list).all():
            try:
                frame = frame.assign(**{str(name): cells_of(list(frame[name])).to_numpy()})
            except ValueError:
                raise DataError(f"column {name!r} has lists that make no array: they differ in length") from None
    return frame


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)
