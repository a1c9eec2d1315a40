"""The table that every reader returns."""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    frame: pd.DataFrame
    name: str
    source: str
    target: str | None = None
    split: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    weight: str | None = None
