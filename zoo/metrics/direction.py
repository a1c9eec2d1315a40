"""The direction of a metric: the one place that decides which of two values is better."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum

import numpy as np


class Direction(StrEnum):
    """Whether smaller or larger values of a metric are better; it is stored as ``min`` or ``max``.

    Not-a-number is never better than anything, and a number is always better than not-a-number.

    Example:
        >>> Direction("min").better(0.1, 0.2), Direction("max").better(0.1, 0.2), f"{Direction.MIN}"
        (True, False, 'min')
    """

    MIN = "min"
    MAX = "max"

    @property
    def less_is_better(self) -> bool:
        """Whether smaller values are better, so that an ascending order starts with the best."""
        return self is Direction.MIN

    @property
    def sign(self) -> int:
        """The factor that turns a value into a loss, of which less is better."""
        return 1 if self.less_is_better else -1

    def better(self, a: float, b: float, margin: float = 0.0) -> bool:
        """Return whether ``a`` is better than ``b`` by more than a margin."""
        if math.isnan(a) or math.isnan(b):
            return math.isnan(b) and not math.isnan(a)
        return self.sign * a < self.sign * b - margin

    def key(self, value: float | None) -> tuple[bool, float]:
        """Return a key for ``sorted`` and ``min``: the best value comes first, None and not-a-number last.

        Example:
            >>> sorted([0.5, math.nan, 0.9], key=Direction.MAX.key)
            [0.9, 0.5, nan]
        """
        missing = value is None or math.isnan(value)
        return missing, 0.0 if value is None or missing else self.sign * value

    def best(self, values: Iterable[float]) -> float:
        """Return the best value; not-a-number if there is none.

        Example:
            >>> Direction.MIN.best([0.5, math.nan, 0.4]), Direction.MIN.best([])
            (0.4, nan)
        """
        return min(values, key=self.key, default=math.nan)

    def accumulate(self, values: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return the best value so far at each place.

        Example:
            >>> Direction.MIN.accumulate([math.nan, 0.5, 0.7, 0.2]).tolist()
            [nan, 0.5, 0.5, 0.2]
        """
        return np.asarray((np.fmin if self.less_is_better else np.fmax).accumulate(np.asarray(values, float)))
