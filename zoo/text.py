"""Format numbers and other values for display."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

_PASSWORD = re.compile(r"([a-z][\w+.-]*://[^:/@?\s]*):[^@/?\s]*@", re.IGNORECASE)


def remove_passwords(text: str) -> str:
    """Remove passwords of URLs from a text.

    Example:
        >>> remove_passwords("postgresql://me:secret@host/runs")
        'postgresql://me@host/runs'
    """
    return _PASSWORD.sub(r"\1@", text)


def format_number(value: Any) -> str:
    """Format a number with four significant digits; other values as ``str``."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def format_interval(bounds: tuple[float, float] | None) -> str:
    """Format an interval; empty for None, and ``unknown`` if its bounds are not numbers.

    Example:
        >>> format_interval((0.25, 0.5)), format_interval((math.nan, math.nan)), format_interval(None)
        ('[0.25, 0.5]', 'unknown', '')
    """
    if bounds is None:
        return ""
    return "unknown" if math.isnan(sum(bounds)) else f"[{', '.join(format_number(float(bound)) for bound in bounds)}]"


def convert_to_plain(value: Any) -> Any:
    """Return a JSON-compatible value; NaN and infinity become None."""
    if isinstance(value, Mapping):
        return {str(key): convert_to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [convert_to_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
