"""Read a ``tf.data.Dataset`` into a table in memory."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.limits import check_memory
from zoo.data.raw_table import Table
from zoo.data.sources.memory_arrays import collect_columns, read_frame, read_pair, split_into_columns
from zoo.errors import DataError

WEIGHT = "weight"
MOST_EXAMPLES = 10_000_000
_AT_A_TIME = 1000
_HERE = "(tf.data.Dataset in memory)"


def is_tensor_set(source: Any) -> bool:
    """Return whether a source is a ``tf.data.Dataset``, without importing TensorFlow."""
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(source, tensorflow.data.Dataset)


def read_tensor_set(source: Any, cells: str | None = None) -> Table:
    """Return the table of a finite dataset of ``x``, ``(x, y)`` or ``(x, y, w)``, batched or not.

    ``y`` becomes the target column ``y``, ``w`` the column ``weight``; a dict ``x`` becomes one column per name, any
    other ``x`` is converted as an array.

    Args:
        source: The dataset.
        cells: ``image`` or ``sequence``: one example per cell.

    Raises:
        DataError: If the dataset is infinite, or its elements are something else.

    Example:
        >>> read_tensor_set(tf.data.Dataset.from_tensor_slices((x, y))).target  # doctest: +SKIP
        'y'
    """
    spec = source.element_spec
    parts = spec if isinstance(spec, tuple) else (spec,)
    if not 1 <= len(parts) <= 3 or not all(_plain(part) for part in parts):
        raise DataError(f"expected elements x, (x, y) or (x, y, w) of tensors; received {spec}", where=_HERE)
    if source.cardinality().numpy() == -1:  # tf.data.INFINITE_CARDINALITY
        raise DataError("the dataset is infinite; use take(n), or leave out repeat()", where=_HERE)
    batched = _is_batched(parts)
    examples: list[tuple[Any, ...]] = []
    seen = 0
    for number, element in enumerate(source.as_numpy_iterator()):
        element = element if isinstance(spec, tuple) else (element,)
        examples += _rows(element) if batched else [element]
        if len(examples) > MOST_EXAMPLES:
            message = f"more than {MOST_EXAMPLES:,} examples, the limit for a dataset in memory; use take(n)"
            raise DataError(message, where=_HERE)
        if number % _AT_A_TIME == 0:
            size = sum(_bytes(part) for part in element)
            check_memory(_AT_A_TIME * size, f"reading more than {len(examples):,} examples", _HERE)
            seen += size
    if not examples:
        raise DataError("the dataset has no elements", where=_HERE)
    columns = [list(part) for part in zip(*examples, strict=True)]
    return _with_weight(_table(columns, cells), columns)


def _plain(part: Any) -> bool:
    import tensorflow as tf

    return all(isinstance(spec, tf.TensorSpec) for spec in (part.values() if isinstance(part, Mapping) else [part]))


def _is_batched(parts: tuple[Any, ...]) -> bool:
    """Return whether elements are batches: labels and weights are not scalars, and all lengths agree."""
    specs = [spec for part in parts for spec in (part.values() if isinstance(part, Mapping) else [part])]
    shapes = [spec.shape for spec in specs]
    if any(shape.rank in (None, 0) for shape in shapes):
        return False
    if all(shape[0] is None for shape in shapes):
        return True
    scalars = isinstance(parts[0], Mapping) or len(parts) > 1
    return scalars and len({shape[0] for shape in shapes}) == 1


def _rows(element: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    first = next(iter(element[0].values())) if isinstance(element[0], Mapping) else element[0]
    return [tuple(_row(part, index) for part in element) for index in range(len(first))]


def _row(part: Any, index: int) -> Any:
    return {name: values[index] for name, values in part.items()} if isinstance(part, Mapping) else part[index]


def _bytes(part: Any) -> int:
    return sum(_bytes(value) for value in part.values()) if isinstance(part, Mapping) else np.asarray(part).nbytes


def _table(columns: list[list[Any]], cells: str | None) -> Table:
    x = columns[0]
    if isinstance(x[0], Mapping):
        values: Any = collect_columns({str(name): _column([row[name] for row in x]) for name in x[0]}, cells)
    else:
        values = _column(x)
    if len(columns) == 1:
        return read_frame(values if isinstance(values, pd.DataFrame) else split_into_columns(values, cells))
    return read_pair(values, np.asarray(_column(columns[1])), cells)


def _column(values: list[Any]) -> Any:
    """Return numbers as an array, bytes as text, and arrays of different lengths as a list."""
    if isinstance(values[0], (bytes, str)):
        return np.array([value.decode(errors="replace") if isinstance(value, bytes) else value for value in values])
    return np.stack(values) if len({np.shape(value) for value in values}) == 1 else values


def _with_weight(table: Table, columns: list[list[Any]]) -> Table:
    if len(columns) < 3:
        return table
    frame = table.frame.copy(deep=False)
    weights = np.asarray(columns[2]).reshape(len(frame))
    frame.insert(frame.shape[1], WEIGHT, weights, allow_duplicates=True)
    note = f"the third component of each element is the sample weight, as in Keras: column {WEIGHT}"
    return Table(frame, table.name, _HERE, table.target, notes=(note,), weight=WEIGHT)
