"""Tests of what is better and what is luck, held against scipy's and against simulated truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from zoo.metrics.significance import estimate_mean, holm, rank_over_sources


def test_without_shared_rows_it_is_the_t_test() -> None:
    values = np.array([0.3, -0.1, 0.4, 0.2, 0.25])
    estimate, expected = estimate_mean(values), stats.ttest_1samp(values, 0.0)
    assert estimate.p == pytest.approx(expected.pvalue)
    assert (estimate.low, estimate.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_with_the_noise_of_the_test_rows_alone_it_is_the_normal_test() -> None:
    estimate = estimate_mean(np.array([0.2]), noise=0.1)
    assert estimate.p == pytest.approx(2 * stats.norm.sf(2))
    assert (estimate.low, estimate.high) == pytest.approx((0.2 - 0.1959964, 0.2 + 0.1959964))


def test_one_run_without_an_interval_tells_nothing() -> None:
    estimate = estimate_mean(np.array([0.2]))
    assert math.isnan(estimate.p)
    assert math.isnan(estimate.low)


def test_what_never_differs_is_no_difference() -> None:
    assert estimate_mean(np.zeros(4)).p == 1.0
    assert estimate_mean(np.full(4, 0.1)).p == 0.0


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.1])
def test_equal_models_on_one_test_part_are_seldom_told_apart(noise: float) -> None:
    """Of models that are equally good on all data, but not on this test split: five in a hundred at most."""
    generator = np.random.default_rng(0)
    false = 0
    for _ in range(2000):
        luck = generator.normal(0, noise)
        false += estimate_mean(luck + generator.normal(0, 0.05, 5), noise=noise).p < 0.05
    assert false / 2000 < 0.065


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holms_p_values_are_no_smaller_and_keep_their_order(values: list[float]) -> None:
    corrected = holm(values)
    assert all(after >= before for after, before in zip(corrected, values, strict=True))
    order = np.argsort(values, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()
    assert min(corrected) == pytest.approx(min(1.0, min(values) * len(values)))


def test_what_is_unknown_is_not_counted() -> None:
    corrected = holm([0.01, math.nan, 0.04])
    assert corrected[0] == pytest.approx(0.02)
    assert math.isnan(corrected[1])
    assert corrected[2] == pytest.approx(0.04)


def test_ranks_and_critical_difference_are_those_of_demsar() -> None:
    """Table 5 of Demšar (2006) gives q = 2.343 for three models at five in a hundred."""
    scores = {"a": [0.9, 0.8, 0.7, 0.9], "b": [0.8, 0.9, 0.6, 0.8], "c": [0.7, 0.7, 0.5, 0.7]}
    ranks = rank_over_sources(scores, "max")
    assert ranks.mean == {"a": 1.25, "b": 1.75, "c": 3.0}
    assert ranks.distance == pytest.approx(2.343 * math.sqrt(3 * 4 / (6 * 4)), abs=1e-3)
    assert ranks.p == pytest.approx(stats.friedmanchisquare(*scores.values()).pvalue)
    assert rank_over_sources(scores, "min").mean["a"] == 2.75
