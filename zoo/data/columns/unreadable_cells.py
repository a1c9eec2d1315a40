"""Cells outside the training split that do not have the kind of their column: missing values, with a note."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.date_parsing import convert_to_seconds
from zoo.data.columns.encode import has_value, parse_numbers, read_numbers
from zoo.errors import join_first
from zoo.spec import DateInput, NumberInput, Spec

MOST_QUOTED = 3


def clear_unreadable_cells(
    frame: pd.DataFrame, spec: Spec, train: np.ndarray | None = None, *, where: str = "the rows", whole: bool = True
) -> tuple[pd.DataFrame, list[str]]:
    """Return a frame whose columns of numbers have numbers, and notes that count and quote the other cells.

    The training rows have decided that a column holds numbers or dates; what cannot be read as such in other rows
    becomes a missing value, as far as the user did not give the kind of a date.

    Args:
        frame: N raw rows.
        spec: The description of the training rows.
        train: Mask of training rows (N,), whose cells are not counted; by default none are training rows.
        where: Name of the rows in error messages.
        whole: Whether the rows are all of their split, of which at least one must be readable.

    Raises:
        DataError: If no cell of a column is a number.

    Example:
        >>> spec = Spec("regression", (NumberInput("age", "age"),))
        >>> clear_unreadable_cells(pd.DataFrame({"age": ["20", "oops"]}), spec)[1]
        ["1 cell of column age is not a number and is treated as missing: 'oops'"]
    """
    cleared: dict[Any, pd.Series] = {}
    notes = []
    outside = np.ones(len(frame), bool) if train is None else ~train
    for input_ in spec.inputs:
        if input_.name not in frame.columns or getattr(input_, "indicates_missing", False):
            continue
        values = frame[input_.name]
        if isinstance(input_, NumberInput) and not pd.api.types.is_numeric_dtype(values.dtype):
            numbers, wrong = parse_numbers(values, input_.notation, is_answer=input_.is_answer)
            cleared[input_.name] = pd.Series(numbers, index=values.index)
            if whole and wrong.any() and np.isnan(numbers).all():  # another column, not a few mistakes
                read_numbers(values, where, input_.notation, is_answer=input_.is_answer)  # raises
            notes += _describe(values, wrong & outside, "a number")
        elif isinstance(input_, DateInput) and not input_.strict:
            wrong = np.isnan(convert_to_seconds(values, input_.format)) & has_value(values)
            form = f"a date in the format {input_.format}" if input_.format else "a date in ISO 8601"
            notes += _describe(values, wrong & outside, form)
    return frame.assign(**cleared) if cleared else frame, notes


def _describe(values: pd.Series, wrong: np.ndarray, what: str) -> list[str]:
    count = int(wrong.sum())
    if not count:
        return []
    quoted = join_first([repr(cell) for cell in pd.unique(values[wrong])], MOST_QUOTED)
    if count == 1:
        return [f"1 cell of column {values.name} is not {what} and is treated as missing: {quoted}"]
    return [f"{count:,} cells of column {values.name} are not {what} and are treated as missing: {quoted}"]
