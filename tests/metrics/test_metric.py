"""Direction, intervals, their coverage, and the bounds on work."""

import pickle
from functools import partial

import numpy as np
import pytest

from zoo.metrics import metric as score_module
from zoo.metrics.classes import create_class_metrics, roc_auc
from zoo.metrics.intervals import Sample
from zoo.metrics.metric import Metric, evaluate, percentile_bounds
from zoo.metrics.numbers import create_number_metrics
from zoo.metrics.weighting import weighted_mean

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


def median_like(truth, prediction, weights):
    """A metric of a user's own, without an interval in closed form."""
    return weighted_mean(np.sqrt(np.abs(truth - prediction[:, 1])), weights)


def test_same_seed_same_interval_whatever_the_chunk(monkeypatch):
    truth, prediction = classified(100)
    scores = [Metric("root", "min", median_like)]
    first = evaluate(scores, truth, prediction, seed=3, resamples=100)
    assert evaluate(scores, truth, prediction, seed=3, resamples=100) == first
    assert evaluate(scores, truth, prediction, seed=4, resamples=100)[1] != first[1]
    monkeypatch.setattr(score_module, "CHUNK_NUMBERS", 700)
    monkeypatch.setattr(score_module, "CHUNK_DRAWS", 1)
    again = evaluate(scores, truth, prediction, seed=3, resamples=100)
    assert again[1]["root"] == pytest.approx(first[1]["root"], rel=1e-9)


@pytest.mark.parametrize("groups", [10, 30])
def test_a_bootstrap_draws_groups(groups):
    """Rows of a group share an error, so that intervals of rows would be some three times too short."""
    metric, covered = Metric("mean", "min", lambda truth, _, weights: weighted_mean(truth, weights)), 0
    group = np.repeat(np.arange(groups), 20)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        values = rng.normal(size=groups)[group] + rng.normal(size=len(group))
        _, intervals = evaluate([metric], values, values, group=group, seed=seed, resamples=200)
        covered += intervals["mean"][0] <= 0 <= intervals["mean"][1]
    assert 0.92 <= covered / 300 <= 0.98


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


def covered(scores, draw, true, simulations):
    """Return how often each interval that is stated contains the true value."""
    held = {name: [] for name in true}
    for seed in range(simulations):
        drawn = draw(seed)
        for name, (low, high) in evaluate(scores, **drawn)[1].items():
            held[name] += [low <= true[name] <= high] if not np.isnan(low) else []
    return {name: float(np.mean(values)) for name, values in held.items() if len(values) > simulations / 2}


@pytest.mark.parametrize(
    ("positives", "share"),
    [(15, 0.05), (15, 0.2), (15, 0.5), pytest.param(100, 0.05, marks=pytest.mark.slow), (100, 0.2), (100, 0.5)],
)
def test_coverage_is_near_95_percent(share, positives):
    """Rough: 300 simulations; benchmarks/intervals.py has more, of all kinds."""

    def draw(seed, rows=None):
        rows = rows or round(positives / share)
        rng = np.random.default_rng(seed)
        logit = {0.05: -4.62, 0.2: -2.14, 0.5: 0.0}[share] + 2 * rng.normal(size=rows)
        p = 1 / (1 + np.exp(-1.5 * logit))
        return {
            "truth": (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int),
            "prediction": np.stack([1 - p, p], axis=1),
        }

    scores = create_class_metrics(2)
    true, _ = evaluate(scores, **draw(1_000_000, 500_000), resamples=0)
    coverage = covered(scores, draw, true, 300)
    assert len(coverage) == len(scores)
    # Three standard errors beyond 92 to 98 %; the interval of ece is conservative by construction.
    assert all(0.88 <= value <= 1.0 for value in coverage.values()), coverage


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_coverage_of_groups(kind):
    def draw(seed, groups=10):
        rng = np.random.default_rng(seed)
        group = np.repeat(np.arange(groups), 20)
        shared = rng.normal(size=groups)[group]
        signal = rng.normal(size=len(group))
        if kind == "numbers":
            prediction = signal + 0.5 * (shared + rng.normal(size=len(group)))
            return {"truth": signal, "prediction": prediction, "group": group}
        p = 1 / (1 + np.exp(-2 * signal))
        truth = (rng.random(len(group)) < 1 / (1 + np.exp(-2 * signal - 1.5 * shared))).astype(int)
        return {"truth": truth, "prediction": np.stack([1 - p, p], axis=1), "group": group}

    scores = create_class_metrics(2) if kind == "classes" else create_number_metrics()
    true, _ = evaluate(scores, **draw(1_000_000, 20_000), resamples=0)
    coverage = covered(scores, draw, true, 300)
    assert len(coverage) == len(scores)
    assert all(value >= 0.88 for value in coverage.values()), coverage


