"""Every class score is scikit-learn's, with ties and weights; extremes raise and warn nothing."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from zoo.metrics.class_intervals import accuracy_interval
from zoo.metrics.classes import create_class_metrics, ece
from zoo.metrics.intervals import Sample
from zoo.metrics.metric import evaluate

pytestmark = pytest.mark.filterwarnings("error")


@st.composite
def classified(draw):
    """Truth (N,), probabilities (N, K) with many ties, weights (3, N) of small integers."""
    n, k = draw(st.integers(1, 40)), draw(st.integers(2, 5))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([1, 3, 1000]))
    raw = generator.integers(0, levels + 1, (n, k)) + 1e-9
    weights = generator.integers(0, 4, (3, n)).astype(float)
    weights[0] = 1.0
    return generator.integers(0, k, n), raw / raw.sum(axis=1, keepdims=True), weights


def by_sklearn(name, truth, prediction, weight):
    """The score by scikit-learn, on the rows that have weight; NaN where it is undefined."""
    kept = weight > 0
    truth, prediction, weight = truth[kept], prediction[kept], weight[kept]
    k = prediction.shape[1]
    called = prediction.argmax(axis=1)
    if not len(truth):
        return np.nan
    match name:
        case "log_loss":
            return metrics.log_loss(truth, prediction, sample_weight=weight, labels=range(k))
        case "accuracy":
            return metrics.accuracy_score(truth, called, sample_weight=weight)
        case "brier" if k == 2:
            return metrics.brier_score_loss(truth, prediction[:, 1], sample_weight=weight, pos_label=1)
        case "brier":
            return np.average(((prediction - np.eye(k)[truth]) ** 2).sum(axis=1), weights=weight)
        case "f1":
            none = not (truth == 1).any() and not (called == 1).any()
            return np.nan if none else metrics.f1_score(truth, called, sample_weight=weight)
        case "f1_macro":
            return metrics.f1_score(truth, called, sample_weight=weight, average="macro", zero_division=0)
        case "roc_auc" | "pr_auc":
            present = [1] if k == 2 else np.unique(truth)
            function = metrics.roc_auc_score if name == "roc_auc" else metrics.average_precision_score
            values = [
                function(truth == c, prediction[:, c], sample_weight=weight)
                for c in present
                if (truth == c).any() and (name == "pr_auc" or (truth != c).any())
            ]
            return np.mean(values) if values else np.nan
        case "ece":
            return slow_ece(np.repeat(truth, weight.astype(int)), np.repeat(prediction, weight.astype(int), axis=0))


def slow_ece(truth, prediction):
    """Ece by loops over rows; a row is put into a bin by the mean rank of the rows that it is tied with."""
    confidence, right = prediction.max(axis=1), prediction.argmax(axis=1) == truth
    n, total = len(truth), 0.0
    rank = [(np.sum(confidence < c) + np.sum(confidence <= c)) / 2 for c in confidence]
    bins = np.array([sum(r >= n * edge / 15 for edge in range(1, 15)) for r in rank])
    for b in set(bins):
        total += abs(np.sum(right[bins == b].astype(float) - confidence[bins == b]))
    return total / n


@settings(max_examples=80, deadline=None)
@given(data=classified())
def test_every_score_is_sklearns(data):
    truth, prediction, weights = data
    for score in create_class_metrics(prediction.shape[1]):
        values = score.function(truth, prediction, weights)
        assert values.shape == (3,)
        for value, weight in zip(values, weights, strict=True):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = by_sklearn(score.name, truth, prediction, weight)
            np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-12, err_msg=score.name)


@settings(max_examples=30, deadline=None)
@given(data=classified())
def test_integer_weights_repeat_rows(data):
    truth, prediction, weights = data
    counts = weights[1].astype(int)
    repeated = np.repeat(truth, counts), np.repeat(prediction, counts, axis=0), np.ones((1, counts.sum()))
    for score in create_class_metrics(prediction.shape[1]):
        if counts.any():
            np.testing.assert_allclose(
                score.function(truth, prediction, weights[1:2]), score.function(*repeated), atol=1e-12
            )


@settings(max_examples=30, deadline=None)
@given(data=classified(), seed=st.integers(0, 100))
def test_order_and_scale_of_weights_do_not_matter(data, seed):
    truth, prediction, weights = data
    order = np.random.default_rng(seed).permutation(len(truth))
    for score in create_class_metrics(prediction.shape[1]):
        np.testing.assert_allclose(
            score.function(truth, prediction, weights),
            score.function(truth[order], prediction[order], 4 * weights[:, order]),
            atol=1e-12,
        )


@pytest.mark.parametrize("average", ["roc_auc", "pr_auc"])
def test_macro_averages_are_sklearns_own(average):
    generator = np.random.default_rng(0)
    truth, weight = generator.integers(0, 4, 60), generator.random(60)
    prediction = generator.dirichlet(np.ones(4), 60).round(1)
    prediction /= prediction.sum(axis=1, keepdims=True)
    score = next(score for score in create_class_metrics(4) if score.name == average)
    if average == "roc_auc":
        expected = metrics.roc_auc_score(truth, prediction, multi_class="ovr", sample_weight=weight)
    else:
        expected = metrics.average_precision_score(np.eye(4)[truth], prediction, sample_weight=weight)
    assert score.function(truth, prediction, weight[None])[0] == pytest.approx(expected, rel=1e-12)


def test_brier_of_several_classes_is_sklearns():
    generator = np.random.default_rng(0)
    truth, prediction = generator.integers(0, 3, 30), generator.dirichlet(np.ones(3), 30)
    values, _ = evaluate(create_class_metrics(3), truth, prediction, resamples=0)
    expected = metrics.brier_score_loss(truth, prediction, labels=[0, 1, 2], scale_by_half=False)
    assert values["brier"] == pytest.approx(expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_loss_clips_as_sklearn(dtype):
    truth, prediction = np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]], dtype)
    value = evaluate(create_class_metrics(2), truth, prediction)[0]["log_loss"]
    assert value == pytest.approx(metrics.log_loss(truth, prediction), rel=1e-6)


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("truth", [[0], [1], [1, 1, 1], [0, 1, 0, 1]])
def test_extremes_neither_warn_nor_raise(truth, k, dtype):
    truth = np.array(truth)
    for prediction in (np.eye(k)[truth], np.eye(k)[1 - truth], np.tile(np.eye(k)[0], (len(truth), 1))):
        values, intervals = evaluate(create_class_metrics(k), truth, prediction.astype(dtype), resamples=50)
        for name, value in values.items():
            low, high = intervals[name]
            assert np.isnan([low, high]).all() or low <= value <= high, name
        if len(set(truth)) == 1:
            assert np.isnan(values["roc_auc"])


def test_diverged_model_scores_nan():
    prediction = np.array([[np.nan, np.nan], [0.5, 0.5]])
    values, intervals = evaluate(create_class_metrics(2), np.array([0, 1]), prediction)
    assert np.isnan(list(values.values())).all()
    assert np.isnan(list(intervals.values())).all()


def test_positive_class_can_be_the_first():
    generator = np.random.default_rng(0)
    truth, p = generator.integers(0, 2, 50), generator.random(50)
    prediction = np.stack([1 - p, p], axis=1)
    values, _ = evaluate(create_class_metrics(2, positive=0), truth, prediction, resamples=0)
    assert values["f1"] == pytest.approx(metrics.f1_score(truth, p > 0.5, pos_label=0))
    assert values["pr_auc"] == pytest.approx(metrics.average_precision_score(truth == 0, 1 - p))
    assert values["brier"] == pytest.approx(metrics.brier_score_loss(truth, p))


def test_wilson_interval_of_a_published_case():
    """Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263 gives 0.2553 to 0.3662."""
    truth = np.array([0] * 81 + [1] * 182)
    prediction = np.tile([1.0, 0.0], (263, 1))
    assert accuracy_interval(truth, prediction, Sample(np.ones(263))) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_wilson_interval_is_wider_with_unequal_weights():
    truth, prediction = np.array([0, 1] * 20), np.tile([1.0, 0.0], (40, 1))
    even = accuracy_interval(truth, prediction, Sample(np.full(40, 7.0)))
    uneven = accuracy_interval(truth, prediction, Sample(np.repeat([1.0, 9.0], 20)))
    assert uneven[0] < even[0] < even[1] < uneven[1]


def test_ece_of_calibrated_and_overconfident():
    generator = np.random.default_rng(0)
    p = generator.random(50_000)
    truth = (generator.random(50_000) < p).astype(int)
    one = np.ones((1, 50_000))
    assert ece(truth, np.stack([1 - p, p], axis=1), one)[0] < 0.01
    sure = (p > 0.5).astype(float)
    assert ece(truth, np.stack([1 - sure, sure], axis=1), one)[0] == pytest.approx(0.25, abs=0.01)


def test_scores_are_named_in_order():
    names = ["log_loss", "accuracy", "brier", "roc_auc", "pr_auc", "f1", "f1_macro", "ece"]
    assert [score.name for score in create_class_metrics(2)] == names
    assert [score.name for score in create_class_metrics(3)] == [name for name in names if name != "f1"]
    with pytest.raises(ValueError, match="at least 2 classes"):
        create_class_metrics(1)


def test_a_class_whose_rows_have_no_weight_has_no_part_in_intervals() -> None:
    truth = np.repeat([0, 1, 2], 40)
    prediction = np.random.default_rng(0).dirichlet([1, 1, 1], 120)
    weight = np.where(truth == 2, 0.0, 1.0)
    for counts in (False, True):
        scores, intervals = evaluate(create_class_metrics(3), truth, prediction, weight=weight, counts=counts)
        assert np.isfinite(scores["roc_auc"])
        assert set(intervals) <= set(scores)
