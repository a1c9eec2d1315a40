"""Checks for drift: differences between training and test rows, column by column and by a classifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from zoo.data.columns.describe_table import SPLIT_NAMES
from zoo.errors import MOST_LISTED, join_first
from zoo.reporting.check_inputs import MOST_COLUMNS, NOTE, OK, WARNING, Facts, Finding, format_option
from zoo.text import format_fraction

FOLDS = 3
LEAST_ROWS, LEAST_PRESENT = 10, 30
ALPHA = 0.01  # family-wise, over all columns
# Effect: the Kolmogorov-Smirnov distance or Cramér's V. A shift of half a standard deviation has a distance of 0.2.
LEAST_EFFECT, LARGE_EFFECT = 0.1, 0.2
LEAST_AUC, LARGE_AUC = 0.6, 0.75
MOST_CATEGORIES, LEAST_EXPECTED = 20, 5.0


@dataclass(frozen=True)
class Difference:
    """A difference between training and test rows in one column.

    Args:
        name: The column.
        effect: Kolmogorov-Smirnov distance or Cramér's V.
        text: Description with figures.
    """

    name: str
    effect: float
    text: str


def check_drift(facts: Facts) -> Iterator[Finding]:
    """Report differences between training and test rows.

    Each column is tested on its own, corrected for the number of columns (Bonferroni), and a classifier looks for
    differences of several columns together (Lopez-Paz and Oquab 2017, "Revisiting Classifier Two-Sample Tests").
    """
    rows = facts.sample[np.isin(facts.split[facts.sample], ("train", "test"))]
    test = facts.split[rows] == "test"
    if min(int(test.sum()), int((~test).sum())) < LEAST_ROWS:
        return
    # Dates and split columns distinguish the splits by definition.
    names = [n for n in facts.used if facts.kind(n) != "date" and not SPLIT_NAMES.match(n)][:MOST_COLUMNS]
    differences = find_differences(facts, rows, test, names)
    auc, by_chance = _compare_together(facts, rows, test, names)
    classifier = f"a classifier distinguishes test from training rows with an AUC of {auc:.2f}"
    differ = auc >= max(LEAST_AUC, by_chance)
    if not differences and not differ:
        text = f"{classifier}: no drift" if by_chance else "no column differs between training and test rows"
        yield Finding("drift", OK, text)
        return
    largest = max((difference.effect for difference in differences), default=0.0)
    level = WARNING if largest >= LARGE_EFFECT or (differ and auc >= LARGE_AUC) else NOTE
    if differences:
        text = f"test rows differ from training rows in {join_first([d.name for d in differences])}"
        text += f"; {classifier}" if differ else ""
    else:
        text = f"{classifier}, by several columns together"
    evidence = tuple(f"{d.name}: {d.text}" for d in differences[:MOST_LISTED])
    yield Finding("drift", level, text, _advise(facts, differences), evidence, max(0, len(differences) - MOST_LISTED))


def _advise(facts: Facts, differences: Sequence[Difference]) -> str:
    columns = [difference.name for difference in differences if difference.name in facts.used]
    drop = f", or {format_option('drop', columns[0])} if it will not be as in training" if columns else ""
    if facts.test_from is not None:
        return f"check that both sources measure the same in the same units{drop}"
    return f"use a random split unless new rows will be like the test rows{drop}"


def find_differences(facts: Facts, rows: np.ndarray, test: np.ndarray, names: Sequence[str]) -> list[Difference]:
    """Return the columns whose distributions differ, the largest effect first.

    Numbers are compared by a Kolmogorov-Smirnov and a Mann-Whitney test, categories and the fraction of missing values
    by a chi-square test.

    Args:
        facts: The table.
        rows: Positions of the compared rows (N,).
        test: Mask of the test rows among them (N,).
        names: Columns to compare.
    """
    results: list[tuple[Difference, float]] = []
    for name in names:
        values = facts.coded(name)[rows]
        results += _compare(name, values, test, facts.numeric(name))
    if facts.target is not None:
        target = facts.target_codes[rows].astype(float)
        results += _compare(f"the target {_name_target(facts)}".rstrip(), target, test, not facts.classes)
    found_differences = [d for d, p in results if p * len(results) < ALPHA and d.effect >= LEAST_EFFECT]
    largest: dict[str, Difference] = {}  # of values and missing values of a column, the larger difference
    for difference in sorted(found_differences, key=lambda difference: -difference.effect):
        largest.setdefault(difference.name, difference)
    return list(largest.values())


def _name_target(facts: Facts) -> str:
    name = str(facts.target.name) if facts.target is not None else ""
    return "" if name.startswith("\0") else name


def _compare(name: str, values: np.ndarray, test: np.ndarray, numeric: bool) -> list[tuple[Difference, float]]:
    """Return the differences of a column's values and of its missing values, with p-values."""
    missing = np.isnan(values)
    results = []
    if LEAST_ROWS <= int(missing.sum()) <= len(missing) - LEAST_ROWS:
        effect, p = _compare_categories(missing.astype(float), test)
        shares = [format_fraction(float(missing[side].mean())) for side in (~test, test)]
        results.append((Difference(name, effect, f"{shares[0]} missing in training, {shares[1]} in test"), p))
    one, two = values[~test & ~missing], values[test & ~missing]
    if min(len(one), len(two)) < LEAST_ROWS:
        return results
    if numeric:
        effect, p = _compare_numbers(one, two)
        text = f"median {np.median(one):.4g} in training, {np.median(two):.4g} in test (distance {effect:.2f})"
    else:
        effect, p = _compare_categories(values[~missing], test[~missing])
        text = f"other frequencies of its categories (Cramér's V {effect:.2f})"
    return [*results, (Difference(name, effect, text), p)]


