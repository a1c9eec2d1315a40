"""The profile of clusters: what sets each apart, against planted differences."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import Answer
from zoo.tasks.clustering._profile import compute_effects, create_profile, find_typical, select_largest

from zoo.data.dataset import Dataset
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import make_job
from zoo.task import load_task


def create_frame(rows: int = 120) -> pd.DataFrame:
    """Two clouds: the second is higher in a, mostly blue, and never has a c; b is noise."""
    rng = np.random.default_rng(0)
    kinds = np.arange(rows) % 2
    return pd.DataFrame({
        "a": 10 * kinds + rng.normal(size=rows),
        "b": rng.normal(size=rows),
        "colour": np.where(rng.random(rows) < 0.9, np.array(["red", "blue"])[kinds], "green"),
        "c": np.where(kinds == 1, np.nan, rng.normal(size=rows)),
    })  # fmt: skip


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    job = make_job(
        DataJob, {"source": create_frame(), "options": {"clusters": 2}, "test_size": 0, "validation_size": 0}
    )
    return load_task("clustering").read(job)


def test_effects_are_the_standardized_differences_of_planted_clusters(dataset: Dataset) -> None:
    split, frame = dataset.splits["train"], create_frame()
    assigned = split.rows % 2
    effects = compute_effects(split, dataset.spec, assigned).set_index(["cluster", "feature"])
    low, high = frame["a"][::2], frame["a"][1::2]
    expected = (high.mean() - low.mean()) / np.sqrt((high.var(ddof=0) + low.var(ddof=0)) / 2)
    assert effects.loc[(1, "a"), "effect"] == pytest.approx(expected)
    assert effects.loc[(0, "a"), "effect"] == pytest.approx(-expected)
    assert effects.loc[(0, "a"), "in_cluster"] == pytest.approx(low.mean())
    blue = frame["colour"] == "blue"
    assert effects.loc[(1, "colour=blue"), "effect"] == pytest.approx(blue[1::2].mean() - blue[::2].mean())
    assert effects.loc[(1, "colour=blue"), "kind"] == "category"
    assert effects.loc[(1, "c is missing"), "effect"] == 1
    assert (1, "c") not in effects.index  # cluster 1 has no value of it
    assert abs(effects.loc[(0, "b"), "effect"]) < 0.5


def test_the_largest_effects_come_first_and_zeros_are_left_out(dataset: Dataset) -> None:
    split = dataset.splits["train"]
    largest = select_largest(compute_effects(split, dataset.spec, split.rows % 2), 3)
    assert {"a", "c is missing"} < set(largest[largest["cluster"] == 1]["feature"])
    sizes = largest["standardized"].abs().groupby(largest["cluster"])
    assert all(values.is_monotonic_decreasing for _, values in sizes)
    assert (largest.groupby("cluster").size() == 3).all()


def test_one_cluster_has_no_rest(dataset: Dataset) -> None:
    split = dataset.splits["train"]
    profile = create_profile(split, dataset.spec, np.zeros((len(split), 2)), np.zeros(len(split), int))
    assert profile.effects.empty
    table = profile.tables(split)["cluster_profile"]
    assert table["rows"].tolist() == [len(split), 0]
    assert table["typical_rows"][1] == ""


def test_typical_rows_are_nearest_to_the_mean() -> None:
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(50, 3))
    assigned = np.arange(50) % 2
    (first, *_), _ = find_typical(latent, assigned, 2)
    distances = np.linalg.norm(latent[::2] - latent[::2].mean(axis=0), axis=1)
    assert first == 2 * distances.argmin()


def test_a_run_logs_the_profile_of_its_clusters(workspace: Path, command: Callable[..., Answer]) -> None:
    create_frame().to_csv("clouds.csv", index=False)
    words = ["--clusters", 2, "--epochs", 30, "--baselines", "none", "--json"]
    trained = command("train", "clustering/autoencoder", "clouds.csv", *words)
    assert trained.status == 0, trained.err
    assert "--calibration-size" not in command("card", trained.json["run_id"]).out  # which the task refuses
    (table,) = Path("mlruns").rglob("cluster_profile.json")
    stored = json.loads(table.read_text())
    profile = pd.DataFrame(stored["data"], columns=stored["columns"])
    predicted = command("predict", trained.json["run_id"], "clouds.csv", "--output", "predicted.csv")
    assert predicted.status == 0, predicted.err
    clusters = pd.read_csv("predicted.csv")["cluster"]
    for row in profile.itertuples():  # rows are numbered as in the file, from 1
        typical = [int(number) - 1 for number in row.typical_rows.split(", ")]
        assert (clusters[typical] == row.cluster).all()
        kinds = {number % 2 for number in typical}
        assert len(kinds) == 1
        assert f"a {'+' if kinds == {1} else '-'}" in row.sets_it_apart
    assert list(Path("mlruns").rglob("cluster_profile.png"))
