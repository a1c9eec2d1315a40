"""Association rules of training baskets: frequent item sets by FP-growth, with support, confidence and lift."""

from __future__ import annotations

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

# More frequent item sets than this make no table that anybody reads; FP-growth could then take all memory.
MOST_SETS = 20_000
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

    FP-growth of mlxtend (Han, Pei and Yin 2000, "Mining frequent patterns without candidate generation"); support,
    confidence and lift as in Agrawal, Imieliński and Swami 1993 and Brin et al. 1997. A rule has any number of items on
    both sides.

    Args:
        baskets: Codes of the different items of each basket, from 1.
        items: Name of each item, by code.
        support: Fraction of baskets that a frequent item set is in; None for 0.005, or the first doubling of it that
            does not give too many sets.
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
    while sets is None and support is None and chosen < 0.5:
        chosen *= 2
        sets = _mine_sets(baskets, len(items), chosen)
    if sets is None:
        message = (
            f"a support of {chosen:g} gives more than {MOST_SETS:,} frequent item sets; use a higher --min-support"
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
    """Return ``support`` and ``itemsets`` (of item numbers, from 0) of frequent sets; None if there are too many.

    Sets are mined up to one, two, … items, so that the number of sets is noticed before it explodes.
    """
    from mlxtend.frequent_patterns import fpgrowth

    least = max(LEAST_COUNT, int(np.ceil(support * len(baskets) - 1e-9)))
    flat = np.concatenate([*baskets, np.empty(0, np.int32)]).astype(np.int64) - 1
    rows = np.repeat(np.arange(len(baskets)), [len(basket) for basket in baskets])
    frequent = np.flatnonzero(np.bincount(flat, minlength=items) >= least)
    place = np.full(items, -1)
    place[frequent] = np.arange(len(frequent))
    kept = place[flat] >= 0
    shape = (len(baskets), len(frequent))
    table = scipy.sparse.csr_matrix((np.ones(kept.sum(), bool), (rows[kept], place[flat[kept]])), shape=shape)
    if len(frequent) + _count_pairs(table, least) > MOST_SETS:
        return None
    if not len(frequent):
        return pd.DataFrame({"support": np.empty(0), "itemsets": []})
    sparse: Any = pd.DataFrame.sparse
    frame = sparse.from_spmatrix(table)
    largest, count = 2, 0
    while True:
        sets = fpgrowth(frame, min_support=(least - 0.5) / len(baskets), max_len=largest)
        if len(sets) > MOST_SETS:
            return None
        if len(sets) == count or sets["itemsets"].map(len).max() < largest:
            break
        count, largest = len(sets), largest + 1
    return sets.assign(itemsets=[frozenset(int(frequent[item]) for item in chosen) for chosen in sets["itemsets"]])


def _count_pairs(table: scipy.sparse.csr_matrix, least: int) -> int:
    """Return the number of pairs of columns that are together in enough rows, a few columns at a time."""
    numbers, step, pairs = table.astype(np.int32), 500, 0
    for start in range(0, table.shape[1], step):
        together = (numbers[:, start : start + step].T @ numbers).tocoo()
        pairs += int(((together.data >= least) & (together.col > together.row + start)).sum())
        if pairs > MOST_SETS:
            break
    return pairs


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
    from mlxtend.frequent_patterns import association_rules

    columns = ["if", "then", "count", "support", "confidence", "lift"]
    if sets.empty or sets["itemsets"].map(len).max() < 2:
        return pd.DataFrame(columns=columns)
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
