"""Checks of columns: missing values, constants, mixed units and spellings, outliers."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from zoo.data.columns.spellings import describe_spellings, find_spellings
from zoo.errors import MOST_LISTED, join_first
from zoo.reporting.check_inputs import (
    NOTE,
    OK,
    WARNING,
    Facts,
    Finding,
    compute_cramers_v,
    format_evidence,
    format_option,
)
from zoo.text import format_fraction

# A column is nearly constant with this fraction of its most frequent value; or, in small tables, with this fraction and
# fewer other rows than this, which are too few to learn from and to test with.
NEARLY_ALL, NEARLY_ALL_OF_FEW, LEAST_OTHERS = 0.995, 0.98, 10
LEAST_EFFECT, SURE = 0.15, 0.001
GAP, LEAST_SIDE = np.log10(8.0), 0.02
FAR = 10.0  # interquartile ranges beyond the quartiles


def check_missing_values(facts: Facts) -> Iterator[Finding]:
    """Report missing values, and what missingness is associated with."""
    fractions = {name: float(facts.missing(name).mean()) for name in map(str, facts.frame.columns)}
    lacking = {name: split for name, split in fractions.items() if split > 0}
    yield from _infinite(facts)
    if not lacking:
        if not any(_count_infinite(facts.frame[name]) for name in fractions):
            yield Finding("missing values", OK, "none")
        return
    worst = sorted(lacking, key=lambda name: -lacking[name])
    evidence = tuple(f"{name}: {format_fraction(lacking[name])}" for name in worst[:MOST_LISTED])
    most = f"{worst[0]}: {format_fraction(lacking[worst[0]])}"
    text = f"{len(lacking)} of {len(fractions)} columns have missing values, most in {most}"
    advice = format_option("missing", f"{worst[0]}=drop") if lacking[worst[0]] > 0.5 else ""
    yield Finding("missing values", NOTE, text, advice, evidence)
    yield from _goes_with(facts, [n for n in worst if 0.005 < lacking[n] < 0.995][:20])


def _infinite(facts: Facts) -> Iterator[Finding]:
    """Report infinite values of all splits; they are treated as missing."""
    for name in map(str, facts.frame.columns):
        count = _count_infinite(facts.frame[name])
        if not count:
            continue
        rows = facts.rows(np.flatnonzero(np.isinf(facts.frame[name].to_numpy(dtype=np.float64, na_value=np.nan))))
        values = "an infinite value" if count == 1 else f"{count:,} infinite values"
        text = f"column {name} has {values}, treated as missing: row{'s' if count > 1 else ''} {rows}"
        advice = f"correct them, or set how they are filled by {format_option('missing', f'{name}=median')}"
        yield Finding("missing values", WARNING, text, advice)


def _count_infinite(values: pd.Series) -> int:
    if not pd.api.types.is_float_dtype(values.dtype):
        return 0
    return int(np.isinf(values.to_numpy(dtype=np.float64, na_value=np.nan)).sum())


def _goes_with(facts: Facts, names: list[str]) -> Iterator[Finding]:
    """Report the association of missing values with the target, and with the most associated column."""
    others = [str(name) for name in facts.frame.columns][:60]
    tests = max(1, len(names) * (len(others) + 1))
    rows = facts.sample
    effects: list[tuple[float, str]] = []
    together: list[str] = []
    for name in names:
        absent = facts.missing(name)[rows]
        if facts.target is not None:
            effect, p = _association(absent, facts.target_codes[rows].astype(float), facts.classes)
            if p * tests < SURE and effect > LEAST_EFFECT:
                effects.append((effect, name))
        associations = []
        for other in others:
            if other == name:
                continue
            effect, p = _association(absent, facts.coded(other)[rows], not facts.numeric(other))
            missing_effect, missing_p = _association(absent, facts.missing(other)[rows].astype(float), True)
            associations += [(effect, p, other), (missing_effect, missing_p, f"missing values of {other}")]
        best = max((k for k in associations if k[1] * tests < SURE), default=(0.0, 1.0, ""))
        if best[0] > 2 * LEAST_EFFECT:
            together.append(f"{name} with {best[2]} ({best[0]:.2f})")
    if effects:
        effects.sort(reverse=True)
        evidence = tuple(f"{name}: {effect:.2f}" for effect, name in effects[:MOST_LISTED])
        text = f"missing values are associated with the target, most in {effects[0][1]} (effect {effects[0][0]:.2f})"
        category = WARNING if effects[0][0] > 0.6 else NOTE
        yield Finding("missing values", category, text, "check that missingness is known at prediction time", evidence)
    if together:
        text = f"missing values are associated: {together[0]}"
        yield Finding("missing values", OK, text, "", tuple(together[:MOST_LISTED]))


def _association(absent: np.ndarray, values: np.ndarray, categories: bool) -> tuple[float, float]:
    """Return effect in [0, 1] and p-value: Cramér's V (1946) for categories, else ``|2 AUC - 1|``."""
    from scipy import stats

    present = ~np.isnan(values)
    absent, values = absent[present], values[present]
    if absent.all() or not absent.any():
        return 0.0, 1.0
    if categories:
        return compute_cramers_v(absent, np.minimum(pd.factorize(values)[0], 50))
    one, two = values[absent], values[~absent]
    test = stats.mannwhitneyu(one, two)
    return float(abs(2 * test.statistic / (len(one) * len(two)) - 1)), float(test.pvalue)


