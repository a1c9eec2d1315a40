"""Convert arrays in memory to tables."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.examples.array_columns import convert_to_cells
from zoo.data.limits import check_columns
from zoo.data.raw_table import Table
from zoo.data.source_errors import describe_wrong_source
from zoo.data.unsupported_targets import describe_shape
from zoo.errors import DataError

IN_MEMORY = "(arrays in memory)"


def convert_array(values: np.ndarray, where: str = IN_MEMORY) -> np.ndarray:
    """Return an array of a type that pandas and TensorFlow have: this machine's byte order, at most 64 bits, texts.

    Args:
        values: An array.
        where: Its name in error messages.

    Raises:
        DataError: If it has records, raw bytes or complex numbers, or bytes that are not UTF-8.

    Example:
        >>> convert_array(np.array([1.5], ">f4")).dtype.isnative, convert_array(np.array([b"a"])).tolist()
        (True, ['a'])
    """
    dtype = values.dtype
    if dtype.kind == "V":
        what = "records with the fields " + ", ".join(dtype.names) if dtype.names else f"raw bytes ({dtype})"
        raise DataError(
            f"an array has {what}; expected numbers or texts, such as one array for each column", where=where
        )
    if dtype.kind == "c":
        message = "complex numbers are not supported; use two columns, for real and imaginary part"
        raise DataError(message, where=where)
    if dtype.kind == "S":
        try:
            return np.char.decode(values, "utf-8")
        except UnicodeDecodeError:
            raise DataError("an array has bytes that are not text in UTF-8", where=where) from None
    if dtype.kind == "f" and dtype.itemsize not in (4, 8):  # half and extended precision
        return values.astype(np.float32 if dtype.itemsize < 4 else np.float64)
    return values if dtype.isnative else values.astype(dtype.newbyteorder("="))


def split_into_columns(values: Any, cells: str | None = None, *, where: str = IN_MEMORY) -> pd.DataFrame:
    """Return one column per number of an example, ``x0``, ``x1``, …, or one column with an example per cell.

    Args:
        values: N examples: an array, or a list of arrays.
        cells: Name of the column of examples; by default one column per number.
        where: Name of the array in error messages.

    Raises:
        DataError: If ``values`` is a single value, or examples differ in length.

    Example:
        >>> list(split_into_columns(np.zeros((3, 2))))
        ['x0', 'x1']
    """
    if cells is not None and len(values) and not isinstance(values[0], (str, Real)) and np.ndim(_array(values[0])):
        return pd.DataFrame({cells: convert_to_cells(values)})
    values = _array(values, where)
    if values.ndim == 0:
        raise DataError("cannot make a table of a single value", where=None if where == IN_MEMORY else where)
    flat = values.reshape(len(values), int(np.prod(values.shape[1:])))
    check_columns(flat.shape[1], where)
    return pd.DataFrame(flat, columns=[f"x{index}" for index in range(flat.shape[1])])


def collect_columns(columns: Mapping[Any, Any], cells: str | None = None) -> pd.DataFrame:
    """Return a frame of named columns; an array of several axes becomes one example per cell, or several columns.

    Args:
        columns: N values, or an array (N, …), by name.
        cells: If given, such an array becomes one example per cell; by default one column per number.

    Raises:
        DataError: If columns differ in length, or two would have the same name.

    Example:
        >>> list(collect_columns({"x": np.zeros((3, 2)), "y": [0, 1, 1]}))
        ['x0', 'x1', 'y']
    """
    frame_columns: dict[Any, Any] = {}
    for name, values in columns.items():
        values = convert_array(values, f"column {name}") if isinstance(values, np.ndarray) else values
        if not isinstance(values, np.ndarray) or values.ndim < 2:
            frame_columns[name] = values
        elif cells is not None:
            frame_columns[name] = convert_to_cells(values)
        else:
            flat = split_into_columns(values)
            several = flat.shape[1] > 1
            for place, column in enumerate(flat):
                column_name = f"{name}{place}" if several else name
                if column_name in frame_columns or (several and column_name in columns):
                    raise DataError(f"the array {name!r} would become a column {column_name!r}, which already exists")
                frame_columns[column_name] = flat[column]
    try:
        return pd.DataFrame(frame_columns)
    except ValueError as error:
        raise DataError(f"cannot make a table of these columns: {error}") from None


def convert_types(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Convert columns to plain types: durations to seconds, periods to their start, decimals and others to float64.

    Raises:
        DataError: If a column has complex numbers, records or raw bytes.

    Example:
        >>> convert_types(pd.DataFrame({"a": pd.to_timedelta(["1min", "2min"])}), "data")["a"].tolist()
        [60.0, 120.0]
    """
    converted: dict[str, pd.Series] = {}
    for name, dtype in frame.dtypes.items():
        if pd.api.types.is_timedelta64_dtype(dtype):
            converted[str(name)] = frame[name].dt.total_seconds()
        elif isinstance(dtype, pd.PeriodDtype):
            converted[str(name)] = frame[name].dt.to_timestamp()
        elif pd.api.types.is_object_dtype(dtype) and (kind := pd.api.types.infer_dtype(frame[name])) == "decimal":
            converted[str(name)] = frame[name].astype(np.float64)
        elif pd.api.types.is_object_dtype(dtype) and kind == "bytes":
            with suppress(UnicodeDecodeError):  # otherwise they are no text
                converted[str(name)] = frame[name].map(bytes.decode, na_action="ignore")
        elif isinstance(dtype, np.dtype) and (dtype.kind in "cVS" or not dtype.isnative or dtype.itemsize in (2, 16)):
            array = convert_array(frame[name].to_numpy(), f"{where}, column {name}")
            converted[str(name)] = pd.Series(array, index=frame.index)
    return frame.assign(**converted) if converted else frame


