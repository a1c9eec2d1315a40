"""Whole examples in the cells of a frame: an array a cell, as pictures and sequences come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

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


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)
