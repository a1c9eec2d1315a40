"""Kinds of columns and ways for missing values, from a job to the served model and its rivals."""

import logging

import numpy as np
import pandas as pd
import pytest

from zoo.errors import UsageError
from zoo.jobs.data_options import DataJob
from zoo.models.search_space import CheckedHyperParameters
from zoo.registry import resolve
from zoo.saving.model import Model
from zoo.supervised.classical_estimators import run_estimator
from zoo.task import load_task

ROWS = 120
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "age": np.where(RNG.random(ROWS) < 0.2, np.nan, RNG.normal(40, 9, ROWS)),
        "weight_kg": RNG.normal(70, 9, ROWS),
        "size": RNG.choice(["low", "medium", "high"], ROWS),
        "day": pd.Series(pd.date_range("2020-01-01", periods=ROWS, freq="7h")).dt.strftime("%d.%m.%Y %H:%M"),
        "city": RNG.choice(["Ulm", "Bonn", "Rom", None], ROWS),
        "note": [f"a parcel {w} came {w} again" for w in RNG.choice(["soon", "late", "never", "twice"], ROWS)],
        "kind": RNG.choice(["p", "n"], ROWS),
    }
)
COLUMN = {"note": "text", "city": "hashed:16"}


def dataset_of(task, **options):
    return load_task(task).read(DataJob(source=FRAME, column=COLUMN, **options))


@pytest.mark.parametrize("missing", [{}, {"*": "last"}, {"*": "most_frequent"}])
def test_rivals_get_the_same_columns(missing):
    task = load_task("classification")
    dataset = dataset_of("classification", target="kind", missing=missing)
    for baseline in task.estimators("quick", dataset.spec):
        scored = run_estimator(baseline, baseline.construct(0), dataset)
        assert all(np.isfinite(prediction).all() for _, prediction in scored.values())


def test_a_regression_and_a_clustering_understand_them():
    assert dataset_of("regression", target="age").spec.input("city").buckets == 16
    dataset = dataset_of("clustering", drop=("kind",), options={"clusters": 2}, missing={"age": "drop"})
    assert [input_.kind for input_ in dataset.spec.inputs] == ["number", "category", "date", "category", "text"]


@pytest.mark.parametrize("task, source", [("image", "digits"), ("sequence", "japanese_vowels")])
@pytest.mark.parametrize("option", ["column", "missing"])
def test_tasks_without_columns_refuse_them(task, source, option):
    with pytest.raises(UsageError, match="only for tables; the examples of this task are") as caught:
        load_task(task).read(DataJob(source=source, **{option: {"a": "number" if option == "column" else "mean"}}))
    assert caught.value.where == option


def test_what_is_missing_for_the_first_time_is_accepted_and_logged_once(caplog):
    dataset = dataset_of("classification", target="kind")
    model = Model(
        resolve("classification/linear").load_build()(CheckedHyperParameters(), dataset.spec), dataset.spec, "linear"
    )
    rows = FRAME.assign(weight_kg=np.nan)
    with caplog.at_level(logging.WARNING, logger="zoo"):
        for _ in range(3):
            predictions = model.predict(rows)
    assert predictions["probability_p"].notna().all()
    (message,) = [record.getMessage() for record in caplog.records if record.name == "zoo"]
    assert (
        message == "column weight_kg has missing values but had none in training: they are imputed with a typical value"
    )


def test_columns_that_the_model_does_not_use_are_told_once(caplog):
    dataset = dataset_of("classification", target="kind")
    model = Model(
        resolve("classification/linear").load_build()(CheckedHyperParameters(), dataset.spec), dataset.spec, "linear"
    )
    rows = FRAME.assign(shop=1, till="a")
    with caplog.at_level(logging.WARNING, logger="zoo"):
        for _ in range(3):
            pd.testing.assert_frame_equal(model.predict(rows), model.predict(FRAME))
        model.predict(rows, keep=["shop"])
    (message,) = [record.getMessage() for record in caplog.records if record.name == "zoo"]
    assert message == "columns that the model does not use are ignored: shop, till"
