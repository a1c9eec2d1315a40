"""The hierarchy of clusters: coarser clusters hold whole finer ones, in tables and in predictions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from command import Answer
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score
from zoo.tasks.clustering._hierarchy import Hierarchy, join_clusters
from zoo.tasks.clustering._predicting import predict_merged

import zoo
from zoo.errors import UsageError


@given(st.integers(0, 1000), st.integers(2, 9))
def test_a_cut_has_its_number_of_clusters_and_finer_ones_lie_inside(seed: int, cut: int) -> None:
    means = np.random.default_rng(seed).normal(size=(9, 3))
    merged = join_clusters(means, cut)
    assert sorted(set(merged.tolist())) == list(range(cut))
    assert list(dict.fromkeys(merged.tolist())) == list(range(cut))  # numbered in the order of the clusters
    finer = join_clusters(means, min(cut + 1, 9))
    assert all(len(set(merged[finer == cluster].tolist())) == 1 for cluster in set(finer.tolist()))
    expected = AgglomerativeClustering(cut).fit_predict(means)
    assert adjusted_rand_score(merged, expected) == 1


def test_more_clusters_than_there_are_cannot_be_cut() -> None:
    with pytest.raises(UsageError, match="the model has 3 clusters, which cannot be cut into 4; train with"):
        join_clusters(np.eye(3), 4)


def test_merged_probabilities_are_sums() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(5), 20)
    merged = np.array([0, 1, 0, 2, 1])
    predicted = predict_merged(probabilities, merged)
    np.testing.assert_allclose(predicted["probability_0"], probabilities[:, [0, 2]].sum(axis=1))
    np.testing.assert_allclose(predicted.filter(like="probability_").sum(axis=1), 1)
    assert predicted["cluster"].tolist() == merged[probabilities.argmax(axis=1)].tolist()


def test_clusters_at_one_place_have_a_tree_too() -> None:
    hierarchy = Hierarchy(np.zeros((3, 2)), np.zeros((4, 2)), np.array([0, 0, 1, 1]))
    assert hierarchy.tables()["cluster_hierarchy"]["fraction"].sum() == 1
    assert len(hierarchy.rows) == 3


def test_a_run_has_its_hierarchy_and_predicts_coarser_clusters(workspace: Path, command: Callable[..., Answer]) -> None:
    rng = np.random.default_rng(0)
    kinds = np.arange(160) % 4
    centres = np.array([[0, 0], [0, 3], [30, 0], [30, 3]])  # two pairs of clouds
    points = centres[kinds] + rng.normal(0, 0.3, (160, 2))
    pd.DataFrame(points, columns=["a", "b"]).to_csv("pairs.csv", index=False)
    words = ["--clusters", 4, "--epochs", 30, "--baselines", "none", "--json"]
    trained = command("train", "clustering/autoencoder", "pairs.csv", *words)
    assert trained.status == 0, trained.err
    run = trained.json["run_id"]
    for cut in (2, 4):
        answer = command("predict", run, "pairs.csv", "--cut", cut, "--output", f"{cut}.csv")
        assert answer.status == 0, answer.err
    coarse, fine = pd.read_csv("2.csv"), pd.read_csv("4.csv")
    assert list(coarse.columns) == ["probability_0", "probability_1", "cluster"]
    assert coarse.groupby(fine["cluster"])["cluster"].nunique().tolist() == [1] * 4
    pd.testing.assert_frame_equal(zoo.load(run).predict("pairs.csv", cut=2), coarse, check_dtype=False, atol=1e-6)
    served = mlflow.pyfunc.load_model(f"runs:/{run}/model").predict(pd.read_csv("pairs.csv"), params={"cut": 2})
    assert served["cluster"].tolist() == coarse["cluster"].tolist()
    assert "None" not in command("show", run).out
    too_many = command("predict", run, "pairs.csv", "--cut", 5)
    assert too_many.status == 2
    assert "cut: the model has 4 clusters, which cannot be cut into 5" in too_many.err
    (table,) = Path("mlruns").rglob("cluster_hierarchy.json")
    stored = json.loads(table.read_text())
    hierarchy = pd.DataFrame(stored["data"], columns=stored["columns"]).set_index("cluster")
    inside = coarse["cluster"].groupby(fine["cluster"]).first()
    assert hierarchy["cut_2"].sort_index().tolist() == inside.tolist()
    assert {"dendrogram.png", "cluster_tree.png"} <= {path.name for path in Path("mlruns").rglob("*.png")}
