"""Rules, baselines and layers of association against direct computations."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo.tasks.association._baselines import FITS, create_matrix, rank_hidden
from zoo.tasks.association._layers import DistinctItems, HideItems, ItemProduct
from zoo.tasks.association._metrics import MISSED, list_metrics
from zoo.tasks.association._ranking import BestItems, HiddenCost, HiddenRank, ReconstructionCost
from zoo.tasks.association._rules import MOST_RULES, MOST_SETS, mine_rules

from zoo.errors import DataError
from zoo.spec import Spec, TextInput

BASKETS = st.lists(st.sets(st.integers(1, 6), min_size=1), min_size=4, max_size=30)


@given(BASKETS, st.sampled_from([0.1, 0.3, 0.5]), st.sampled_from([0.2, 0.8]))
@settings(max_examples=25, deadline=None)
def test_rules_equal_counts(baskets: list[set[int]], support: float, confidence: float) -> None:
    names = [f"item {code}" for code in range(1, 7)]
    mined = mine_rules([np.array(sorted(basket)) for basket in baskets], names, support, confidence)
    least = max(2, int(np.ceil(support * len(baskets) - 1e-9)))
    subsets = [set(each) for size in range(1, 7) for each in itertools.combinations(range(1, 7), size)]
    counts = {frozenset(each): sum(each <= basket for basket in baskets) for each in subsets}
    frequent = {each: count for each, count in counts.items() if count >= least}
    joined = {", ".join(names[code - 1] for code in sorted(each)): count for each, count in frequent.items()}
    assert dict(zip(mined.item_sets["items"], mined.item_sets["count"], strict=True)) == joined
    rules = {
        (first, each - first)
        for each in frequent
        for size in range(1, len(each))
        for first in map(frozenset, itertools.combinations(each, size))
        if counts[each] / counts[first] >= confidence - 1e-9
    }
    assert len(mined.rules) == len(rules)
    count = dict(zip(mined.item_sets["items"], mined.item_sets["count"], strict=True))
    for rule in mined.rules.to_dict("records"):
        assert rule["confidence"] == pytest.approx(rule["count"] / count[rule["if"]], abs=1e-6)
        assert rule["lift"] == pytest.approx(rule["confidence"] / count[rule["then"]] * len(baskets), abs=1e-4)


def test_too_many_item_sets_are_noticed() -> None:
    baskets = [np.arange(1, 31)] * 10  # every subset of 30 items is frequent
    names = [str(code) for code in range(30)]
    with pytest.raises(DataError, match=f"more than {MOST_SETS:,} frequent item sets"):
        mine_rules(baskets, names, 0.5, 0.1)
    rng = np.random.default_rng(0)
    few = [np.unique(rng.integers(1, 300, 60)) for _ in range(200)]
    assert mine_rules(few, [str(code) for code in range(300)], None, 0.1).support > 0.005
    assert mine_rules(baskets, names, None, 0.1).item_sets.empty
    dense = [np.flatnonzero(rng.random(60) < 0.8) + 1 for _ in range(300)]  # each set of three items is frequent
    mined = mine_rules(dense, [str(code) for code in range(60)], None, 0.1)
    assert 0 < len(mined.item_sets) <= MOST_SETS
    with pytest.raises(DataError, match="use a higher --min-support"):
        mine_rules(dense, [str(code) for code in range(60)], 0.01, 0.1)
    with pytest.raises(DataError, match=f"or {MOST_RULES:,} rules"):  # few sets, each of many rules
        mine_rules([np.arange(1, 15)] * 10, names, 0.5, 0.1)


def test_rules_leave_warnings_as_they_were() -> None:
    code = (
        "import warnings, numpy as np\n"
        "from zoo.tasks.association._rules import mine_rules\n"
        "before = list(warnings.filters)\n"
        "assert len(mine_rules([np.array([1, 2])] * 4, ['a', 'b'], 0.5, 0.1).rules) == 2\n"
        "assert warnings.filters == before, warnings.filters\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_ease_is_its_formula() -> None:
    x = create_matrix([np.array(codes) for codes in ([1, 2], [1, 2, 3], [2, 3], [1, 4], [4])], 4)
    dense = x.toarray()
    for fit, penalty in zip(FITS["ease"](x), (50.0, 100.0, 300.0), strict=True):
        inverse = np.linalg.inv(dense.T @ dense + penalty * np.eye(4))
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0)
        np.testing.assert_allclose(fit()(x), dense @ weights, atol=1e-5)


def test_ranks_of_layers_and_of_baselines_are_equal() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, (50, 12)).astype(np.float32)  # with ties
    kept = np.sort(rng.integers(0, 13, (50, 3)), axis=1).astype(np.int32)
    hidden = np.array([rng.choice(np.setdiff1d(np.arange(13), row)) for row in kept], np.int32)
    seen = create_matrix([np.unique(row[row > 0]) for row in kept], 12)
    ranks = rank_hidden(lambda rows: scores.copy(), seen, hidden)  # one chunk
    hidden_codes = np.zeros_like(kept)
    hidden_codes[:, 0] = hidden
    by_layer = np.asarray(HiddenRank()(scores, kept, hidden_codes))[:, 0]
    present = hidden > 0
    np.testing.assert_array_equal(by_layer[present], ranks[present])
    assert (by_layer[~present] > 12).all()
    assert (ranks[~present] == MISSED).all()
    items, _ = BestItems(12, True)(scores, kept)
    items = np.asarray(items)
    for row in np.flatnonzero(present):
        assert items[row, ranks[row] - 1] == hidden[row]


def test_elsa_is_its_formula() -> None:
    layer = ItemProduct(5, 3, unit_length=True, mean=False)
    codes = np.array([[1, 3, 0], [2, 0, 0]], np.int32)
    scores = np.asarray(layer(codes))
    x = np.zeros((2, 5))
    x[0, [0, 2]] = x[1, 1] = 1
    a = np.asarray(layer.table) / np.linalg.norm(layer.table, axis=1, keepdims=True)
    np.testing.assert_allclose(scores, x @ a @ a.T - x, atol=1e-5)
    predicted = np.maximum(scores, 0)
    predicted = predicted / np.maximum(np.linalg.norm(predicted, axis=1, keepdims=True), 1e-12)
    distance = np.square(predicted - x / np.linalg.norm(x, axis=1, keepdims=True)).sum(axis=1)
    has_score = (scores > 1e-3).any(axis=1)
    np.testing.assert_allclose(
        np.asarray(ReconstructionCost()(scores, codes))[has_score, 0], distance[has_score], atol=1e-4
    )


def test_items_are_hidden_and_repetitions_left_out() -> None:
    codes = np.tile(np.array([[4, 2, 9, 0]], np.int32), (200, 1))
    length = np.full(200, 3, np.int32)
    kept, hidden = HideItems(0.4)(codes, length, training=True)
    kept, hidden = np.asarray(kept), np.asarray(hidden)
    np.testing.assert_array_equal(kept + hidden, codes)
    assert ((hidden > 0).sum(axis=1) >= 1).all()
    assert ((kept > 0).sum(axis=1) >= 1).all()
    kept, hidden = HideItems(0.4)(codes[:1], length[:1])
    assert np.asarray(hidden).tolist() == [[0, 0, 9, 0]]
    assert np.asarray(DistinctItems()(np.array([[3, 1, 3, 0]], np.int32))).tolist() == [[0, 1, 3, 0]]
    logits = np.zeros((1, 10), np.float32)
    cost = HiddenCost()(logits, np.array([[4, 2, 0, 0]], np.int32), np.array([[0, 0, 9, 0]], np.int32))
    assert float(np.asarray(cost)[0, 0]) == pytest.approx(np.log(8), rel=1e-5)


def of_items(count: int) -> Spec:
    return Spec("association", (TextInput("items", "items", vocabulary=tuple(f"item {n}" for n in range(count))),))


def test_few_items_are_told_apart_by_their_ranks() -> None:
    assert [metric.name for metric in list_metrics(of_items(12))][:2] == ["mrr", "hit_rate_at_10"]


def test_metrics_of_ranks() -> None:
    ranks, metrics = np.array([1, 3, 11, MISSED]), list_metrics(of_items(40))
    assert metrics[0].name == "hit_rate_at_10"
    values = {metric.name: float(metric.function(ranks, ranks, np.ones((1, 4)))[0]) for metric in metrics}
    assert values == pytest.approx(
        {
            "hit_rate_at_10": 0.5,
            "hit_rate_at_1": 0.25,
            "hit_rate_at_20": 0.75,
            "ndcg_at_10": (1 + 1 / 2) / 4,
            "mrr": (1 + 1 / 3 + 1 / 11) / 4,
        }
    )
