"""Inputs of specs that earlier versions wrote."""

from __future__ import annotations

from typing import Any

# Names of format 1.
_EARLIER_NAMES = {"way": "imputation", "was_missing": "indicates_missing", "whole": "integer"}
_EARLIER_BY_KIND = {("category", "levels"): "categories", ("text", "levels"): "vocabulary"}


def translate_input(values: dict[str, Any]) -> dict[str, Any]:
    """Return the plain values of an input with today's names.

    Example:
        >>> translate_input({"kind": "number", "levels": [], "statistics": {"way": "median"}})
        {'kind': 'number', 'imputation': 'median'}
    """
    if "statistics" not in values:
        return values
    statistics = values.pop("statistics")
    if isinstance(statistics.get("missing"), list):  # of each feature of a sequence
        statistics["has_missing"] = statistics.pop("missing")
    values |= {_EARLIER_NAMES.get(name, name): value for name, value in statistics.items()}
    levels = values.pop("levels")
    if (values["kind"], "levels") in _EARLIER_BY_KIND:
        values[_EARLIER_BY_KIND[values["kind"], "levels"]] = levels
    return values
