"""The scores of clusterings are scikit-learn's, and those of brute force; names of clusters mean nothing."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from zoo.metrics.clusters import (
    BLOCK,
    adjusted_rand,
    cluster_scores,
    clustering_accuracy,
    contingency,
    normalized_mutual_information,
    silhouette_rows,
    stability,
)
from zoo.metrics.metric import evaluate

pytestmark = pytest.mark.filterwarnings("error")
SCORES: dict[str, Any] = {
    "clustering_accuracy": clustering_accuracy,
    "nmi": normalized_mutual_information,
    "ari": adjusted_rand,
}


@st.composite
def clustered(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label codes, clusters as probabilities of up to five of them, and whole weights of two resamples."""
    n, labels, clusters = draw(st.integers(2, 25)), draw(st.integers(1, 5)), draw(st.integers(1, 5))
    truth = np.array(draw(st.lists(st.integers(0, labels - 1), min_size=n, max_size=n)))
    assigned = np.array(draw(st.lists(st.integers(0, clusters - 1), min_size=n, max_size=n)))
    weights = np.array(draw(st.lists(st.integers(0, 3), min_size=2 * n, max_size=2 * n)), float).reshape(2, n)
    weights[:, draw(st.integers(0, n - 1))] += 1  # so that some row has weight
    return truth, soft(assigned, clusters), weights


def soft(assigned: np.ndarray, clusters: int) -> np.ndarray:
    """Probabilities whose greatest is that of the cluster."""
    return 0.5 * np.eye(clusters)[assigned] + 0.5 / clusters


