"""Rows to predict in the forms that people have in Python, and columns whose values were never seen."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import zoo
from zoo.errors import DataError, UsageError
from zoo.saving.model import Model

ROWS = 60


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({
        "age": rng.integers(18, 80, ROWS) + 0.5,
        "income": [f"{value:,.2f} $" for value in rng.integers(10**6, 10**7, ROWS) / 100],
        "member": rng.random(ROWS) < 0.5,
        "town": rng.choice(["Ulm", "Bonn"], ROWS),
        "rich": (["None", "NA"] * ROWS)[:ROWS],
    })  # fmt: skip


@pytest.fixture(scope="module")
def model(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Model:
    patch = pytest.MonkeyPatch()
    patch.chdir(tmp_path_factory.mktemp("given"))
    frame.to_csv("people.csv", index=False)
    run = zoo.train(
        "classification/linear", "people.csv", target="rich", epochs=1, quiet=True, baselines="none", figures=False
    )
    yield run.model
    patch.undo()


def test_every_form_of_a_row_is_the_same_row(model: Model, frame: pd.DataFrame):
    features = frame.drop(columns="rich")
    expected = model.predict(features.head(1))
    cells = features.iloc[0].tolist()
    columns = list(features.columns)
    forms = [
        dict(zip(columns, cells, strict=True)), [dict(zip(columns, cells, strict=True))], features.iloc[0],
        [features.iloc[0]], cells, tuple(cells), [cells], [tuple(cells)], np.array(cells, object),
        np.array([cells], object), features.iloc[0][::-1], frame.iloc[0],
    ]  # fmt: skip
    for rows in forms:
        pd.testing.assert_frame_equal(model.predict(rows), expected)
    assert set(model.classes) == {"None", "NA"}
    pd.testing.assert_frame_equal(model.predict(features.to_dict("records")), model.predict(features))


def test_a_file_and_its_frame_predict_the_same(model: Model, frame: pd.DataFrame):
    pd.testing.assert_frame_equal(model.predict("people.csv"), model.predict(frame))
    frame.to_csv("german.csv", index=False, sep=";", decimal=",")
    pd.testing.assert_frame_equal(model.predict("german.csv"), model.predict(frame))


@pytest.mark.parametrize("rows", [[], 5, None, True, b"x", [[1, 2]], [1, 2], [{"age": 1}, 3], np.zeros((2, 3)), {1}])
def test_other_things_get_a_short_error(model: Model, rows):
    with pytest.raises((DataError, UsageError)) as caught:
        model.predict(rows)
    assert len(str(caught.value)) < 250


def test_answers_and_numbers_are_the_same_in_any_spelling(model: Model, frame: pd.DataFrame):
    features = frame.drop(columns="rich")
    expected = model.predict(features)
    for words in ({True: "1", False: "0"}, {True: "Yes", False: "no"}, {True: 1, False: 0}, {True: "t", False: "F"}):
        for repeat in range(5):  # later calls of few rows take the fast path
            few = features.assign(member=features["member"].map(words)).head(3 if repeat else ROWS)
            pd.testing.assert_frame_equal(model.predict(few), expected.head(len(few)), atol=1e-6)


def test_a_column_without_a_value_of_training_is_reported_once(
    model: Model, frame: pd.DataFrame, caplog: pytest.LogCaptureFixture
):
    model._warned_unseen.clear()
    rows = frame.drop(columns="rich").assign(town="Köln").head(2)
    with caplog.at_level(logging.WARNING, logger="zoo"):
        for _ in range(5):
            model.predict(rows)
    (warning,) = [record.message for record in caplog.records if "occurred in training" in record.message]
    assert warning.startswith("column town: none of its values occurred in training ('Köln'); training had ")
    assert Path("people.csv").exists()


def test_cells_for_a_model_with_one_column_are_rows(workspace: Path) -> None:
    x = np.random.default_rng(0).normal(size=60)
    options = {"epochs": 1, "quiet": True, "figures": False, "baselines": "none"}
    model = zoo.train("regression/linear", (x, 3 * x), **options).model
    expected = model.predict(x[:, None])
    for rows in (x, list(x), pd.Series(x)):
        pd.testing.assert_frame_equal(model.predict(rows), expected)
