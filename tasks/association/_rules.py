"""Association rules of training baskets: frequent item sets by Eclat, with support, confidence and lift."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from zoo.data.dataset import Dataset
from zoo.errors import DataError
from zoo.spec import TextInput

from ._hidden import encode_baskets

# More frequent item sets or rules than this make no table that anybody reads, and take long to find.
MOST_SETS, MOST_RULES = 20_000, 200_000
DEFAULT_SUPPORT = 0.005
LEAST_COUNT = 2
DIGITS = 6  # decimals in tables


@dataclass(frozen=True)
class Rules:
    """Frequent item sets and the rules between their items.

    Args:
        item_sets: ``items`` (text), ``size``, ``count`` and ``support`` of each frequent item set.
        rules: ``if`` and ``then`` (texts), ``count``, ``support``, ``confidence`` and ``lift`` of each rule, those with
            the highest lift first.
        support: The minimum support.
        confidence: The minimum confidence.
    """

    item_sets: pd.DataFrame
    rules: pd.DataFrame
    support: float
    confidence: float


def mine_rules(
    baskets: Sequence[np.ndarray],
    items: Sequence[str],
    support: float | None,
    confidence: float,
    *,
    where: str = "data",
) -> Rules:
    """Return the frequent item sets of baskets and the rules with enough confidence.

    Sets by Eclat (Zaki 2000), rules by mlxtend; support, confidence and lift as in Agrawal, Imieliński and Swami 1993
    and Brin et al. 1997. A rule has any number of items on both sides.

    Args:
        baskets: Codes of the different items of each basket, from 1.
        items: Name of each item, by code.
        support: Fraction of baskets that a frequent item set is in; None for 0.005, or the first doubling of it that
            does not give too many sets, if there is one.
        confidence: Minimum confidence of rules.
        where: Name of the source in error messages.

    Raises:
        DataError: If the given support gives too many item sets.

    Example:
        >>> rules = mine_rules([np.array([1, 2]), np.array([1, 2]), np.array([1])], ["beer", "crisps"], 0.5, 0.9).rules
        >>> rules[["if", "then", "count", "confidence"]].to_numpy().tolist()
        [['crisps', 'beer', 2, 1.0]]
    """
    chosen = DEFAULT_SUPPORT if support is None else support
    sets = _mine_sets(baskets, len(items), chosen)
    while sets is None and support is None and chosen < 1:
        chosen = min(2 * chosen, 1.0)
        sets = _mine_sets(baskets, len(items), chosen)
    if sets is None and support is None:  # many items are in all baskets, about which no rule says anything
        sets = pd.DataFrame({"support": np.empty(0), "itemsets": []})
    if sets is None:
        message = (
            f"a support of {chosen:g} gives more than {MOST_SETS:,} frequent item sets, or {MOST_RULES:,} rules; use a "
            "higher --min-support"
        )
        raise DataError(message, where=where)
    names = np.array(items, dtype=object)
    return Rules(
        _list_sets(sets, names, len(baskets)), _find_rules(sets, names, len(baskets), confidence), chosen, confidence
    )


def mine_rules_of(dataset: Dataset) -> Rules:
    """Return the rules of the training baskets, by the options of the dataset's spec."""
    spec = dataset.spec
    baskets = encode_baskets(dataset.splits["train"], spec)
    support, confidence = spec.options.get("min_support"), spec.options["min_confidence"]
    return mine_rules(baskets, spec.only(TextInput).vocabulary, support, confidence, where=dataset.source)


def _mine_sets(baskets: Sequence[np.ndarray], items: int, support: float) -> pd.DataFrame | None:
    """Return ``support`` and ``itemsets`` (of item numbers, from 0) of frequent sets; None if there are too many."""
    least = max(LEAST_COUNT, int(np.ceil(support * len(baskets) - 1e-9)))
    flat = np.concatenate([*baskets, np.empty(0, np.int32)]).astype(np.int64) - 1
    rows = np.repeat(np.arange(len(baskets)), [len(basket) for basket in baskets])
    counts = np.bincount(flat, minlength=items)
    frequent = np.flatnonzero(counts >= least)
    frequent = frequent[np.argsort(counts[frequent], kind="stable")]  # rare items first have few rows and partners
    place = np.full(items, -1)
    place[frequent] = np.arange(len(frequent))
    kept = place[flat] >= 0
    shape = (len(baskets), len(frequent))
    table = scipy.sparse.csc_matrix((np.ones(kept.sum(), bool), (rows[kept], place[flat[kept]])), shape=shape)
    partners = _find_partners(table, least)
    larger = None if partners is None else _extend_sets(table, partners, least)
    if larger is None:
        return None
    sets = {(item,): int(counts[frequent[item]]) for item in range(len(frequent))} | larger
    possible = sum(2 ** len(chosen) - 2 for chosen in sets)
    if len(sets) > MOST_SETS or possible > MOST_RULES:
        return None
    return pd.DataFrame(
        {
            "support": np.array(list(sets.values()), float) / max(len(baskets), 1),
            "itemsets": [frozenset(int(frequent[item]) for item in chosen) for chosen in sets],
        }
    )


