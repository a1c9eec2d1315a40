"""A source that was read: what every reader returns."""

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
        source: The source in words that can be typed again, where it can be.
        target: Column that the source itself names as its target.
        part: Split of each row (``train``, ``validation``, ``test``) where the source itself is split.
        notes: What was noticed while reading.
        weight: Column that the source itself names as the weight of each row.
    """

    frame: pd.DataFrame
    name: str
    source: str
    target: str | None = None
    split: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    weight: str | None = None