def test_too_few_rows_of_a_class_have_no_interval():
    rng = np.random.default_rng(0)
    p = rng.random(200)
    for positives, stated in ((9, False), (10, True)):
        truth = (np.arange(200) < positives).astype(int)
        _, intervals = evaluate(create_class_metrics(2), truth, np.stack([1 - p, p], axis=1))
        for name in ("roc_auc", "pr_auc", "f1", "f1_macro"):
            assert np.isnan(intervals[name][0]) != stated
        assert not np.isnan([*intervals["accuracy"], *intervals["log_loss"], *intervals["brier"]]).any()


def test_no_interval_collapses_where_a_model_is_always_right_or_never():
    truth = np.arange(40) % 2
    right = np.stack([1 - truth, truth], axis=1).astype(float)
    for prediction, value in ((right, 1.0), (1 - right, 0.0)):
        values, intervals = evaluate(create_class_metrics(2), truth, prediction)
        for name in ("accuracy", "roc_auc", "f1", "f1_macro"):
            assert values[name] == value
            assert intervals[name][1] - intervals[name][0] > 0.05
            assert intervals[name][0] <= value <= intervals[name][1]
        assert np.isnan(intervals["log_loss"]).all()  # all losses are equal: nothing is known of their spread


def test_an_error_too_rare_to_occur_is_allowed_for():
    """A sure model that errs in 3 % of rows: in a fifth of draws of 50 rows, none of its rows is wrong."""
    rng, held = np.random.default_rng(0), []
    for _ in range(300):
        truth, doubt = rng.integers(0, 2, 50), rng.uniform(1e-4, 1e-2, 50)
        called = np.where(rng.random(50) < 0.03, 1 - truth, truth)
        p = np.where(called == 1, 1 - doubt, doubt)
        _, intervals = evaluate(create_class_metrics(2)[:3], truth, np.stack([1 - p, p], axis=1))
        grid = np.linspace(1e-4, 1e-2, 1001)
        loss = np.mean(-0.03 * np.log(grid) - 0.97 * np.log(1 - grid))
        held.append(intervals["log_loss"][0] <= loss <= intervals["log_loss"][1])
    assert np.mean(held) > 0.92


def test_weights_that_groups_have_are_used():
    rng = np.random.default_rng(0)
    truth, prediction = classified(400)
    group, weight = np.arange(400) // 20, rng.lognormal(0, 1, 400)
    for counts in (False, True):
        plain = evaluate(create_class_metrics(2), truth, prediction, weight=np.ceil(weight), counts=counts, group=group)
        assert all(low <= plain[0][name] <= high for name, (low, high) in plain[1].items())
    few = evaluate(create_class_metrics(2), truth, prediction, group=np.arange(400) // 100)[1]
    assert all(np.isnan(low) for low, _ in few.values())  # four groups are too few


def test_undefined_draws_are_left_out():
    truth, prediction = np.array([0] * 9 + [1]), classified(10)[1]
    area = Metric("area", "max", partial(roc_auc, positive=1))
    values, intervals = evaluate([area], truth, prediction)  # a third of the draws has no 1
    assert not np.isnan(values["area"])
    assert not np.isnan(intervals["area"]).any()


def test_too_few_rows_or_groups_have_no_interval():
    truth, prediction = np.arange(20.0), np.arange(20.0) + 1
    error = Metric("error", "min", lambda t, p, w: w @ np.abs(t - p) / w.sum(axis=1))
    for rows, group in ((9, None), (20, np.arange(20) % 4)):
        values, intervals = evaluate([error], truth[:rows], prediction[:rows], group=group)
        assert values["error"] == 1
        assert np.isnan(intervals["error"]).all()


def test_bounds_without_any_defined_draw():
    assert np.isnan(percentile_bounds(np.full(3, np.nan), 0.5)).all()


def test_bounds_of_infinite_draws_do_not_warn():
    low, high = percentile_bounds(np.array([-np.inf] * 9 + [0.0]), -1.0)
    assert low <= -1.0 <= high or np.isnan(low)


@pytest.mark.parametrize("resamples", [0, 1, 7])
def test_few_resamples(resamples):
    truth, prediction = classified(50)
    values, intervals = evaluate(create_class_metrics(2), truth, prediction, resamples=resamples)
    assert not np.isnan(list(values.values())).any()
    assert np.isnan(list(intervals.values())).all() == (resamples == 0)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((10_000, 2), 1000), ((20_000, 2), 1000), ((40_000,), 500), ((10**6, 2), 200), ((10_000, 100), 200)],
)
def test_large_predictions_get_fewer_draws(shape, expected):
    assert score_module.limit_draws(1000, np.empty(shape, np.int8)) == expected
    assert score_module.limit_draws(50, np.empty(shape, np.int8)) == 50


@pytest.mark.parametrize(("n", "most"), [(10, 4_000_000), (250_000, 4_000_000), (5_000_000, 5_000_000)])
def test_chunks_are_bounded(n, most):
    chunk = next(score_module.draw_weights(np.ones(n, np.float32), 0, 17, Sample(np.ones(n))))
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
