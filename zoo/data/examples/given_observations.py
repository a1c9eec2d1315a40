"""Observations to predict as people have them in Python: one as the environment returns it, or several."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.limits import find_source_row
from zoo.data.raw_table import Table
from zoo.data.sources.tensor_sets import is_tensor_set
from zoo.errors import DataError
from zoo.portable.observations import Space, describe_space, join_columns, read_integers, read_observation
from zoo.spec import ObservationInput


def convert_observations(rows: Any, input_: ObservationInput) -> Any:
    """Return observations as a frame with one per cell, and a source or a table as it is.

    Args:
        rows: An observation as ``env.reset()`` returns it, with or without the ``info`` behind it; a list or an
            array of observations; those of a vector environment; a frame, a dict of columns, or any other source.
        input_: The model's input.

    Raises:
        DataError: If an observation does not belong to the environment's space.

    Example:
        >>> input_ = ObservationInput("observation", "observation", n=4)
        >>> convert_observations([3, 0], input_)["observation"].tolist()
        [3, 0]
    """
    if isinstance(rows, (str, Path, pd.DataFrame, Table)) or is_tensor_set(rows):
        return rows
    name, space = input_.name, get_space(input_)
    if isinstance(rows, Mapping) and name in rows:
        rows = rows[name]
    elif isinstance(rows, Mapping) and f"{name}_0" in rows:
        cells = {column: np.atleast_1d(values) for column, values in rows.items()}
        return pd.DataFrame({str(column): list(values) for column, values in cells.items()})
    if isinstance(rows, (list, tuple)) and rows and all(isinstance(row, Mapping) and name in row for row in rows):
        rows = [row[name] for row in rows]  # records
    rows = rows.tolist() if isinstance(rows, pd.Series) else rows
    observations = _list_observations(rows, space)
    return pd.DataFrame({name: pd.Series(observations, dtype=object)})


def get_space(input_: ObservationInput) -> Space:
    """Return the space of an observation as the environment returns it, in plain values.

    Example:
        >>> get_space(ObservationInput("observation", "observation", shape=(4,)))
        {'kind': 'numbers', 'shape': (4,)}
    """
    if input_.space is not None:
        return input_.space
    if input_.n:
        return {"kind": "integers", "shape": (), "n": (input_.n,), "start": (input_.start,)}
    return {"kind": "numbers", "shape": input_.shape}


def join_parts(frame: pd.DataFrame, input_: ObservationInput) -> pd.Series | None:
    """Return a column of observations from the columns of their parts; None if there are no such columns."""
    columns = {str(name): cells for name, cells in frame.items()}
    cells = join_columns(columns, input_.name, input_.space) if input_.space is not None else None
    return None if cells is None else pd.Series(cells, index=frame.index, dtype=object)


def read_observations(values: pd.Series, input_: ObservationInput, where: str) -> np.ndarray:
    """Return N observations as a model takes them: (N, …) numbers, or (N,) integers.

    Raises:
        DataError: If one does not belong to the environment's space.
    """
    shape = tuple(extent or 0 for extent in input_.shape)
    array, space = np.empty((len(values), *shape), np.float32), get_space(input_)
    for index, value in enumerate(values):
        try:
            flat = read_observation(value, space) if input_.shape else read_integers(value, space)
        except ValueError as error:
            place = f"{where}, column {input_.name}, row {find_source_row(values, index)}"
            raise DataError(str(error), where=place) from None
        array[index] = flat.reshape(shape)
    return array


def _list_observations(rows: Any, space: Space) -> list[Any]:
    """Return the observations in ``rows``, which is one, one with its info, a batch of parts, or several."""
    if _find_problem(rows, space) is None:
        return [rows]
    if isinstance(rows, tuple) and len(rows) == 2 and isinstance(rows[1], Mapping):
        if _find_problem(rows[0], space) is None:
            return [rows[0]]
        if (batch := _split_batch(rows[0], space)) is not None:  # a vector environment's reset
            return batch
    alike = {"tuple": tuple, "dict": Mapping}.get(space["kind"])
    if alike and isinstance(rows, alike) and (batch := _split_batch(rows, space)) is not None:
        return batch
    several = isinstance(rows, (list, tuple)) or (isinstance(rows, np.ndarray) and rows.ndim > 0)
    if not several or (len(rows) and _is_number(rows[0]) and not _is_scalar(space)):
        raise DataError(f"not an observation of this environment: {_find_problem(rows, space)}")
    if len(rows) == 0:
        raise DataError(f"there are no observations to predict; expected {describe_space(space)}, or several of them")
    for number, row in enumerate(rows, 1):
        if (problem := _find_problem(row, space)) is not None:
            raise DataError(f"observation {number} is none of this environment: {problem}")
    return list(rows)


def _find_problem(value: Any, space: Space) -> str | None:
    try:
        if _is_integer(space):
            read_integers(value, space)
        else:
            read_observation(value, space)
    except ValueError as error:
        return str(error)
    return None


def _split_batch(rows: Any, space: Space) -> list[Any] | None:
    """Return N observations from one whose parts have N values each; None if it is not such a batch."""
    if space["kind"] in ("numbers", "integers"):
        try:
            return list(rows) if np.ndim(rows) == len(space["shape"]) + 1 else None
        except ValueError:  # lists of different lengths
            return None
    if space["kind"] == "dict":
        keys = space["keys"]
        parts = [rows[key] for key in keys] if isinstance(rows, Mapping) and set(keys) <= set(rows) else []
    else:
        parts = list(rows) if isinstance(rows, (list, tuple)) else []
    if not parts or len(parts) != len(space["parts"]):
        return None
    columns = [_split_batch(part, each) for part, each in zip(parts, space["parts"], strict=True)]
    lists = [column for column in columns if column is not None]
    if len(lists) != len(columns) or len({len(column) for column in lists}) != 1:
        return None
    several = zip(*lists, strict=True)
    return [dict(zip(space["keys"], row, strict=True)) if space["kind"] == "dict" else row for row in several]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number))


def _is_integer(space: Space) -> bool:
    return space["kind"] == "integers" and not space["shape"]


def _is_scalar(space: Space) -> bool:
    return space["kind"] in ("integers", "numbers") and not space["shape"]
