"""Anomaly metrics against brute force, and the threshold against its promise."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo.tasks.anomaly._metrics import compute_precision_at_k
from zoo.tasks.anomaly._threshold import find_threshold

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=5)


@settings(deadline=None)
@given(ROWS)
def test_precision_at_k_is_the_mean_over_all_orders_of_equal_scores(rows: list[tuple[bool, int]]) -> None:
    truth, scores = np.array([row[0] for row in rows]).astype(int), np.array([row[1] for row in rows], float)
    value = compute_precision_at_k(truth, np.stack([-scores, scores], axis=1), np.ones((1, len(rows))))[0]
    wanted = truth.sum()
    if not wanted:
        assert np.isnan(value)
        return
    orders = [list(order) for order in permutations(range(len(rows)))]
    falling = [order for order in orders if (np.diff(scores[order]) <= 0).all()]
    assert value == pytest.approx(np.mean([truth[order[:wanted]].sum() / wanted for order in falling]))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=6))
def test_a_row_of_weight_2_is_the_same_row_twice(rows: list[tuple[bool, int, int]]) -> None:
    truth, scores, weight = (np.array(column) for column in zip(*rows, strict=True))
    two = np.stack([-scores, scores], axis=1).astype(float)
    often = np.repeat(np.arange(len(rows)), weight)
    if not len(often):
        return
    once = compute_precision_at_k(truth[often].astype(int), two[often], np.ones((1, len(often))))
    np.testing.assert_allclose(compute_precision_at_k(truth.astype(int), two, weight[None].astype(float)), once)


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.02])
def test_the_threshold_holds_the_alarm_rate_on_other_rows(rate: float) -> None:
    rng = np.random.default_rng(0)
    rates = []
    for _ in range(2000):
        threshold = find_threshold(rng.exponential(size=100), rate)
        rates.append((rng.exponential(size=50) > threshold).mean())
    assert np.mean(rates) <= rate + 0.003
    assert np.mean(rates) >= rate - 0.012  # no more careful than 100 rows make it


def test_with_too_few_rows_the_threshold_is_the_highest_score() -> None:
    assert find_threshold(np.array([3.0, 1.0, 2.0]), 0.01) == 3.0
