"""Figures of language models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.data.dataset import Split
from zoo.spec import Spec


def draw_figures(
    model: Any, rows: Split, spec: Spec, sizes: np.ndarray, bits: np.ndarray
) -> Mapping[str, Any]:
    """Return the figures of one split, by name."""
    return {}
