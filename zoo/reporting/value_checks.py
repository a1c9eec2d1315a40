"""Checks of values: mixed formats, codes for missing values, caps, and columns that say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from zoo.errors import MOST_LISTED, listed
from zoo.reporting.check_inputs import MOST_COLUMNS, NOTE, WARNING, Facts, Finding, evidence_of, option, share

LEAST_ROWS = 50
MOST_COUNTED = 100_000
# A format counts from this share of a column on; together they must explain nearly all of it.
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
# Three digits behind a comma are thousands.
_DECIMALS = {"1.5": r"[-+]?\d+\.\d+", "1,5": r"[-+]?\d+,(\d{1,2}|\d{4,})"}
_MEASURE = re.compile(r"[-+]?\d+(?:[.,]\d+)?\s*([^\W\d_]+|%|°[CF]?|[€$£¥])")
# In lower case; a letter behind a house number is none, and nor is therefore that of amperes.
_UNITS = re.compile(
    "[mk]?g|t|lbs?|oz|st|[cmk]?m|in|inch(es)?|ft|yd|mi|miles?|[mcd]?l|gal|pt|m?s|sec|min|h|hrs?|hours?|days?|weeks?"
    "|months?|years?|yrs?|[km]?wh?|[mk]?v|ma|[kmg]?hz|[kmgt]i?b|m?bar|[hk]?pa|psi|mph|kmh|rpm|k?cal|k?j|ppm|%|°[cf]|k"
    "|[€$£¥]|eur|usd|gbp|jpy|chf"
)
_MEGA = re.compile("M(W[hH]?|[VAJ]|Hz|Pa)")  # a small m would say a thousandth
_CODES = re.compile(r"-?9{2,}(\.0)?|-1|-9|-?8{2,}|-?7{3,}")


def mixed_formats(facts: Facts) -> Iterator[Finding]:
    """Tell which columns of text hold dates of several formats, decimals of two kinds, or numbers with units."""
    for name in map(str, facts.frame.columns):
        if pd.api.types.is_numeric_dtype(facts.frame[name].dtype):
            continue
        counts = facts.frame[name].iloc[facts.sample].dropna().astype(str).str.strip().value_counts()
        if counts.sum() < LEAST_ROWS or len(counts) < 2:
            continue
        for what, formats in (("dates", _DATES), ("decimals", _DECIMALS)):
            found = _formats(counts, formats)
            if len(found) > 1:
                evidence = tuple(f"as {form}: {share(part)}" for form, part in found.items())
                forms = " and ".join(found)
                text = f"column {name} spells {what} in {len(found)} formats: as {forms}"
                yield Finding("heterogeneity", WARNING, text, "spell them alike before", evidence)
        yield from _units(name, counts)


def _formats(counts: pd.Series, formats: Mapping[str, str]) -> dict[str, float]:
    """The share of each format that a column has, where they are nearly all that it has."""
    total = counts.sum()
    found = {form: counts[counts.index.str.fullmatch(known)].sum() / total for form, known in formats.items()}
    found = {form: float(part) for form, part in found.items() if part >= LEAST_SHARE}
    return found if sum(found.values()) >= NEARLY_ALL else {}


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
    evidence = tuple(f"{unit}: {share(units[unit] / total)}" for unit in often[:MOST_LISTED])
    if 1 < len(often) <= MOST_LISTED:
        text = f"column {name} has numbers in {len(often)} units: {', '.join(often)}"
        yield Finding("heterogeneity", WARNING, text, "bring them to one unit before", evidence)
    elif len(often) == 1:
        text = f"column {name} has numbers that are text for their unit, {often[0]}"
        yield Finding("heterogeneity", NOTE, text, "leave the unit out before, so that it is a number", evidence)


def codes_for_missing(facts: Facts) -> Iterator[Finding]:
    """Tell which numbers look like a code for no value: -999 or 9999, often and far from all others."""
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
                    f"column {name} is {value:.15g} in {rows:,} rows ({share(rows / len(facts.frame))}), far from all "
                    "others: is it a code for a missing value, or a cap?"
                )
                yield Finding("heterogeneity", WARNING, text, "leave such cells empty, if it is a code")


def capped(facts: Facts) -> Iterator[Finding]:
    """Tell which numbers pile up at their greatest or least value, as measures do that end there."""
    target = facts.target if facts.target is not None and not facts.classes else None
    named = [*_numbers(facts)]
    if target is not None:
        known = facts.target_codes[~np.isnan(facts.target_codes)]
        named.append(("", known))
    found = []
    for name, values in named:
        distinct, counts = _counted(values)
        if len(distinct) <= LEAST_ROWS:
            continue
        for place, word, beside in ((-1, "greatest", counts[-11:-1]), (0, "least", counts[1:11])):
            rows = int((values == distinct[place]).sum())
            if distinct[place] == 0 or rows < max(5, LEAST_CAPPED * len(values)) or rows < 10 * beside.mean():
                continue
            told = f"{rows:,} rows ({share(rows / len(facts.frame))}) have the {word} value"
            if name:
                found.append((name, f"{told}, {distinct[place]:g}"))
            else:
                text = f"{told} of the target: was it capped there? No model can learn what lies beyond"
                yield Finding("capped values", NOTE, text)
    if found:
        text = f"values pile up at the end of {listed([name for name, _ in found])}: were they capped?"
        yield Finding("capped values", NOTE, text, "", evidence_of(found))


def _counted(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different values of a column and how often each is there: of very many rows in an even sample of them."""
    step = -(-len(values) // MOST_COUNTED)
    distinct, counts = np.unique(values[::step], return_counts=True)
    return distinct, counts * step


def _numbers(facts: Facts) -> Iterator[tuple[str, np.ndarray]]:
    for name in map(str, facts.frame.columns):
        if facts.kind(name) not in ("number", "code"):
            continue
        values = facts.coded(name)
        missing = np.isnan(values)
        known = values[~missing] if missing.any() else values
        if len(known) >= LEAST_ROWS:
            yield name, known


def same_columns(facts: Facts) -> Iterator[Finding]:
    """Tell which columns say the same: level for level, or one a linear function of the other."""
    names = [str(name) for name in facts.frame.columns][:MOST_COLUMNS]
    twins: list[tuple[str, str]] = []
    seen: dict[bytes, str] = {}
    of_own: dict[bytes, list[str]] = {}
    for name in names:
        # Levels are numbered as they come: columns that say the same have the same numbers.
        code = pd.factorize(facts.coded(name)[facts.sample], use_na_sentinel=False)[0]
        if code.max(initial=0) < 2:
            continue
        if code.max() < 0.9 * len(code):
            other = seen.setdefault(code.tobytes(), name)
            if other != name:
                twins.append((name, other))
        elif facts.numeric(name):  # each row has a value of its own, as in any other such column
            of_own.setdefault(code.tobytes(), []).append(name)
    for alike in of_own.values():
        twins += _linear(facts, alike)
    if twins:
        told = [f"{name} says the same as {other}" for name, other in twins]
        few = f", in a sample of {len(facts.sample):,} rows" if len(facts.sample) < len(facts.frame) else ""
        text = f"columns that are another one in other words{few}: {listed(told, 3, '; ')}"
        evidence = tuple(told[:MOST_LISTED]) if len(told) > 3 else ()
        yield Finding("columns", NOTE, text, f"{option('drop', twins[0][0])}, if the other shall stay", evidence)


def _linear(facts: Facts, names: list[str]) -> list[tuple[str, str]]:
    """Pairs of columns of numbers, missing in the same rows, that are a linear function of each other."""
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