def check_constants(facts: Facts) -> Iterator[Finding]:
    """Report constant and nearly constant columns."""
    nearly: list[tuple[str, str]] = []
    left_out: list[str] = []
    empty: list[str] = []
    for column in facts.columns:
        constant = bool(column.left_out) and column.distinct <= 1  # in the training rows
        if column.name in facts.frame and (constant or not column.left_out):
            text = _describe_nearly_constant(facts, column.name)
            if text:
                left = ", and training rows have no other, so the column is left out" if constant else ""
                nearly.append((column.name, text + left))
                continue
        if constant:
            (left_out if column.distinct else empty).append(column.name)
    for names, why in ((left_out, "with only one value"), (empty, "without values")):
        if names:
            word = "columns are" if len(names) > 1 else "column is"
            yield Finding("constant columns", OK, f"{len(names)} {word} left out, {why}: {join_first(names)}")
    if nearly:
        words = f"{len(nearly)} columns are" if len(nearly) > 1 else "1 column is"
        text = f"{words} nearly constant: {join_first([name for name, _ in nearly])}"
        advice = f"{format_option('drop', nearly[0][0])}, if the few other rows do not matter"
        yield Finding("constant columns", NOTE, text, advice, *format_evidence(nearly))


def _describe_nearly_constant(facts: Facts, name: str) -> str:
    """Return the most frequent value and its count if a column has hardly any other; empty otherwise."""
    if (
        facts.frame[name].iloc[facts.sample].value_counts(normalize=True, dropna=False).iloc[0]
        < NEARLY_ALL_OF_FEW - 0.01
    ):
        return ""  # the sample suffices to see that it varies
    counts = facts.frame[name].value_counts(dropna=False)
    rows, top = int(counts.sum()), int(counts.iloc[0])
    few = rows - top < LEAST_OTHERS and top >= NEARLY_ALL_OF_FEW * rows
    if len(counts) < 2 or not (few or top >= NEARLY_ALL * rows):
        return ""
    value = counts.index[0]
    return f"{top:,} of {rows:,} values are {'missing' if pd.isna(value) else value}"


def check_heterogeneity(facts: Facts) -> Iterator[Finding]:
    """Report columns with mixed units, several spellings of a category, or other remarks."""
    alike: dict[str, list[tuple[str, str]]] = {}
    for column in facts.columns:
        for remark in column.remarks:
            form = remark if column.name in remark else re.sub(r"\d+", "#", remark)
            alike.setdefault(form, []).append((column.name, remark))
    for form, named_remarks in alike.items():
        yield from _remarks(form, named_remarks)
    for name in map(str, facts.frame.columns):
        if facts.kind(name) == "number":
            yield from _units(name, facts.coded(name)[facts.sample])
        elif facts.kind(name) in ("category", "ordered", "yes or no", "hashed") and not facts.numeric(name):
            yield from _spellings(f"column {name}", facts.frame[name])
    if facts.target is not None and facts.classes:
        yield from _spellings(f"the target {facts.target.name}", facts.target)


