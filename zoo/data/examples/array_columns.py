"""Data frame columns with one array per cell, such as images and sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from zoo.errors import DataError

IMAGE, SEQUENCE, TEXT, MASK = "image", "sequence", "text", "mask"


def convert_to_cells(values: Sequence[Any] | np.ndarray) -> pd.Series:
    """Return N arrays, whose shapes may differ, as a column with one array per cell.

    Example:
        >>> convert_to_cells(np.zeros((3, 2, 2)))[0].shape
        (2, 2)
    """
    cells = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        cells[index] = np.asarray(value)
    return pd.Series(cells, dtype=object)


def find_array_columns(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the columns of a frame whose cells are arrays, by name."""
    objects = [str(name) for name in frame.columns if frame[name].dtype == object]
    return {name: frame[name] for name in objects if len(frame) and frame[name].map(_is_array).all()}


def convert_lists(frame: pd.DataFrame, *, ragged: bool = False) -> pd.DataFrame:
    """Return a frame in which columns of lists, as in JSON, are columns of arrays.

    Args:
        frame: N rows.
        ragged: Whether a column stays as it is if its nested lists differ in length, as the parts of observations do.

    Raises:
        DataError: If nested lists differ in length.
    """
    for name in frame.columns:
        if frame[name].dtype == object and len(frame) and frame[name].map(_is_list).all():
            try:
                frame = frame.assign(**{str(name): convert_to_cells(list(frame[name])).to_numpy()})
            except ValueError:
                if ragged:
                    continue
                raise DataError(f"column {name!r} has nested lists of different lengths") from None
    return frame


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)
