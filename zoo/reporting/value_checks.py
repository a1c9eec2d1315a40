"""Checks of values: mixed formats, codes for missing values, capped values, and redundant columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from zoo.errors import MOST_LISTED, join_first
from zoo.reporting.check_inputs import (
    MOST_COLUMNS,
    NOTE,
    WARNING,
    Facts,
    Finding,
    format_evidence,
    format_option,
)
from zoo.text import format_fraction

LEAST_ROWS = 50
MOST_COUNTED = 100_000
# Minimum fraction of values of a format; together the formats must cover nearly all values.
LEAST_SHARE, NEARLY_ALL = 0.01, 0.9
LEAST_CODES, LEAST_CAPPED = 0.002, 0.01
_DATES = {
    "2024-01-31": r"\d{4}-\d{1,2}-\d{1,2}([T ].*)?",
    "2024/01/31": r"\d{4}/\d{1,2}/\d{1,2}( .*)?",
    "31/01/2024": r"\d{1,2}/\d{1,2}/\d{2,4}( .*)?",
    "31.01.2024": r"\d{1,2}\.\d{1,2}\.\d{2,4}( .*)?",
    "31-01-2024": r"\d{1,2}-\d{1,2}-\d{4}( .*)?",
    "31 January 2024": r"\d{1,2}\.? [^\W\d]{3,9}\.? \d{4}( .*)?",
    "January 31, 2024": r"[^\W\d]{3,9}\.? \d{1,2},? \d{4}( .*)?",
}
# A comma before three digits separates thousands.
_DECIMALS = {"1.5": r"[-+]?\d+\.\d+", "1,5": r"[-+]?\d+,(\d{1,2}|\d{4,})"}
_MEASURE = re.compile(r"[-+]?\d+(?:[.,]\d+)?\s*([^\W\d_]+|%|°[CF]?|[€$£¥])")
# In lower case. Single letters as after a house number are not units, so amperes are missing.
_UNITS = re.compile(
    "[mk]?g|t|lbs?|oz|st|[cmk]?m|in|inch(es)?|ft|yd|mi|miles?|[mcd]?l|gal|pt|m?s|sec|min|h|hrs?|hours?|days?|weeks?"
    "|months?|years?|yrs?|[km]?wh?|[mk]?v|ma|[kmg]?hz|[kmgt]i?b|m?bar|[hk]?pa|psi|mph|kmh|rpm|k?cal|k?j|ppm|%|°[cf]|k"
    "|[€$£¥]|eur|usd|gbp|jpy|chf"
)
_MEGA = re.compile("M(W[hH]?|[VAJ]|Hz|Pa)")  # lower-case m would mean milli
_CODES = re.compile(r"-?9{2,}(\.0)?|-1|-9|-?8{2,}|-?7{3,}")


def check_mixed_formats(facts: Facts) -> Iterator[Finding]:
    """Report text columns with several date formats, two kinds of decimals, or numbers with units."""
    for name in map(str, facts.frame.columns):
        if pd.api.types.is_numeric_dtype(facts.frame[name].dtype) or facts.kind(name) in ("number", "code"):
            continue
        counts = facts.frame[name].iloc[facts.sample].dropna().astype(str).str.strip().value_counts()
        if counts.sum() < LEAST_ROWS or len(counts) < 2:
            continue
        for what, formats in (("dates", _DATES), ("decimals", _DECIMALS)):
            fractions = _formats(counts, formats)
            if len(fractions) > 1:
                evidence = tuple(f"as {form}: {format_fraction(part)}" for form, part in fractions.items())
                forms = " and ".join(fractions)
                text = f"column {name} has {what} in {len(fractions)} formats: {forms}"
                yield Finding("heterogeneity", WARNING, text, "use one format", evidence)
        yield from _units(name, counts)


def _formats(counts: pd.Series, formats: Mapping[str, str]) -> dict[str, float]:
    """Return the fraction of each format in a column, if together they cover nearly all values."""
    total = counts.sum()
    fractions = {form: counts[counts.index.str.fullmatch(pattern)].sum() / total for form, pattern in formats.items()}
    fractions = {form: float(part) for form, part in fractions.items() if part >= LEAST_SHARE}
    return fractions if sum(fractions.values()) >= NEARLY_ALL else {}


def _units(name: str, counts: pd.Series) -> Iterator[Finding]:
    units: dict[str, int] = {}
    for text, rows in counts.items():
        matched = _MEASURE.fullmatch(str(text))
        if matched:
            unit = matched[1] if _MEGA.fullmatch(matched[1]) else matched[1].casefold()
            if not _UNITS.fullmatch(unit.casefold()):
                continue
            units[unit] = units.get(unit, 0) + int(rows)
    total = int(counts.sum())
    if sum(units.values()) < NEARLY_ALL * total or len(counts) < 10:
        return
    often = sorted((u for u in units if units[u] >= LEAST_SHARE * total), key=lambda unit: -units[unit])
    evidence = tuple(f"{unit}: {format_fraction(units[unit] / total)}" for unit in often[:MOST_LISTED])
    if 1 < len(often) <= MOST_LISTED:
        text = f"column {name} has numbers in {len(often)} units: {', '.join(often)}"
        yield Finding("heterogeneity", WARNING, text, "convert the column to one unit", evidence)
    elif len(often) == 1:
        text = f"column {name} has numbers with the unit {often[0]}, so it is text"
        yield Finding("heterogeneity", NOTE, text, "remove the unit, so that the column is numeric", evidence)


def check_missing_codes(facts: Facts) -> Iterator[Finding]:
    """Report numbers that look like codes for missing values: frequent -999 or 9999, far from all others."""
    for name, values in _numbers(facts):
        distinct, _ = _counted(values)
        if len(distinct) < 4:
            continue
        for place, rest in ((0, distinct[1:]), (-1, distinct[:-1])):
            value, rows = distinct[place], int((values == distinct[place]).sum())
            if not _CODES.fullmatch(f"{value:.15g}") or rows < max(5, LEAST_CODES * len(values)):
                continue
            gap = abs(value - (rest[0] if place == 0 else rest[-1]))
            alone = value < 0 <= rest[0] and (value <= -9 or gap >= 1) and len(rest) > 5 if place == 0 else False
            if alone or gap > np.ptp(rest):
                text = (
                    f"column {name} is {value:.15g} in {rows:,} rows ({format_fraction(rows / len(facts.frame))}), far "
                    "from all other values: possibly a code for missing values, or a cap"
                )
                yield Finding("heterogeneity", WARNING, text, "if it is a code, leave these cells empty")


def check_capped_values(facts: Facts) -> Iterator[Finding]:
    """Report numbers that accumulate at their maximum or minimum, as capped measurements do."""
    target = facts.target if facts.target is not None and not facts.classes else None
    named = [*_numbers(facts)]
    if target is not None:
        present = facts.target_codes[~np.isnan(facts.target_codes)]
        named.append(("", present))
    piled = []
    for name, values in named:
        distinct, counts = _counted(values)
        if len(distinct) <= LEAST_ROWS:
            continue
        for place, word, beside in ((-1, "maximum", counts[-11:-1]), (0, "minimum", counts[1:11])):
            rows = int((values == distinct[place]).sum())
            if distinct[place] == 0 or rows < max(5, LEAST_CAPPED * len(values)) or rows < 10 * beside.mean():
                continue
            summary = f"{rows:,} rows ({format_fraction(rows / len(facts.frame))}) have the {word}"
            if name:
                piled.append((name, f"{summary}, {distinct[place]:g}"))
            else:
                text = f"{summary} of the target: possibly capped; no model can learn values beyond it"
                yield Finding("capped values", NOTE, text)
    if piled:
        text = (
            f"values accumulate at the maximum or minimum of {join_first([name for name, _ in piled])}: possibly capped"
        )
        yield Finding("capped values", NOTE, text, "", *format_evidence(piled))


def _counted(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct values of a column and their counts; for very many rows, estimated from a sample."""
    step = -(-len(values) // MOST_COUNTED)
    distinct, counts = np.unique(values[::step], return_counts=True)
    return distinct, counts * step


def _numbers(facts: Facts) -> Iterator[tuple[str, np.ndarray]]:
    for name in map(str, facts.frame.columns):
        if facts.kind(name) not in ("number", "code"):
            continue
        values = facts.coded(name)
        missing = np.isnan(values)
        present = values[~missing] if missing.any() else values
        if len(present) >= LEAST_ROWS:
            yield name, present


def check_redundant_columns(facts: Facts) -> Iterator[Finding]:
    """Report redundant columns: equivalent categories, or linear functions of each other."""
    names = [str(name) for name in facts.frame.columns][:MOST_COLUMNS]
    twins: list[tuple[str, str]] = []
    seen: dict[bytes, str] = {}
    unique_columns: dict[bytes, list[str]] = {}
    for name in names:
        # Codes are numbered by first appearance, so equivalent columns have equal codes.
        code = pd.factorize(facts.coded(name)[facts.sample], use_na_sentinel=False)[0]
        if code.max(initial=0) < 2:
            continue
        if code.max() < 0.9 * len(code):
            other = seen.setdefault(code.tobytes(), name)
            if other != name:
                twins.append((name, other))
        elif facts.numeric(name):  # all values are distinct, so the codes say nothing
            unique_columns.setdefault(code.tobytes(), []).append(name)
    for alike in unique_columns.values():
        twins += _linear(facts, alike)
    if twins:
        pairs = [f"{name} is equivalent to {other}" for name, other in twins]
        scope = f", in a sample of {len(facts.sample):,} rows" if len(facts.sample) < len(facts.frame) else ""
        text = f"redundant columns{scope}: {join_first(pairs, 3, '; ')}"
        evidence = tuple(pairs[:MOST_LISTED]) if len(pairs) > 3 else ()
        yield Finding("columns", NOTE, text, f"{format_option('drop', twins[0][0])} to keep only the other", evidence)


def _linear(facts: Facts, names: list[str]) -> list[tuple[str, str]]:
    """Return pairs of numeric columns that are linear functions of each other."""
    values = np.stack([facts.coded(name)[facts.sample] for name in names])
    values = values[:, ~np.isnan(values).any(axis=0)]
    if values.shape[1] < 3:
        return []
    values = values - values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    values = np.divide(values, length, out=np.zeros_like(values), where=length > 0)
    same = np.abs(values @ values.T) > 1 - 1e-9
    first = [int(np.flatnonzero(row)[0]) if row.any() else place for place, row in enumerate(same)]
    return [(name, names[other]) for name, other in zip(names, first, strict=True) if names[other] != name]
