"""The number of clusters by default: found where there are clusters, and not claimed where there are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import Answer
from zoo.tasks.clustering._number import FEWEST, choose_number_of

from zoo.data.dataset import Dataset, load_dataset, save_dataset
from zoo.errors import DataError
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import make_job
from zoo.task import load_task


def read(source: object, **options: object) -> Dataset:
    return load_task("clustering").read(make_job(DataJob, {"source": source, "options": options}))


def create_clouds(clusters: int, rows: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    centres = 12 * np.eye(clusters, 6)
    return pd.DataFrame(centres[np.arange(rows) % clusters] + rng.normal(size=(rows, 6)), columns=list("abcdef"))


@pytest.mark.parametrize("clusters", [2, 3, 5])
def test_the_number_of_clear_clusters_is_found(clusters: int) -> None:
    number = choose_number_of(create_clouds(clusters).to_numpy())
    assert number.clusters == clusters
    assert f"{clusters} clusters, chosen from 2 to 15: stability under resampling" in number.note


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_rows_without_clusters_do_not_say_a_number(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for points in (rng.normal(size=(150, 4)), rng.uniform(size=(150, 3)), rng.normal(size=(200, 3)) * [9, 3, 1]):
        number = choose_number_of(points)
        assert number.clusters == FEWEST
        assert "the data do not say how many clusters there are: of 2 to 15, no number is both stable" in number.note


def test_the_same_rows_have_the_same_number() -> None:
    points = np.random.default_rng(0).normal(size=(120, 3))
    pd.testing.assert_frame_equal(choose_number_of(points).curve, choose_number_of(points).curve)


@pytest.mark.parametrize("points", [np.zeros((40, 2)), np.arange(30.0)[:, None], np.eye(12), np.eye(9)])
def test_odd_rows_have_a_number_too(points: np.ndarray) -> None:
    number = choose_number_of(points)
    assert 2 <= number.clusters <= max(len(points) // 4, 2)


def test_labels_and_test_rows_do_not_choose() -> None:
    frame = create_clouds(3)
    plain = read(frame)
    labelled = read(frame.assign(kind=np.arange(120) % 2), labels="kind")
    other = read(frame, clusters="auto")
    assert plain.facts == labelled.facts == other.facts
    assert plain.spec.options["clusters"] == labelled.spec.options["clusters"] == 3
    moved = frame.copy()
    moved.loc[plain.splits["test"].rows] += 1000.0
    assert read(moved).facts == plain.facts


def test_labels_that_are_like_an_id_are_refused() -> None:
    frame = create_clouds(3).assign(number=np.arange(120))
    with pytest.raises(DataError, match="the labels 'number' have 120 distinct values in 120 rows, like an id"):
        read(frame, labels="number")


def test_a_given_number_is_not_chosen() -> None:
    dataset = read(create_clouds(3), clusters="4")
    assert dataset.spec.options["clusters"] == 4
    assert not dataset.facts
    assert not [note for note in dataset.notes if "clusters" in note]


def test_what_the_number_was_chosen_by_is_stored(tmp_path: Path) -> None:
    dataset = read(create_clouds(3))
    save_dataset(dataset, tmp_path)
    assert load_dataset(tmp_path).facts == dataset.facts


def test_a_run_shows_what_its_number_was_chosen_by(workspace: Path, command: Callable[..., Answer]) -> None:
    create_clouds(3).to_csv("clouds.csv", index=False)
    trained = command("train", "clustering/autoencoder", "clouds.csv", "--epochs", 2, "--baselines", "quick", "--json")
    assert trained.status == 0, trained.err
    assert [note for note in trained.json["notes"] if note.startswith("3 clusters, chosen from 2 to 15")]
    (table,) = Path("mlruns").rglob("tables/number_of_clusters.json")
    stored = json.loads(table.read_text())
    assert stored["columns"] == ["clusters", "stability", "silhouette", "silhouette_without_clusters"]
    assert len(stored["data"]) == 14
    assert list(Path("mlruns").rglob("number_of_clusters.png"))
    predicted = command("predict", trained.json["run_id"], "clouds.csv", "--output", "predicted.csv")
    assert predicted.status == 0, predicted.err
    assert list(pd.read_csv("predicted.csv").columns) == [*(f"probability_{k}" for k in range(3)), "cluster"]
    for wrong in ("many", "1", "2.5"):
        answer = command("train", "clustering/autoencoder", "clouds.csv", "--clusters", wrong)
        assert answer.status == 2
        assert f"clusters: received '{wrong}'" in answer.err
