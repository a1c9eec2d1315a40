"""Checks of columns: missing values, constants, mixed units and spellings, outliers."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator

import numpy as np
import pandas as pd

from zoo.errors import MOST_LISTED, listed
from zoo.reporting.check_inputs import NOTE, OK, WARNING, Facts, Finding, cramers_v, evidence_of, option, share

NEARLY_ALL = 0.995
LEAST_EFFECT, SURE = 0.15, 0.001
GAP, LEAST_SIDE = np.log10(8.0), 0.02
FAR = 10.0  # interquartile ranges beyond the quartiles


def missing_values(facts: Facts) -> Iterator[Finding]:
    """Tell where values are missing, and what their being missing goes with."""
    shares = {name: float(facts.missing(name).mean()) for name in map(str, facts.frame.columns)}
    lacking = {name: split for name, split in shares.items() if split > 0}
    infinite = {n: k for n in map(str, facts.frame.columns) if (k := _infinite(facts.frame[n]))}
    for name, (count, row) in infinite.items():
        text = f"column {name} has {count} infinite values, the first in row {row + 1}; they are taken as missing"
        yield Finding("missing values", WARNING, text)
    if not lacking:
        yield Finding("missing values", OK, "none")
        return
    worst = sorted(lacking, key=lambda name: -lacking[name])
    evidence = tuple(f"{name}: {share(lacking[name])}" for name in worst[:MOST_LISTED])
    text = f"{len(lacking)} of {len(shares)} columns lack values, {worst[0]} most: {share(lacking[worst[0]])}"
    advice = option("missing", f"{worst[0]}=drop") if lacking[worst[0]] > 0.5 else ""
    yield Finding("missing values", NOTE, text, advice, evidence)
    yield from _goes_with(facts, [n for n in worst if 0.005 < lacking[n] < 0.995][:20])


def _infinite(values: pd.Series) -> tuple[int, int] | None:
    if not pd.api.types.is_float_dtype(values.dtype):
        return None
    found = np.flatnonzero(np.isinf(values.to_numpy(dtype=np.float64, na_value=np.nan)))
    return (len(found), int(values.index[found[0]])) if len(found) else None


def _goes_with(facts: Facts, names: list[str]) -> Iterator[Finding]:
    """What a value's being missing goes with: the target first, then the column that tells most of it."""
    others = [str(name) for name in facts.frame.columns][:60]
    tests = max(1, len(names) * (len(others) + 1))
    rows = facts.sample
    told: list[tuple[float, str]] = []
    together: list[str] = []
    for name in names:
        absent = facts.missing(name)[rows]
        if facts.target is not None:
            effect, p = _association(absent, facts.target_codes[rows].astype(float), facts.classes)
            if p * tests < SURE and effect > LEAST_EFFECT:
                told.append((effect, name))
        known = []
        for other in others:
            if other == name:
                continue
            effect, p = _association(absent, facts.coded(other)[rows], not facts.numeric(other))
            both, sure = _association(absent, facts.missing(other)[rows].astype(float), True)
            known += [(effect, p, other), (both, sure, f"the missing of {other}")]
        best = max((k for k in known if k[1] * tests < SURE), default=(0.0, 1.0, ""))
        if best[0] > 2 * LEAST_EFFECT:
            together.append(f"{name} with {best[2]} ({best[0]:.2f})")
    if told:
        told.sort(reverse=True)
        evidence = tuple(f"{name}: {effect:.2f}" for effect, name in told[:MOST_LISTED])
        text = f"whether a value is missing goes with the target, most in {told[0][1]} (association {told[0][0]:.2f})"
        level = WARNING if told[0][0] > 0.6 else NOTE
        yield Finding("missing values", level, text, "is it known before the fact that it is missing?", evidence)
    if together:
        text = f"what is missing goes together: {together[0]}"
        yield Finding("missing values", OK, text, "", tuple(together[:MOST_LISTED]))


def _association(absent: np.ndarray, values: np.ndarray, levels: bool) -> tuple[float, float]:
    """Effect from 0 to 1 and p-value: Cramér's V (1946) with levels, else twice the distance of the AUC from a half."""
    from scipy import stats

    known = ~np.isnan(values)
    absent, values = absent[known], values[known]
    if absent.all() or not absent.any():
        return 0.0, 1.0
    if levels:
        return cramers_v(absent, np.minimum(pd.factorize(values)[0], 50))
    one, two = values[absent], values[~absent]
    found = stats.mannwhitneyu(one, two)
    return float(abs(2 * found.statistic / (len(one) * len(two)) - 1)), float(found.pvalue)


def constants(facts: Facts) -> Iterator[Finding]:
    """Tell which columns hardly vary."""
    nearly: list[tuple[str, str]] = []
    left_out: list[str] = []
    empty: list[str] = []
    for known in facts.columns:
        if known.left_out and known.distinct <= 1:
            (left_out if known.distinct else empty).append(known.name)
        elif known.name in facts.frame and not known.left_out:
            values = facts.frame[known.name]
            if values.iloc[facts.sample].value_counts(normalize=True, dropna=False).iloc[0] < NEARLY_ALL - 0.01:
                continue
            top = values.value_counts(normalize=True, dropna=False)
            if len(top) > 1 and top.iloc[0] >= NEARLY_ALL:
                nearly.append((known.name, f"{share(float(top.iloc[0]))} are {top.index[0]}"))
    for names, why in ((left_out, "with one value only"), (empty, "without any value")):
        if names:
            word = "columns are" if len(names) > 1 else "column is"
            yield Finding("constant columns", OK, f"{len(names)} {word} left out, {why}: {listed(names)}")
    if nearly:
        text = f"{len(nearly)} columns hardly vary: {listed([name for name, _ in nearly])}"
        yield Finding("constant columns", NOTE, text, "--drop COLUMN, if they say nothing", evidence_of(nearly))