def drawn(truth: np.ndarray, prediction: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and clusters with each row as often as its weight says."""
    times = weight.astype(int)
    return np.repeat(truth, times), np.repeat(prediction.argmax(axis=1), times)


@settings(max_examples=150, deadline=None)
@given(data=clustered())
def test_every_score_is_sklearns(data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, prediction, weights = data
    nmi, ari = normalized_mutual_information(*data), adjusted_rand(*data)
    tables = contingency(truth, prediction, weights)
    for row, weight in enumerate(weights):
        labels, clusters = drawn(truth, prediction, weight)
        assert nmi[row] == pytest.approx(metrics.normalized_mutual_info_score(labels, clusters), abs=1e-9)
        assert ari[row] == pytest.approx(metrics.adjusted_rand_score(labels, clusters), abs=1e-9)
        wanted = np.zeros(tables[row].shape)
        np.add.at(wanted, (clusters, labels), 1)
        np.testing.assert_array_equal(tables[row], wanted)


@settings(max_examples=150, deadline=None)
@given(data=clustered())
def test_accuracy_is_that_of_the_best_of_all_matchings(data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, prediction, weights = data
    size = max(prediction.shape[1], truth.max() + 1)
    for accuracy, weight in zip(clustering_accuracy(*data), weights, strict=True):
        labels, clusters = drawn(truth, prediction, weight)
        best = max(np.mean(np.array(order)[clusters] == labels) for order in permutations(range(size)))
        assert accuracy == pytest.approx(best, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(data=clustered(), seed=st.integers(0, 99))
def test_names_of_clusters_and_labels_mean_nothing(data: tuple[np.ndarray, np.ndarray, np.ndarray], seed: int) -> None:
    truth, prediction, weights = data
    random = np.random.default_rng(seed)
    renamed = prediction[:, random.permutation(prediction.shape[1])]
    relabelled = random.permutation(truth.max() + 3)[truth]  # with codes that nobody has
    order = random.permutation(len(truth))
    for function in SCORES.values():
        wanted = pytest.approx(function(truth, prediction, weights), abs=1e-9)
        assert function(truth, renamed, weights) == wanted
        assert function(relabelled, prediction, weights) == wanted
        assert function(truth[order], prediction[order], weights[:, order]) == wanted


@settings(max_examples=60, deadline=None)
@given(data=clustered())
def test_bounds(data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, prediction, weights = data
    scored = {name: function(truth, prediction, weights) for name, function in SCORES.items()}
    shares = [np.bincount(truth, weight).max() / weight.sum() for weight in weights]
    for values in scored.values():
        assert (values <= 1 + 1e-9).all()
    # All rows of a cluster in the greatest class's heap is the least that a matching can be sure of.
    assert (scored["clustering_accuracy"] >= np.array(shares) / prediction.shape[1] - 1e-9).all()
    assert (scored["nmi"] >= 0).all()
    assert (scored["ari"] >= -0.5 - 1e-9).all()
    one_hot = np.eye(truth.max() + 1)[truth]
    for function in SCORES.values():
        np.testing.assert_allclose(function(truth, one_hot, weights), 1, atol=1e-9)


def test_chance_scores_nothing() -> None:
    random = np.random.default_rng(0)
    truth, prediction = random.integers(0, 4, 20_000), np.eye(4)[random.integers(0, 4, 20_000)]
    values, _ = evaluate(cluster_scores(True)[2:], truth, prediction, resamples=0)
    assert values["clustering_accuracy"] == pytest.approx(0.25, abs=0.02)
    assert values["nmi"] == pytest.approx(0, abs=0.002)
    assert values["ari"] == pytest.approx(0, abs=0.002)


@pytest.mark.parametrize("n", [1, 7, 100_000])
def test_one_heap_and_rows_all_apart(n: int) -> None:
    ones, zeros = np.ones((1, n)), np.zeros(n, int)
    heap = np.ones((n, 1))
    assert [float(function(zeros, heap, ones)[0]) for function in SCORES.values()] == [1, 1, 1]
    if n == 7:
        apart = np.arange(n)
        assert [float(function(apart, np.eye(n), ones)[0]) for function in SCORES.values()] == [1, 1, 1]
        for one, other in ((apart, heap), (zeros, np.eye(n))):
            scores_ = [float(function(one, other, ones)[0]) for function in SCORES.values()]
            assert scores_ == pytest.approx([1 / 7, 0, 0], abs=1e-12)


def test_without_weight_there_is_no_score() -> None:
    truth, prediction = np.array([0, 1]), np.eye(2)
    weights = np.array([[0.0, 0.0], [1.0, 1.0]])
    assert np.isnan(clustering_accuracy(truth, prediction, weights)).tolist() == [True, False]
    assert np.isnan(normalized_mutual_information(truth, prediction, weights)).tolist() == [True, False]


def test_of_equal_probabilities_the_first_is_taken() -> None:
    table = contingency(np.array([0, 1]), np.full((2, 3), 1 / 3), np.ones((1, 2)))
    assert table.tolist() == [[[1, 1], [0, 0], [0, 0]]]


def test_which_scores_there_are() -> None:
    assert [score.name for score in cluster_scores(False)] == ["stability", "silhouette"]
    assert {score.direction for score in cluster_scores(True)} == {"max"}
    for score in cluster_scores(False):
        with pytest.raises(TypeError, match="the task computes it"):
            score.function(np.zeros(2), np.zeros((2, 2)), np.ones((1, 2)))


# Stability


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 20), st.integers(2, 5), st.integers(1, 4), st.integers(0, 999),
)  # fmt: skip
def test_stability_is_the_mean_of_sklearns(n: int, clusters: int, resamples: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    reference, again = random.integers(0, clusters, n), random.integers(0, clusters, (resamples, n))
    score, draws = stability(again, reference, clusters)
    used = len(set(reference.tolist())) / clusters
    wanted = [used * metrics.adjusted_rand_score(reference, row) for row in again]
    np.testing.assert_allclose(draws, wanted, atol=1e-9)
    assert score == pytest.approx(np.mean(wanted), abs=1e-9)


def test_a_single_heap_is_not_stable() -> None:
    same = np.zeros((3, 10), int)
    assert stability(same, np.zeros(10, int), 5)[0] == pytest.approx(0.2)
    halves = np.repeat([0, 3], 5)
    assert stability(np.stack([halves, 3 - halves]), halves, 4)[0] == pytest.approx(0.5)


# Silhouette


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 30), st.integers(1, 3), st.integers(2, 5), st.integers(0, 999), st.booleans())
def test_silhouettes_are_sklearns(n: int, size: int, clusters: int, seed: int, coarse: bool) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, size)) if not coarse else random.integers(0, 3, (n, size)).astype(float)
    assigned = 7 * random.integers(0, clusters, n) - 3  # names need not be codes
    scores_ = silhouette_rows(x, assigned)
    if not 2 <= len(np.unique(assigned)) < n:
        assert len(np.unique(assigned)) == n or np.isnan(scores_).all()
        return
    np.testing.assert_allclose(scores_, metrics.silhouette_samples(x, assigned), atol=1e-6)
    assert (np.abs(scores_) <= 1).all()


def test_blocks_make_no_difference() -> None:
    random = np.random.default_rng(0)
    x, assigned = random.normal(size=(2 * BLOCK + 7, 2)).astype(np.float32), random.integers(0, 4, 2 * BLOCK + 7)
    np.testing.assert_allclose(silhouette_rows(x, assigned), metrics.silhouette_samples(x, assigned), atol=1e-5)


def test_silhouettes_of_odd_clusters() -> None:
    x = np.array([[0.0], [1.0], [10.0]])
    assert np.isnan(silhouette_rows(x, np.zeros(3, int))).all()
    assert silhouette_rows(x, np.arange(3)).tolist() == [0, 0, 0]  # each row alone
    assert silhouette_rows(x, np.array([0, 0, 1]))[2] == 0
    assert silhouette_rows(np.zeros((4, 2)), np.array([0, 0, 1, 1])).tolist() == [0, 0, 0, 0]  # all rows the same
    near = silhouette_rows(np.array([[0.0], [0.1], [5.0], [5.1]]), np.array([0, 1, 0, 1]))
    assert (near < 0).all()


def test_silhouettes_do_not_move_with_the_rows() -> None:
    random = np.random.default_rng(0)
    x, assigned = random.normal(size=(60, 3)), random.integers(0, 3, 60)
    np.testing.assert_allclose(silhouette_rows(x + 1e6, assigned), silhouette_rows(x, assigned), atol=1e-6)
