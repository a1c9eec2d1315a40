"""The table that every reader returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Table:
    """A source that was read, not yet split.

    Args:
        frame: The rows.
        name: Short name of the source.
        source: The source, as the user can type it again where possible.
        target: Target column, if the source defines one.
        split: Split of each row (``train``, ``validation``, ``test``), if the source defines it.
        notes: Notes for the user from reading.
        weight: Column of sample weights, if the source defines one.
        notations: How numbers are written, by column, where it is not as in Python; see
            :func:`zoo.portable.number_parsing.read_number`.
        files: File of each row (N,), if each row is read from a file of its own; else None.
        read_as_written: Returns the cells (N,) of a column as texts, also those that stand for missing values; None if
            the source has types.
    """

    frame: pd.DataFrame
    name: str
    source: str
    target: str | None = None
    split: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    weight: str | None = None
    notations: Mapping[str, str] = field(default_factory=dict)
    files: np.ndarray | None = None
    read_as_written: Callable[[str], pd.Series] | None = None
