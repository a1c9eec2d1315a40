"""Imputation of missing values: the available methods, and forward filling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.errors import UsageError, describe_unknown
from zoo.portable.rows import find_last_present, is_missing
from zoo.spec import Spec

DROP, CONSTANT, MEAN, MEDIAN, MOST_FREQUENT, LAST = "drop", "constant", "mean", "median", "most_frequent", "last"
WAYS = (DROP, f"{CONSTANT}:VALUE", MEAN, MEDIAN, MOST_FREQUENT, LAST)
ALL = "*"
_FITS = {
    "number": {DROP, CONSTANT, MEAN, MEDIAN, MOST_FREQUENT, LAST},
    "date": {DROP, CONSTANT, MEAN, MEDIAN, MOST_FREQUENT, LAST},
    "category": {DROP, CONSTANT, MOST_FREQUENT, LAST},
    "text": {DROP},
}


def check_method(method: str) -> None:
    """Check that an imputation method exists.

    Raises:
        UsageError: If it does not; the error suggests the nearest one.
    """
    name, sign, value = method.partition(":")
    if name not in _FITS["number"] or (sign != "") != (name == CONSTANT) or (name == CONSTANT and not value):
        raise describe_unknown("way for missing values", method, WAYS, where="missing")


def choose_method(name: str, kind: str, methods: Mapping[str, str]) -> str | None:
    """Return the imputation method of a column: its own, or the one for all columns if it fits; else None.

    Args:
        name: The column.
        kind: Kind of the input that it becomes: ``number``, ``date``, ``category`` or ``text``.
        ways: Imputation methods by column; ``*`` stands for all others.

    Raises:
        UsageError: If the method given for this column does not fit its kind.
    """
    method = methods.get(name, methods.get(ALL))
    if method is None or method.partition(":")[0] in _FITS[kind]:
        return method
    if name not in methods:
        return None
    fitting = ", ".join(option for option in WAYS if option.partition(":")[0] in _FITS[kind])
    raise UsageError(
        f"column {name} is a {kind}, for which {method!r} is not possible; choose from {fitting}", where="missing"
    )


def fill_forward(values: Any, missing: np.ndarray, train: np.ndarray | None = None) -> Any:
    """Return values (N,) filled forward: a missing value becomes the last known one above it, if any.

    Args:
        values: Values in row order.
        missing: Mask of missing values (N,).
        train: Mask of training rows, if there are others: training rows are filled from training rows only, to
            avoid leakage.

    Example:
        >>> fill_forward(np.array([np.nan, 1.0, np.nan]), np.array([True, False, True])).tolist()
        [nan, 1.0, 1.0]
    """
    places = find_last_present(~missing)
    if train is not None:
        places = np.where(train, find_last_present(~missing & train), places)
    return values[places]


def find_newly_missing(inputs: Mapping[str, object], spec: Spec) -> list[str]:
    """Return the names of columns that have missing values now but had none in training."""
    columns = []
    for input_ in spec.inputs:
        values = inputs.get(input_.key)
        plain = input_.kind in _FITS and np.ndim(values) == 1  # type: ignore[arg-type]
        if input_.missing == 0 and plain and is_missing(np.asarray(values)).any():
            columns.append(input_.name)
    return columns