def read_frame(frame: pd.DataFrame, target: str | None = None) -> Table:
    """Return the table of a data frame, with column names as text and rows numbered from 0."""
    frame = frame.rename(columns=str).reset_index(drop=True)
    return Table(frame, "data", f"(data frame with {len(frame)} rows in memory)", target)


def read_pair(x: Any, y: Any, cells: str | None) -> Table:
    """Return the table of examples and their targets, which become the column ``y``.

    Raises:
        DataError: If their numbers differ, there are several targets, or a frame and a series have the same labels of
            rows in another order.
    """
    if isinstance(x, pd.DataFrame):
        if isinstance(y, (pd.Series, pd.DataFrame)) and _is_reordered(x.index, y.index):
            raise DataError("x and y have the same row labels in another order; align them, as by y.loc[x.index]")
        frame = x.rename(columns=str).reset_index(drop=True)
    elif isinstance(x, Mapping):
        frame = collect_columns(x, cells)
    else:
        frame = split_into_columns(x if isinstance(x, (list, tuple)) else _array(x), cells)
    labels = convert_array(np.asarray(y), "y")
    if labels.shape not in ((len(frame),), (len(frame), 1)):
        message = f"x has {len(frame)} rows and y has shape {labels.shape}"
        if labels.ndim == 2 and len(labels) == len(frame):
            message += (
                "; expected one value in each row: for one-hot rows use y.argmax(axis=1); for several numbers a frame "
                f"that has their columns too, and target=[…] with their names; {describe_shape(labels.shape[1:])}"
            )
        elif labels.ndim > 2:
            message += f"; {describe_shape(labels.shape[1:])}"
        raise DataError(message)
    frame.insert(frame.shape[1], "y", labels.reshape(-1), allow_duplicates=True)
    return read_frame(frame, target="y")


def _is_reordered(first: pd.Index, second: pd.Index) -> bool:
    """Return whether two indices have the same labels, but in another order."""
    if len(first) != len(second) or first.equals(second) or not (first.is_unique and second.is_unique):
        return False
    return bool(first.isin(second).all())


def _array(values: Any, where: str = IN_MEMORY) -> np.ndarray:
    try:
        return convert_array(np.asarray(values), where)
    except ValueError:  # different lengths
        raise describe_wrong_source("sequences", IN_MEMORY) from None
