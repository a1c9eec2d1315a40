"""Numbers and other values as text for people."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

_PASSWORD = re.compile(r"([a-z][\w+.-]*://[^:/@?\s]*):[^@/?\s]*@", re.IGNORECASE)


def without_password(text: str) -> str:
    """Return a text without the passwords of the addresses in it.

    Example:
        >>> without_password("postgresql://me:secret@host/runs")
        'postgresql://me@host/runs'
    """
    return _PASSWORD.sub(r"\1@", text)


def number(value: Any) -> str:
    """Return a number in four digits, for people; other values as they are."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def interval(bounds: tuple[float, float] | None) -> str:
    """Return an interval for people; empty without one."""
    return f"[{number(float(bounds[0]))}, {number(float(bounds[1]))}]" if bounds is not None else ""


def plain(value: Any) -> Any:
    """Return a value as JSON has it: not-a-number and infinity are null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
