"""Checks for duplicate rows, within and across splits, and whether there are more than chance explains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from zoo.reporting.check_inputs import NOTE, OK, WARNING, Facts, Finding
from zoo.text import format_fraction

GRID = 0.02  # maximum difference of near-duplicates in each number, in standard deviations
LEAST_MEASURED, LEAST_DISTINCT = 4, 50
LEAST_ACROSS = 0.005  # fraction of a held-out split below which duplicates hardly change a score
DRAWS, MOST_ROWS = 16, 50_000
ALPHA, LEAST_EXCESS = 0.005, 10.0
LEAST_CONFLICTS = 0.02


@dataclass(frozen=True)
class Repeats:
    """Rows that are equal in all compared columns.

    Args:
        codes: Hash of each row (N,), equal for equal rows.
        extra: Number of rows that repeat an earlier one.
        by_chance: Number of equal pairs that chance explains.
    """

    codes: np.ndarray
    extra: int
    by_chance: float

    @property
    def are_copies(self) -> bool:
        """Whether there are far more repeats than chance explains (Poisson test, and an excess of ten times)."""
        from scipy import stats

        likely = stats.poisson.sf(self.extra - 1, self.by_chance) if self.by_chance > 0 else 0.0
        return bool(self.extra and likely < ALPHA and self.extra >= LEAST_EXCESS * self.by_chance)


def check_duplicates(facts: Facts) -> Iterator[Finding]:
    """Report duplicate rows, within and across splits, and whether their targets agree.

    In a table of few categories, rows are equal by chance. Copies are told from these by the number of equal pairs that
    would be expected if parts of the columns were independent of each other within each class.
    """
    names = [name for name in facts.used if not _counts_rows(facts, name)]
    if not names:
        return
    repeats = _find_repeats(facts, names, facts.coded)
    yield from _within(facts, repeats)
    yield from _conflicts(facts, repeats)
    yield from _across(facts, repeats, "duplicates", "equal")
    numbers = [name for name in names if facts.numeric(name)]
    measured = {name for name in numbers if len(np.unique(facts.coded(name)[facts.sample])) > LEAST_DISTINCT}
    if len(measured) >= LEAST_MEASURED:

        def round_measured(name: str) -> np.ndarray:
            return _round(facts.coded(name)) if name in measured else facts.coded(name)

        near = _find_repeats(facts, names, round_measured)
        near = replace(near, extra=near.extra - repeats.extra)  # without equal rows
        yield from _across(facts, near, "near-duplicates", "nearly equal", but=repeats.codes)


def _counts_rows(facts: Facts, name: str) -> bool:
    """Return whether a column numbers the rows, so that it differs between copies."""
    values = facts.coded(name)
    if not facts.numeric(name) or facts.kind(name) == "date" or np.isnan(values).any():
        return False
    return bool((values == np.floor(values)).all()) and len(np.unique(values)) == len(values)


def _round(values: np.ndarray) -> np.ndarray:
    """Return the cell of each value in a fine grid."""
    spread = np.nanstd(values)
    return np.round(values / (GRID * spread)) if spread > 0 else values


def _find_repeats(facts: Facts, names: Sequence[str], values_of: Callable[[str], np.ndarray]) -> Repeats:
    codes = np.zeros(len(facts.frame), np.uint64)
    for index, name in enumerate(names):  # one column at a time, to avoid a copy of the table
        codes += _hash(values_of(name), index)
    extra = len(codes) - len(np.unique(codes))
    by_chance = _estimate_pairs(facts, names, values_of) if extra else 0.0
    return Repeats(codes, extra, by_chance)


def _hash(values: np.ndarray, index: int) -> np.ndarray:
    """Return a hash of each value that depends on the column, so that sums of hashes identify rows."""
    return np.asarray(pd.util.hash_array(values + 0.0), np.uint64) * np.uint64(2 * index + 3)  # + 0.0: -0.0 equals 0.0


def _estimate_pairs(facts: Facts, names: Sequence[str], values_of: Callable[[str], np.ndarray]) -> float:
    """Return the number of equal pairs of rows expected by chance.

    The columns are divided at random in two, and pairs of rows are counted that are equal in the one part alone, in the
    other part alone, and in neither. If the parts are independent, the product of the first two by the third is the
    number of pairs equal in both, whatever the number of copies. Of several divisions the largest number counts, since
    columns depend on each other. A single column cannot be divided: all its repeats may be chance, unless it is a text.
    """
    n = len(facts.frame)
    if len(names) < 2:
        return 0.0 if facts.kind(names[0]) == "text" else float(n) ** 2
    rng = np.random.default_rng(facts.seed)
    rows = np.arange(n) if n <= MOST_ROWS else np.sort(rng.choice(n, MOST_ROWS, replace=False))
    parts = np.stack([rng.permutation(len(names)) < rng.integers(1, len(names)) for _ in range(DRAWS)])
    one, two = (np.zeros((DRAWS, len(rows)), np.uint64) for _ in range(2))
    for index, name in enumerate(names):
        hashes = _hash(values_of(name)[rows], index)
        one[parts[:, index]] += hashes
        two[~parts[:, index]] += hashes
    groups = facts.target_codes[rows] if facts.target is not None and facts.classes else np.zeros(len(rows), int)
    expected = np.zeros(DRAWS)
    for group in np.unique(groups):
        members = groups == group
        expected += [_expect_pairs(*pair) for pair in zip(one[:, members], two[:, members], strict=True)]
    return float(expected.max() * (n / len(rows)) ** 2)


def _expect_pairs(one: np.ndarray, two: np.ndarray) -> float:
    """Return the expected number of pairs of rows equal in both parts of the columns, from hashes of the parts (N,)."""
    total = len(one) * (len(one) - 1) / 2
    both = _count_pairs(one + two)
    in_one, in_two = _count_pairs(one) - both, _count_pairs(two) - both
    neither = total - both - in_one - in_two
    return in_one * in_two / max(neither, 1.0)


def _count_pairs(hashes: np.ndarray) -> float:
    counts = np.unique(hashes, return_counts=True)[1].astype(float)
    return float((counts * (counts - 1) / 2).sum())


def _within(facts: Facts, repeats: Repeats) -> Iterator[Finding]:
    if not repeats.extra:
        yield Finding("duplicates", OK, "no two rows are equal in all features")
        return
    fraction = repeats.extra / len(repeats.codes)
    rows = f"{repeats.extra:,} rows duplicate" if repeats.extra > 1 else "1 row duplicates"
    text = f"{rows} another in all features ({format_fraction(fraction)})"
    again = np.flatnonzero(pd.Series(repeats.codes).duplicated().to_numpy())
    if not repeats.are_copies:
        text += ", which columns of few values explain"
        yield Finding("duplicates", OK, text, "", (f"rows {facts.rows(again)}",))
        return
    advice = "remove them if they are copies, such as by pandas' drop_duplicates"
    yield Finding("duplicates", NOTE, text, advice, (f"rows {facts.rows(again)}",))


def _conflicts(facts: Facts, repeats: Repeats) -> Iterator[Finding]:
    """Report equal rows of different classes; where rows are equal by chance, the classes overlap."""
    if facts.target is None or not facts.classes:
        return
    kinds = pd.Series(facts.target_codes).groupby(repeats.codes).transform("nunique").to_numpy()
    disputed = np.flatnonzero(kinds > 1)
    if len(disputed):
        text = f"{len(disputed):,} rows equal a row of another class in all features: no model can distinguish them"
        serious = repeats.are_copies and len(disputed) > LEAST_CONFLICTS * len(repeats.codes)
        advice = "correct their labels, or add a column that distinguishes them"
        yield Finding(
            "conflicting labels", WARNING if serious else NOTE, text, advice, (f"rows {facts.rows(disputed)}",)
        )


def _across(facts: Facts, repeats: Repeats, topic: str, what: str, but: np.ndarray | None = None) -> Iterator[Finding]:
    """Report held-out rows that equal a row of an earlier split, except those that are equal by ``but``."""
    for split, earlier in (("validation", ("train",)), ("test", ("train", "validation"))):
        heldout, seen = np.flatnonzero(facts.split == split), np.isin(facts.split, earlier)
        repeated = heldout[np.isin(repeats.codes[heldout], repeats.codes[seen])]
        if but is not None:
            repeated = repeated[~np.isin(but[repeated], but[seen])]
        if not len(repeated):
            continue
        portion = len(repeated) / len(heldout)
        matters = portion >= LEAST_ACROSS
        if not matters and not repeats.are_copies:
            continue
        sources = " or ".join("training" if name == "train" else name for name in earlier if name in facts.split)
        rows = f"{split} row {what}s" if len(repeated) == 1 else f"{split} rows {what}"
        text = f"{len(repeated):,} {rows} a {sources} row in all features ({format_fraction(portion)} of the split)"
        evidence = (f"row{'s' if len(repeated) > 1 else ''} {facts.rows(repeated)}",)
        if repeats.are_copies:
            advice = (
                "they inflate the score; remove duplicates, or, if a column defines groups, use --split group=COLUMN"
            )
            yield Finding(topic, WARNING if matters else NOTE, text, advice, evidence)
        else:
            yield Finding(topic, NOTE, f"{text}, about as many as columns of few values explain", "", evidence)
