"""What stands for a missing value: the ways that can be asked for, and those that need the rows around."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.errors import UsageError, unknown
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


def check_way(way: str) -> None:
    """Refuse a way that there is not.

    Raises:
        UsageError: With the nearest that there is.
    """
    name, sign, value = way.partition(":")
    if name not in _FITS["number"] or (sign != "") != (name == CONSTANT) or (name == CONSTANT and not value):
        raise unknown("way for missing values", way, WAYS, where="missing")


def way_for(name: str, kind: str, ways: Mapping[str, str]) -> str | None:
    """Return the way that was asked for a column, or for all columns where it fits this one; None for none.

    Args:
        name: The column.
        kind: Kind of the input that it becomes: ``number``, ``date``, ``category`` or ``text``.
        ways: Ways by column; ``*`` stands for all others.

    Raises:
        UsageError: When the way was asked for this column and does not fit its kind.
    """
    way = ways.get(name, ways.get(ALL))
    if way is None or way.partition(":")[0] in _FITS[kind]:
        return way
    if name not in ways:
        return None
    fitting = ", ".join(known for known in WAYS if known.partition(":")[0] in _FITS[kind])
    raise UsageError(f"column {name} is a {kind}, and {way!r} is no way for one; there are {fitting}", where="missing")


def is_missing(values: np.ndarray) -> np.ndarray:
    """Return whether each raw value (N,) is missing: not a number, or empty text."""
    return np.isnan(values) if values.dtype.kind == "f" else np.asarray(values == "")


def last_known(values: Any, missing: np.ndarray, train: np.ndarray | None = None) -> Any:
    """Return values (N,) where a missing one has become the last known one above it, if there is one.

    Args:
        values: In the order of the rows.
        missing: Which of them are missing.
        train: Which rows are training ones, where there are others among them: a training row looks at training
            rows only, for what others hold must not reach it.

    Example:
        >>> last_known(np.array([np.nan, 1.0, np.nan]), np.array([True, False, True])).tolist()
        [nan, 1.0, 1.0]
    """
    places = _forward(~missing)
    if train is not None:
        places = np.where(train, _forward(~missing & train), places)
    return values[places]


def newly_missing(inputs: Mapping[str, object], spec: Spec) -> list[str]:
    """Return the columns that have a missing value now and had none in training, by name."""
    found = []
    for known in spec.inputs:
        values = inputs.get(known.key)
        plain = known.kind in _FITS and np.ndim(values) == 1  # type: ignore[arg-type]
        if known.missing == 0 and plain and is_missing(np.asarray(values)).any():
            found.append(known.name)
    return found


def _forward(present: np.ndarray) -> np.ndarray:
    """The place of the last one present, for each (N,); above the first one its own, where it stays missing."""
    own = np.arange(len(present))
    places = np.maximum.accumulate(np.where(present, own, -1))
    return np.where(places < 0, own, places)