def heterogeneity(facts: Facts) -> Iterator[Finding]:
    """Tell which columns mix units, spell a level in several ways, or look like something else than a feature."""
    alike: dict[str, list[tuple[str, str]]] = {}
    for known in facts.columns:
        for remark in known.remarks:
            form = remark if known.name in remark else re.sub(r"\d+", "#", remark)
            alike.setdefault(form, []).append((known.name, remark))
    for form, told in alike.items():
        yield from _remarks(form, told)
    for name in map(str, facts.frame.columns):
        if facts.kind(name) == "number":
            yield from _units(name, facts.coded(name)[facts.sample])
        elif facts.kind(name) in ("category", "ordered", "yes or no", "hashed") and not facts.numeric(name):
            yield from _spellings(name, facts.frame[name])


def _remarks(form: str, told: list[tuple[str, str]]) -> Iterator[Finding]:
    """What was remarked of a column; of many that differ in one number at most, once for all."""
    if len(told) < 3 or form.count("#") > 1:
        yield from (Finding("columns", NOTE, f"column {name}{_joint(remark)}{remark}") for name, remark in told)
        return
    sizes = sorted({int(number) for _, remark in told for number in re.findall(r"\d+", remark)})
    several = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else str(sizes[0]) if sizes else ""
    yield Finding("columns", NOTE, f"columns {listed([name for name, _ in told])}: {form.replace('#', several)}")


def _joint(remark: str) -> str:
    """What stands between a column's name and a remark: nothing before a verb."""
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
            f"column {name} has two scales, around {10 ** np.median(low):.3g} and {10 ** np.median(high):.3g}, with "
            f"nothing between: are there two units, a factor of {factor:.3g} apart?"
        )
        yield Finding("heterogeneity", WARNING, text, "bring them to one unit before", (f"{share(sides)} on one side",))


def _spellings(name: str, values: pd.Series) -> Iterator[Finding]:
    counts = values.dropna().astype(str).value_counts()
    if not 2 <= len(counts) <= 5000:
        return
    forms: dict[str, list[str]] = {}
    for level in counts.index:
        forms.setdefault(_plain(level), []).append(level)
    several = [levels for form, levels in forms.items() if len(levels) > 1 and form]
    if several:
        shown = tuple(" = ".join(repr(level) for level in levels) for levels in several[:MOST_LISTED])
        text = f"column {name} spells {len(several)} of its levels in several ways, such as {shown[0]}"
        yield Finding("heterogeneity", WARNING, text, "spell them alike before", shown)
        return
    if len(counts) > 200:
        return
    for rare in counts.index[counts <= max(3, 0.002 * counts.sum())]:
        words = [level for level in counts.index if counts[level] > 20 * counts[rare] and not _differs(level, rare)]
        near = difflib.get_close_matches(rare, words, n=1, cutoff=0.88)
        if near:
            text = f"column {name}: is {rare!r} ({counts[rare]} rows) {near[0]!r} ({counts[near[0]]:,} rows), misspelt?"
            yield Finding("heterogeneity", NOTE, text)


def _differs(one: str, other: str) -> bool:
    """Levels that differ in a number are two levels, and short ones are alike by chance."""
    return re.findall(r"\d+", one) != re.findall(r"\d+", other) or min(len(one), len(other)) < 5


def _plain(level: str) -> str:
    """A level without case, accents, spaces and punctuation; signs that mean something stay."""
    text = unicodedata.normalize("NFKD", level.casefold())
    text = "".join(sign for sign in text if not unicodedata.combining(sign))
    return re.sub(r"[\s._\-'’,;:/]+", "", text) if not re.fullmatch(r"[\d\s.,\-]+.*", text) else text.strip()


def outliers(facts: Facts) -> Iterator[Finding]:
    """Tell which numbers lie far outside of the others (Tukey 1977, with a wider fence)."""
    found = []
    for name in map(str, facts.frame.columns):
        if facts.kind(name) != "number":
            continue
        values = facts.coded(name)
        known = values[~np.isnan(values)]
        if len(known) < 50:
            continue
        low, high = np.percentile(known, [25, 75])
        width = high - low
        if width <= 0:
            continue
        far = np.flatnonzero((values < low - FAR * width) | (values > high + FAR * width))
        if len(far) and len(far) <= max(5, 0.01 * len(known)):
            worst = far[np.argsort(-np.abs(values[far] - np.median(known)))]
            rows = facts.rows(worst, 3, ordered=False)
            found.append((name, f"{len(far)} values such as {values[worst[0]]:g}, rows {rows}"))
    if found:
        text = f"far outside of the middle half: values of {listed([name for name, _ in found])}"
        advice = "are they right? --set scaling=robust_quantile tames them, where it is not the default"
        yield Finding("outliers", NOTE, text, advice, evidence_of(found))
    else:
        yield Finding("outliers", OK, "no number lies far outside of the middle half")
