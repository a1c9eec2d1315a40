"""Rows to predict as people have them in Python: a dict, a list of them, a series, or numbers in the model's order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.examples.given_observations import convert_observations
from zoo.data.raw_table import Table
from zoo.data.sources.tensor_sets import is_tensor_set
from zoo.errors import DataError, join_first
from zoo.spec import ColumnInput, ObservationInput, Spec


def convert_rows(rows: Any, spec: Spec) -> Any:
    """Return rows as a frame or dict of columns if they have another form, and a source as it is.

    Args:
        rows: A dict of cells; a series or list of cells, which are one row; a list of dicts, series or lists of cells;
            an array of cells (N, C); observations as an environment returns them; or anything else, which is left to
            the task. Cells without names are in the order of the model's columns.
        spec: The spec of the model.

    Raises:
        DataError: If rows without names do not have as many cells as the model has columns, a list is empty, or rows
            are a single value.

    Example:
        >>> from zoo.spec import NumberInput
        >>> spec = Spec("regression", (NumberInput("age", "age"), NumberInput("size", "size")))
        >>> convert_rows([[20.0, 0.5]], spec)["size"].tolist()
        [0.5]
    """
    if len(spec.inputs) == 1 and isinstance(spec.inputs[0], ObservationInput):
        return convert_observations(rows, spec.inputs[0])
    if isinstance(rows, Mapping):
        return {name: [cell] for name, cell in rows.items()} if rows and all(map(_is_cell, rows.values())) else rows
    columns = _columns_of(spec)
    if isinstance(rows, (str, Path, pd.DataFrame, Table)) or is_tensor_set(rows) or _is_pair(rows):
        return rows
    if columns is None and isinstance(rows, (list, tuple, np.ndarray)):  # an example is an array, so a list may be one
        return rows
    if columns is not None and isinstance(rows, np.ndarray) and rows.ndim in (1, 2):
        numbered = all(column[:1] == "x" and column[1:].isdigit() for column in columns)  # trained on an array
        cells = rows.reshape(-1, 1) if len(columns) == 1 else np.atleast_2d(rows)
        return rows if numbered and rows.ndim == 2 else _name_cells([*map(list, cells)], columns)
    if columns is not None and isinstance(rows, pd.Series):
        return _read_series(rows, columns)
    if columns is not None and isinstance(rows, (list, tuple)):
        return _read_list(list(rows), columns)
    kind = "None" if rows is None else f"a {type(rows).__name__}"
    raise DataError(f"cannot read rows from {kind}; {_expect([input_.name for input_ in spec.inputs])}")


def _read_list(rows: list[Any], columns: list[str]) -> pd.DataFrame:
    if not rows:
        raise DataError(f"there are no rows to predict; {_expect(columns)}")
    if all(isinstance(row, Mapping) for row in rows):
        return pd.DataFrame.from_records(rows)
    if all(isinstance(row, pd.Series) for row in rows):
        return pd.concat([_read_series(row, columns) for row in rows], ignore_index=True)
    if all(isinstance(row, (list, tuple, np.ndarray)) for row in rows):
        return _name_cells([list(row) for row in rows], columns)
    if all(map(_is_cell, rows)):
        return _name_cells([[cell] for cell in rows] if len(columns) == 1 else [rows], columns)
    kinds = join_first(sorted({type(row).__name__ for row in rows}))
    raise DataError(f"a list has rows of several kinds: {kinds}; {_expect(columns)}")


def _columns_of(spec: Spec) -> list[str] | None:
    """Return the columns that a model needs, in order; None if an input is not one cell."""
    if not all(isinstance(input_, ColumnInput) for input_ in spec.inputs):
        return None
    return list(dict.fromkeys(input_.name for input_ in spec.inputs))


def _read_series(row: pd.Series, columns: list[str]) -> pd.DataFrame:
    """Return a series as a frame: a row if it is named by the model's columns, or has as many cells."""
    names = {str(name) for name in row.index}
    if names & set(columns):
        return pd.DataFrame([row.tolist()], columns=[str(name) for name in row.index])
    if str(row.name) in columns and len(columns) == 1:  # a column
        return row.rename(str(row.name)).to_frame().reset_index(drop=True)
    return _name_cells([[cell] for cell in row] if len(columns) == 1 else [row.tolist()], columns)


def _name_cells(rows: list[list[Any]], columns: list[str]) -> pd.DataFrame:
    for number, row in enumerate(rows, 1):
        if len(row) != len(columns):
            cells = "1 cell" if len(row) == 1 else f"{len(row)} cells"
            raise DataError(f"row {number} has {cells}, but the model has {len(columns)} columns; {_expect(columns)}")
    return pd.DataFrame(rows, columns=columns)


def _expect(columns: list[str]) -> str:
    return f"expected a frame, a dict of columns, or rows with the columns {join_first(columns, 8)}"


def _is_pair(rows: Any) -> bool:
    """Return whether rows are a tuple of examples and targets, as training reads them."""
    return isinstance(rows, tuple) and len(rows) == 2 and isinstance(rows[0], (np.ndarray, pd.DataFrame))


def _is_cell(value: Any) -> bool:
    """Return whether a value is a single cell rather than several."""
    return not isinstance(value, (list, tuple, Mapping, np.ndarray, pd.Series, pd.Index, pd.DataFrame, Path))
