"""Weights by column, by sampling and by class: what the loss sees, and what scores see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from zoo.data.dataset import Dataset
from zoo.data.splitting.sample_weights import repeat_rows
from zoo.data.table_dataset import create_table_dataset
from zoo.errors import ZooError
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import make_job


def table(rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "x": rng.normal(size=rows),
            "w": rng.integers(1, 5, rows),
            "kind": np.where(np.arange(rows) % 10 == 0, "rare", "usual"),
        }
    )


def dataset_of(frame: pd.DataFrame, **options: Any) -> Dataset:
    job = make_job(DataJob, {"source": frame, "target": "kind", **options})
    return create_table_dataset(job, task="t", target_kind="class")


def test_a_column_weighs_every_part_and_is_no_feature() -> None:
    frame = table()
    dataset = dataset_of(frame, weight="w", calibration_size=0.2)
    assert [input_.name for input_ in dataset.spec.inputs] == ["x"]
    for split in dataset.splits.values():
        assert split.weight is not None
        assert split.weight.tolist() == frame["w"][split.rows].tolist()
    assert any("importance" in note for note in dataset.notes)
    assert dataset_of(frame, weight="w", weight_kind="frequency").spec.weights_count


def test_down_sampling_keeps_the_mass_of_classes_and_touches_training_alone() -> None:
    frame = table()
    plain, dataset = dataset_of(frame), dataset_of(frame, sample="down=10")
    for split in ("validation", "test"):
        assert np.array_equal(plain.splits[split].rows, dataset.splits[split].rows)
        assert dataset.splits[split].weight is None
    train, everything = dataset.splits["train"], plain.splits["train"]
    assert train.weight is not None
    usual = frame["kind"][train.rows] == "usual"
    assert (train.weight[usual] == 10).all()
    assert (train.weight[~usual] == 1).all()
    assert set(frame.index[frame["kind"] == "rare"]) & set(everything.rows) <= set(train.rows)
    mass = train.weight[usual].sum()
    assert mass == pytest.approx((frame["kind"][everything.rows] == "usual").sum(), abs=10)
    assert dataset.spec.rows == len(train)
    assert dataset.split_rows["train"].tolist() == everything.rows.tolist()
    assert np.array_equal(dataset_of(frame, sample="down=10").splits["train"].rows, train.rows)


def test_down_sampling_multiplies_given_weights() -> None:
    frame = table()
    train = dataset_of(frame, sample="down=4", weight="w").splits["train"]
    factor = np.where(frame["kind"][train.rows] == "usual", 4, 1)
    assert train.weight is not None
    assert train.weight.tolist() == (frame["w"][train.rows] * factor).tolist()


def test_up_sampling_repeats_in_the_loss_and_not_in_scores() -> None:
    frame = table()
    plain, train = dataset_of(frame).splits["train"], dataset_of(frame, sample="up=5").splits["train"]
    rare = frame["kind"][train.rows] == "rare"
    assert rare.sum() == 5 * (frame["kind"][plain.rows] == "rare").sum()
    assert train.weight is not None
    assert train.weight.sum() == pytest.approx(len(plain))
    assert train.fit_weight is not None
    assert (train.fit_weight == 1).all()


def test_class_weights_are_the_loss_s_alone() -> None:
    frame = table()
    train = dataset_of(frame, class_weight="balanced").splits["train"]
    rare = (frame["kind"][train.rows] == "rare").to_numpy()
    assert train.weight is None
    assert train.fit_weight is not None
    assert train.fit_weight[rare].sum() == pytest.approx(train.fit_weight[~rare].sum())
    given = dataset_of(frame, class_weight={"rare": 3}).splits["train"]
    assert given.fit_weight is not None
    assert given.fit_weight.tolist() == np.where(frame["kind"][given.rows] == "rare", 3, 1).tolist()


@pytest.mark.parametrize(
    "weights, message",
    [
        ([-1.0], "column w, row 1: a weight must be a number of at least 0; received -1.0"),
        ([1.0, None], "column w, row 2: a weight must be a number of at least 0; it is missing"),
        ([1.0, np.inf], "column w, row 2"),
        (["many"], "received many"),
        ([0.0], "all weights are zero"),
    ],
)
def test_weights_that_are_none(weights: list[Any], message: str) -> None:
    column = pd.Series([*weights, *weights[:1] * (400 - len(weights))])
    with pytest.raises(ZooError, match=message):
        dataset_of(table().assign(w=column), weight="w")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"weight": "ww"}, "there is no column 'ww' of weights"),
        ({"class_weight": {"rear": 2}}, "class 'rear' is not among rare, usual"),
        ({"sample": "down=2", "split": "column=part"}, "the training rows have only class 'usual'"),
        ({"weight": "w", "test": table(20).drop(columns="w")}, "the test source has no column 'w'"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, Any], message: str) -> None:
    frame = table().assign(part=lambda rows: np.where(rows["kind"] == "usual", "train", "test"))
    with pytest.raises(ZooError, match=message):
        dataset_of(frame, **options)


def test_rows_are_repeated_as_their_weights_say() -> None:
    rows = np.arange(4)
    assert repeat_rows(rows, np.array([0.0, 2, 0, 1])).tolist() == [1, 1, 3]
    assert repeat_rows(rows, np.full(4, 0.25)).tolist() == [0, 1, 2, 3]
    assert np.unique(repeat_rows(rows, np.array([1.0, 1, 1, 1e9]), most=50)).tolist() == [0, 1, 2, 3]
    assert len(repeat_rows(rows, np.array([1.0, 1, 1, 1e9]), most=50)) < 60