def _compare_numbers(one: np.ndarray, two: np.ndarray) -> tuple[float, float]:
    from scipy import stats

    distance = stats.ks_2samp(one, two, method="asymp")  # any difference
    shift = stats.mannwhitneyu(one, two, method="asymptotic")  # a shift, with fewer rows
    ps = [float(p) for p in (distance.pvalue, shift.pvalue) if np.isfinite(p)]  # NaN if all values are equal
    return float(distance.statistic), min(1.0, 2 * min(ps, default=1.0))


def _compare_categories(codes: np.ndarray, test: np.ndarray) -> tuple[float, float]:
    """Return Cramér's V, without its bias (Bergsma 2013), and the p-value; rare categories are joined."""
    from scipy import stats

    counts = pd.Series(codes).value_counts()
    least = LEAST_EXPECTED / min(test.mean(), 1 - test.mean())  # Cochran's rule for the chi-square approximation
    kept = counts.index[counts >= least][:MOST_CATEGORIES]
    joined = np.where(np.isin(codes, kept), codes, np.inf)
    table = pd.crosstab(test, joined).to_numpy()
    if table.shape[1] < 2 or table.shape[0] < 2:
        return 0.0, 1.0
    chi = stats.chi2_contingency(table, correction=table.shape[1] == 2)
    excess = max(0.0, (chi.statistic - chi.dof) / table.sum())
    return float(np.sqrt(excess)), float(chi.pvalue)


def _compare_together(facts: Facts, rows: np.ndarray, test: np.ndarray, names: Sequence[str]) -> tuple[float, float]:
    """Return the AUC of a classifier of test and training rows, and the AUC that chance may reach; 0 if not fitted."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    n_test, n_train = int(test.sum()), int((~test).sum())
    # Boosting needs values in each column in each fold.
    names = [name for name in names if np.isfinite(facts.coded(name)[rows]).sum() >= LEAST_PRESENT]
    if min(n_test, n_train) < LEAST_PRESENT or not names:
        return 0.5, 0.0
    x = np.stack([facts.coded(name)[rows] for name in names], axis=1)
    model = HistGradientBoostingClassifier(max_iter=50, random_state=0)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    probability = cross_val_predict(model, x, test.astype(int), cv=folds, method="predict_proba")[:, 1]
    error = np.sqrt((1 / n_test + 1 / n_train) / 12)  # of the AUC of equal distributions
    return float(roc_auc_score(test, probability)), 0.5 + 3 * float(error)
