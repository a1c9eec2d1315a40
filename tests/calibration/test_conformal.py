"""Conformal prediction: stated coverage for any model, and weights that mean what they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.calibration.conformal import (
    compute_class_quantiles,
    compute_quantiles,
    look_up_quantile,
    measure_intervals,
    predict_sets,
    score_classes,
    widen_bounds,
)
from zoo.errors import UsageError
from zoo.metrics.classes import create_class_metrics
from zoo.metrics.metric import evaluate
from zoo.metrics.numbers import create_number_metrics, create_quantile_metrics


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 300), st.floats(0.5, 99.5), st.integers(0, 1000))
def test_the_limit_is_the_order_statistic_of_the_theorem(rows, percent, seed):
    percent = round(percent, 1)
    scores = np.random.default_rng(seed).normal(size=rows)
    place = int(np.ceil(round((rows + 1) * percent / 100, 9)))
    wanted = np.sort(scores)[place - 1] if place <= rows else np.inf
    assert look_up_quantile(compute_quantiles(scores, None, counts=False), percent) == wanted


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=60), st.integers(0, 1000))
def test_as_frequency_weight_two_is_the_row_twice(weights, seed):
    scores = np.random.default_rng(seed).normal(size=len(weights))
    weighted = compute_quantiles(scores, np.array(weights, float), counts=True)
    assert weighted == compute_quantiles(np.repeat(scores, weights), None, counts=False)


def test_as_importance_the_effective_number_of_rows_counts():
    scores = np.arange(20.0)
    few = np.array([1.0] * 2 + [1e-9] * 18)
    assert look_up_quantile(compute_quantiles(scores, few, counts=False), 90) == np.inf
    assert look_up_quantile(compute_quantiles(scores, np.full(20, 7.0), counts=False), 90) == 18.0


@pytest.mark.parametrize("classes", [2, 4])
def test_frequency_weights_equal_repeated_rows_in_every_score_and_interval(classes):
    rng = np.random.default_rng(classes)
    truth, weight = rng.integers(0, classes, 80), rng.integers(1, 4, 80)
    prediction = rng.dirichlet(np.ones(classes), 80)
    scores = create_class_metrics(classes, 1, 0.3 if classes == 2 else None)
    weighted, bounds = evaluate(scores, truth, prediction, weight=weight, counts=True)
    repeated, wanted = evaluate(scores, np.repeat(truth, weight), np.repeat(prediction, weight, axis=0))
    assert weighted == pytest.approx(repeated)
    assert bounds["accuracy"] == pytest.approx(wanted["accuracy"])
    for name in bounds:  # by other draws
        assert bounds[name] == pytest.approx(wanted[name], abs=0.35 * (wanted[name][1] - wanted[name][0]))


def test_frequency_weights_equal_repeated_rows_of_numbers_and_quantiles():
    rng = np.random.default_rng(0)
    truth, weight = rng.normal(size=60), rng.integers(1, 4, 60)
    quantiles = np.sort(rng.normal(size=(60, 3)), axis=1)
    for scores, prediction in (
        (create_number_metrics(), quantiles[:, 1]),
        (create_quantile_metrics([0.1, 0.5, 0.9]), quantiles),
    ):
        weighted, _ = evaluate(scores, truth, prediction, weight=weight, counts=True, resamples=0)
        repeated, _ = evaluate(scores, np.repeat(truth, weight), np.repeat(prediction, weight, axis=0), resamples=0)
        assert weighted == pytest.approx(repeated)


def test_importance_intervals_are_wider_than_those_of_counts():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 200)
    prediction = np.stack([1 - truth * 0.6, truth * 0.6], axis=1)
    weight = np.full(200, 9.0)
    accuracy = create_class_metrics(2)[1]
    _, counted = evaluate([accuracy], truth, prediction, weight=weight, counts=True)
    _, weighted = evaluate([accuracy], truth, prediction, weight=weight)
    assert np.diff(counted["accuracy"]) < np.diff(weighted["accuracy"])


def test_coverage_holds_over_many_draws():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(3000):
        truth = rng.normal(size=60)
        limit = look_up_quantile(compute_quantiles(np.abs(truth[:40]), None, counts=False), 90)
        low, high = widen_bounds(np.zeros(20), np.zeros(20), limit)
        held.append(measure_intervals(truth[40:], low, high, 90, np.ones(20))["conformal_coverage_90"])
    assert 0.897 < np.mean(held) < 0.908  # 37 of 41 is 0.902


def test_by_class_the_coverage_holds_in_a_rare_class():
    """5 % positive, of which a marginal limit leaves most outside."""
    held = {"marginal": [], "by class": []}
    for seed in range(100):
        rng = np.random.default_rng(seed)
        logit = -4.62 + 2 * rng.normal(size=4000)
        truth = (rng.random(4000) < 1 / (1 + np.exp(-logit))).astype(int)
        p = 1 / (1 + np.exp(-logit))
        prediction = np.stack([1 - p, p], axis=1)
        scores, aside, new = score_classes(truth, prediction), slice(0, 2000), slice(2000, None)
        for name, quantiles in (
            ("marginal", compute_quantiles(scores[aside], None, counts=False)),
            ("by class", compute_class_quantiles(scores[aside], truth[aside], None, counts=False, classes=2)),
        ):
            inside = predict_sets(prediction[new], look_up_quantile(quantiles, 80))
            covered = inside[np.arange(2000), truth[new]]
            held[name].append([covered.mean(), covered[truth[new] == 0].mean(), covered[truth[new] == 1].mean()])
    marginal, by_class = (np.mean(values, axis=0) for values in held.values())
    assert marginal[0] > 0.79
    assert marginal[2] < 0.5
    assert (by_class > 0.79).all()
    assert by_class[2] < 0.84


def test_a_class_without_enough_rows_is_in_each_set():
    scores, truth = np.linspace(0, 0.5, 20), np.array([0] * 18 + [1] * 2)
    quantiles = compute_class_quantiles(scores, truth, None, counts=False, classes=3)
    assert look_up_quantile(quantiles, 90).tolist() == [scores[17], np.inf, np.inf]
    assert predict_sets(np.array([[0.98, 0.01, 0.01]]), look_up_quantile(quantiles, 90)).tolist() == [
        [True, True, True]
    ]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=60), st.integers(0, 1000))
def test_by_class_a_frequency_of_two_is_the_row_twice(weights, seed):
    rng = np.random.default_rng(seed)
    scores, truth, weight = rng.normal(size=len(weights)), rng.integers(0, 2, len(weights)), np.array(weights, float)
    weighted = compute_class_quantiles(scores, truth, weight, counts=True, classes=2)
    repeated = np.repeat(scores, weights), np.repeat(truth, weights)
    assert weighted == compute_class_quantiles(*repeated, None, counts=False, classes=2)


def test_a_set_is_never_empty_and_an_interval_never_inside_out():
    assert predict_sets(np.array([[0.4, 0.3, 0.3]]), 0.1).tolist() == [[True, False, False]]
    low, high = widen_bounds(np.array([0.0]), np.array([1.0]), -2.0)
    assert low == high == 0.5


def test_a_coverage_that_is_none():
    with pytest.raises(UsageError, match=r"received 99.95; a coverage must be 0.1, 0.2"):
        look_up_quantile([1.0] * 999, 99.95)
