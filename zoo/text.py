"""Format numbers and other values for display."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

# In a database's URL a password may contain a slash by mistake; in a web address ":" may begin a port.
_PASSWORD = re.compile(r"((?:https?://[^:/@?\s]*):[^@/?\s]*|(?!https?:)[a-z][\w+.-]*://[^:/@?\s]*:[^?\s]*)@", re.I)
_USER = re.compile(r"[a-z][\w+.-]*://[^:/@?\s]*", re.I)
# Of the longest interval, of two negative numbers in scientific notation, and two spaces.
INTERVAL_WIDTH = 26
_SECRET = re.compile(r"([?&][^=&\s]*(?:pass|pwd|secret|token|api_?key|signature)[^=&\s]*=)[^&\s]*", re.I)


def remove_passwords(text: str) -> str:
    """Remove passwords of URLs from a text, before the host and in the query.

    Example:
        >>> remove_passwords("postgresql://me:secret@host/runs")
        'postgresql://me@host/runs'
        >>> remove_passwords("mysql://host/db?user=me&password=secret&table=sales")
        'mysql://host/db?user=me&password=&table=sales'
    """
    without = _PASSWORD.sub(lambda match: _USER.match(match[1])[0] + "@", text)  # type: ignore[index]
    return _SECRET.sub(r"\1", without)


def is_utf_8(text: str) -> bool:
    """Return whether a text can be written in UTF-8, which the name of a file in another encoding cannot.

    Example:
        >>> is_utf_8("café"), is_utf_8(b"caf\\xe9".decode("utf-8", "surrogateescape"))
        (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
    if hasattr(value, "tolist"):  # a NumPy array or scalar
        value = value.tolist()
        if isinstance(value, list):
            return convert_to_plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def format_fraction(value: float) -> str:
    """Format a fraction as a percentage.

    Example:
        >>> format_fraction(0.0312)
        '3.1 %'
    """
    if 0.995 < value < 1:  # do not round to 100 %
        return f"{100 * min(value, 0.99999):.5g} %"
    return f"{100 * value:.2g} %" if value < 0.0995 else f"{100 * value:.0f} %"