def _remarks(form: str, named_remarks: list[tuple[str, str]]) -> Iterator[Finding]:
    """Report remarks on columns; remarks of many columns that differ in at most one number are joined."""
    if len(named_remarks) < 3 or form.count("#") > 1:
        yield from (
            Finding("columns", NOTE, f"column {name}{_joint(remark)}{remark}") for name, remark in named_remarks
        )
        return
    sizes = sorted({int(number) for _, remark in named_remarks for number in re.findall(r"\d+", remark)})
    several = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else str(sizes[0]) if sizes else ""
    yield Finding(
        "columns", NOTE, f"columns {join_first([name for name, _ in named_remarks])}: {form.replace('#', several)}"
    )


def _joint(remark: str) -> str:
    """Return the separator between a column's name and a remark: a space before a verb, else a colon."""
    return " " if remark.startswith(("looks ", "has ", "is ")) else ": "


def _units(name: str, values: np.ndarray) -> Iterator[Finding]:
    positive = np.sort(np.log10(values[values > 0]))
    if len(positive) < 50 or len(positive) < 0.9 * np.isfinite(values).sum() or len(np.unique(positive)) < 20:
        return
    gaps = np.diff(positive)
    place = int(gaps.argmax())
    low, high = positive[: place + 1], positive[place + 1 :]
    sides = min(len(low), len(high)) / len(positive)
    if gaps[place] > GAP and sides >= LEAST_SIDE and max(np.ptp(low), np.ptp(high)) < 1.5 * gaps[place]:
        factor = 10 ** (np.median(high) - np.median(low))
        text = (
            f"column {name} has two separate scales, around {10 ** np.median(low):.3g} and "
            f"{10 ** np.median(high):.3g}: possibly two units that differ by a factor of {factor:.3g}"
        )
        yield Finding(
            "heterogeneity", WARNING, text, "convert the column to one unit", (f"{format_fraction(sides)} on one side",)
        )


def _spellings(name: str, values: pd.Series) -> Iterator[Finding]:
    counts = values.dropna().astype(str).value_counts()
    if not 2 <= len(counts) <= 5000:
        return
    several = find_spellings(counts.index)
    if several:
        shown = tuple(map(describe_spellings, several[:MOST_LISTED]))
        text = f"{name} has several spellings of {len(several)} categories, such as {shown[0]}"
        yield Finding("heterogeneity", WARNING, text, "use one spelling", shown)
        return
    if len(counts) > 200:
        return
    for rare in counts.index[counts <= max(3, 0.002 * counts.sum())]:
        words = [
            category
            for category in counts.index
            if counts[category] > 20 * counts[rare] and not _differs(category, rare)
        ]
        near = difflib.get_close_matches(rare, words, n=1, cutoff=0.88)
        if near:
            text = f"{name}: {rare!r} ({counts[rare]} rows) may be a typo of {near[0]!r} ({counts[near[0]]:,} rows)"
            yield Finding("heterogeneity", NOTE, text)


def _differs(one: str, other: str) -> bool:
    """Return whether two categories differ in a number, or are too short to compare."""
    return re.findall(r"\d+", one) != re.findall(r"\d+", other) or min(len(one), len(other)) < 5


def check_outliers(facts: Facts) -> Iterator[Finding]:
    """Report outliers (Tukey 1977, with a wider fence)."""
    outlying = []
    for name in map(str, facts.frame.columns):
        if facts.kind(name) != "number":
            continue
        values = facts.coded(name)
        present = values[~np.isnan(values)]
        if len(present) < 50:
            continue
        low, high = np.percentile(present, [25, 75])
        width = high - low
        if width <= 0:
            continue
        far = np.flatnonzero((values < low - FAR * width) | (values > high + FAR * width))
        if len(far) and len(far) <= max(5, 0.01 * len(present)):
            worst = far[np.argsort(-np.abs(values[far] - np.median(present)))]
            rows = facts.rows(worst, 3, ordered=False)
            outlying.append((name, f"{len(far)} values such as {values[worst[0]]:g}, rows {rows}"))
    if outlying:
        text = f"values far outside the interquartile range in {join_first([name for name, _ in outlying])}"
        advice = "check that they are correct; --set scaling=robust_quantile limits their effect"
        yield Finding("outliers", NOTE, text, advice, *format_evidence(outlying))
    else:
        yield Finding("outliers", OK, "no value is far outside the interquartile range")
