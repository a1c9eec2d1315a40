"""Direction, intervals, their coverage, and the bounds on work."""

import pickle

import numpy as np
import pytest

from zoo.metrics import metric as score_module
from zoo.metrics.classes import create_class_metrics
from zoo.metrics.metric import Metric, evaluate, percentile_bounds, unbiased_bounds
from zoo.metrics.numbers import create_number_metrics

pytestmark = pytest.mark.filterwarnings("error")


def classified(n, seed=0, sharpness=1.0):
    """Truth and binary probabilities that are calibrated when the sharpness is 1."""
    generator = np.random.default_rng(seed)
    logit = 2 * generator.normal(size=n)
    truth = (generator.random(n) < 1 / (1 + np.exp(-logit))).astype(int)
    p = 1 / (1 + np.exp(-sharpness * logit))
    return truth, np.stack([1 - p, p], axis=1)


def test_better_follows_the_direction_and_never_prefers_nan():
    low, high = Metric("rmse", "min", np.dot), Metric("r2", "max", np.dot)
    assert low.better(1.0, 2.0)
    assert high.better(2.0, 1.0)
    for score in (low, high):
        assert not score.better(1.0, 1.0)
        assert not score.better(float("nan"), 1.0)
        assert score.better(1.0, float("nan"))
        assert not score.better(float("nan"), float("nan"))


def test_intervals_hold_the_point_and_are_ordered():
    truth, prediction = classified(300)
    values, intervals = evaluate(create_class_metrics(2), truth, prediction)
    assert values.keys() == intervals.keys()
    assert all(low <= values[name] <= high and low < high for name, (low, high) in intervals.items())
    assert list(values) == [score.name for score in create_class_metrics(2)]
    assert all(type(number) is float for name in values for number in (values[name], *intervals[name]))


def test_same_seed_same_interval_whatever_the_chunk(monkeypatch):
    truth, prediction = classified(100)
    scores = create_class_metrics(2)
    first = evaluate(scores, truth, prediction, seed=3, resamples=100)
    assert evaluate(scores, truth, prediction, seed=3, resamples=100) == first
    assert evaluate(scores, truth, prediction, seed=4, resamples=100)[1] != first[1]
    monkeypatch.setattr(score_module, "CHUNK_NUMBERS", 700)
    monkeypatch.setattr(score_module, "CHUNK_DRAWS", 1)
    again = evaluate(scores, truth, prediction, seed=3, resamples=100)
    assert all(again[1][name] == pytest.approx(first[1][name], rel=1e-9) for name in first[1])


def test_equal_weights_are_no_weights():
    truth, prediction = classified(100)
    plain = evaluate(create_class_metrics(2), truth, prediction, resamples=50)
    assert evaluate(create_class_metrics(2), truth, prediction, weight=np.full(100, 3.0), resamples=50) == plain


def test_more_rows_make_narrower_intervals():
    widths = []
    for n in (100, 10_000):
        intervals = evaluate(create_class_metrics(2), *classified(n), resamples=200)[1]
        widths.append({name: high - low for name, (low, high) in intervals.items()})
    assert all(widths[1][name] < widths[0][name] / 5 for name in widths[0] if name != "ece")


def test_coverage_is_near_95_percent():
    """Rough: 200 simulations of 150 rows each; the truth comes from 100,000 rows."""
    scores = [score for score in create_class_metrics(2) if score.name != "ece"]
    true, _ = evaluate(scores, *classified(100_000, seed=1_000_000), resamples=0)
    held = dict.fromkeys(true, 0)
    for seed in range(200):
        _, intervals = evaluate(scores, *classified(150, seed=seed), seed=seed, resamples=200)
        for name, (low, high) in intervals.items():
            held[name] += low <= true[name] <= high
    assert all(0.89 <= count / 200 <= 0.99 for count in held.values()), held


def test_coverage_of_ece_by_unbiased_bounds():
    scores = [score for score in create_class_metrics(2) if score.name == "ece"]
    true, _ = evaluate(scores, *classified(100_000, seed=1_000_000, sharpness=1.5), resamples=0)
    held = 0
    for seed in range(100):
        _, intervals = evaluate(scores, *classified(500, seed, sharpness=1.5), seed=seed, resamples=200)
        held += intervals["ece"][0] <= true["ece"] <= intervals["ece"][1]
    assert held >= 83


def test_undefined_draws_are_left_out():
    truth, prediction = np.array([0] * 5 + [1]), classified(6)[1]
    values, intervals = evaluate(create_class_metrics(2), truth, prediction)  # a third of the draws has no 1
    assert not np.isnan(values["roc_auc"])
    assert not np.isnan(intervals["roc_auc"]).any()


@pytest.mark.parametrize("bounds", [percentile_bounds, unbiased_bounds])
def test_bounds_without_any_defined_draw(bounds):
    assert np.isnan(bounds(np.full(3, np.nan), 0.5)).all()


def test_bounds_of_infinite_draws_do_not_warn():
    low, high = percentile_bounds(np.array([-np.inf] * 9 + [0.0]), -1.0)
    assert low <= -1.0 <= high or np.isnan(low)


@pytest.mark.parametrize("resamples", [0, 1, 7])
def test_few_resamples(resamples):
    truth, prediction = classified(50)
    values, intervals = evaluate(create_class_metrics(2), truth, prediction, resamples=resamples)
    assert not np.isnan(list(values.values())).any()
    assert np.isnan(intervals["log_loss"][0]) == (resamples == 0)
    assert not np.isnan(intervals["accuracy"]).any()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((10_000, 2), 1000), ((20_000, 2), 1000), ((40_000,), 500), ((10**6, 2), 200), ((10_000, 100), 200)],
)
def test_large_predictions_get_fewer_draws(shape, expected):
    assert score_module._affordable(1000, np.empty(shape, np.int8)) == expected
    assert score_module._affordable(50, np.empty(shape, np.int8)) == 50


@pytest.mark.parametrize(("n", "most"), [(10, 4_000_000), (250_000, 4_000_000), (5_000_000, 5_000_000)])
def test_chunks_are_bounded(n, most):
    chunk = next(score_module._draws(np.ones(n, np.float32), 0, 17))
    assert chunk.size <= most
    np.testing.assert_allclose(chunk.sum(axis=1), n)


def test_nothing_to_score():
    for weight, n in ((None, 0), (np.zeros(3), 3)):
        values, intervals = evaluate(create_number_metrics(), np.zeros(n), np.zeros(n), weight=weight)
        assert np.isnan([*values.values(), *np.ravel(list(intervals.values()))]).all()


@pytest.mark.parametrize(
    ("weight", "message"),
    [([1.0], "shape"), ([1.0, -1.0], "not negative"), ([1.0, np.inf], "finite")],
)
def test_wrong_weights(weight, message):
    with pytest.raises(ValueError, match=message):
        evaluate(create_number_metrics(), np.zeros(2), np.zeros(2), weight=np.array(weight))


def test_different_rows():
    with pytest.raises(ValueError, match="same rows"):
        evaluate(create_number_metrics(), np.zeros(2), np.zeros(3))


def test_scores_go_through_a_pipe():
    assert pickle.loads(pickle.dumps(create_number_metrics())) == create_number_metrics()
    assert [score.name for score in pickle.loads(pickle.dumps(create_class_metrics(2)))]