def _find_partners(table: scipy.sparse.csc_matrix, least: int) -> list[np.ndarray] | None:
    """Return for each column the later ones that it is together with in enough rows; None if there are too many."""
    numbers, step, partners, pairs = table.astype(np.int32), 500, [], 0
    for start in range(0, table.shape[1], step):
        together = (numbers[:, start : start + step].T @ numbers).tocsr()
        for row in range(together.shape[0]):
            part = slice(together.indptr[row], together.indptr[row + 1])
            columns = together.indices[part][together.data[part] >= least]
            partners.append(np.sort(columns[columns > start + row]))
            pairs += len(partners[-1])
        if pairs > MOST_SETS:
            return None
    return partners


def _extend_sets(
    table: scipy.sparse.csc_matrix, partners: Sequence[np.ndarray], least: int
) -> dict[tuple[int, ...], int] | None:
    """Return the number of rows of each frequent set of two columns or more; None if there are too many.

    Eclat: a set grows column by column, as long as enough rows have all of them (Zaki 2000, "Scalable algorithms for
    association mining", section 4). Unlike FP-growth of mlxtend it can end as soon as there are too many.
    """
    by_row, counts = table.tocsr(), dict[tuple[int, ...], int]()
    for first, later in enumerate(partners):
        rows = table.indices[table.indptr[first] : table.indptr[first + 1]]
        waiting: list[tuple[tuple[int, ...], np.ndarray, np.ndarray]] = []
        if len(later):
            waiting.append(((first,), by_row[rows][:, later].toarray(), later))
        while waiting:
            chosen, present, others = waiting.pop()  # which of the others each row with the chosen ones has
            sizes = present.sum(axis=0)
            enough = sizes >= least
            present, others, sizes = present[:, enough], others[enough], sizes[enough]
            for place, item in enumerate(others):
                counts[*chosen, int(item)] = int(sizes[place])
                if place + 1 < len(others):
                    rest = present[present[:, place], place + 1 :]
                    waiting.append(((*chosen, int(item)), rest, others[place + 1 :]))
            if len(counts) > MOST_SETS:
                return None
    return counts


def _import_mlxtend() -> Any:
    """Return mlxtend's frequent patterns; its import lets all libraries print deprecation warnings, which is undone."""
    with warnings.catch_warnings():
        from mlxtend import frequent_patterns

    return frequent_patterns


def _list_sets(sets: pd.DataFrame, names: np.ndarray, baskets: int) -> pd.DataFrame:
    listed = pd.DataFrame(
        {
            "items": [_join(chosen, names) for chosen in sets["itemsets"]],
            "size": [len(chosen) for chosen in sets["itemsets"]],
            "count": np.rint(sets["support"].to_numpy(float) * baskets).astype(np.int64),
            "support": sets["support"].to_numpy(float).round(DIGITS),
        }
    )
    return listed.sort_values(["count", "items"], ascending=[False, True], ignore_index=True)


def _find_rules(sets: pd.DataFrame, names: np.ndarray, baskets: int, confidence: float) -> pd.DataFrame:
    columns = ["if", "then", "count", "support", "confidence", "lift"]
    if sets.empty or sets["itemsets"].map(len).max() < 2:
        return pd.DataFrame(columns=columns)
    association_rules = _import_mlxtend().association_rules
    rules = association_rules(sets, metric="confidence", min_threshold=confidence - 1e-12, return_metrics=columns[3:])
    listed = pd.DataFrame(
        {
            "if": [_join(chosen, names) for chosen in rules["antecedents"]],
            "then": [_join(chosen, names) for chosen in rules["consequents"]],
            "count": np.rint(rules["support"].to_numpy(float) * baskets).astype(np.int64),
            **{name: rules[name].to_numpy(float).round(DIGITS) for name in columns[3:]},
        }
    )
    order = {"lift": False, "support": False, "if": True, "then": True}
    return listed.sort_values(list(order), ascending=list(order.values()), ignore_index=True)


def _join(chosen: frozenset[int], names: np.ndarray) -> str:
    return ", ".join(str(names[item]) for item in sorted(chosen))
