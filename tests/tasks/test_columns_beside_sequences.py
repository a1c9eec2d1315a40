"""Columns with one value for each sequence, read beside it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import zoo
from zoo.errors import DataError, UsageError

SERIES = 90
OPTIONS = {"series": "patient", "time": "day", "static": ["sex", "age"]}


def _table() -> pd.DataFrame:
    """Patients whose outcome depends on their sex, but not on their values."""
    rng = np.random.default_rng(0)
    rows = []
    for patient in range(SERIES):
        sex, age = rng.choice(["f", "m"]), int(rng.integers(20, 80))
        outcome = "ill" if sex == "m" else "well"
        rows += [(f"p{patient}", day, rng.normal(), sex, age, outcome) for day in range(rng.integers(4, 9))]
    return pd.DataFrame(rows, columns=["patient", "day", "value", "sex", "age", "outcome"])


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return _table()


@pytest.fixture(scope="module")
def run(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    file = tmp_path_factory.mktemp("data") / "patients.csv"
    table.to_csv(file, index=False)
    return zoo.train(
        "sequence/gru", str(file), target="outcome", options=OPTIONS, epochs=20, figures=False, quiet=True,
        hyperparameters={"learning_rate": 0.02},
    )  # fmt: skip


def test_model_and_baseline_use_the_columns(run: zoo.Run) -> None:
    assert run.metrics["test_accuracy"] > 0.9
    assert run.baselines["statistics_svm"]["test_accuracy"] > 0.9
    assert run.baselines["majority"]["test_accuracy"] < 0.8


def test_predictions_of_a_long_table_and_of_sequences(run: zoo.Run, table: pd.DataFrame) -> None:
    model = run.load()
    rows = table.drop(columns="outcome")
    predictions = model.predict(rows)
    assert len(predictions) == SERIES
    truth = table.groupby("patient", sort=False)["outcome"].first().to_numpy()
    assert (predictions["prediction"].to_numpy() == truth).mean() > 0.9
    named, values = next(iter(rows.groupby("patient", sort=False)))
    same = model.predict(
        {"sequence": [values[["value"]].to_numpy()], "sex": [values["sex"].iloc[0]], "age": [values["age"].iloc[0]]}
    )
    assert named == "p0"
    assert same["probability_ill"].iloc[0] == pytest.approx(predictions["probability_ill"].iloc[0], abs=1e-6)


@pytest.mark.parametrize("model", ["sequence/minirocket", "sequence/lite"])
def test_other_models_take_columns(model: str, table: pd.DataFrame) -> None:
    run = zoo.train(
        model, table, target="outcome", options=OPTIONS, epochs=40, baselines="none", figures=False, quiet=True
    )
    steps = [np.zeros((5, 1))] * 2
    women, men = run.load().predict_proba({"sequence": steps, "sex": ["f", "m"], "age": [40, 40]})
    assert men[0] - women[0] > 0.05  # the first class is "ill"


@pytest.mark.parametrize("model", ["sequence/minirocket", "sequence/gru"])
def test_categories_of_many_levels_and_missing_cells(model: str, table: pd.DataFrame) -> None:
    number = table["patient"].str[1:].astype(int)
    changed = table.assign(town="town " + (number % 30).astype(str), age=table["age"].where(number % 3 > 0))
    options = {**OPTIONS, "static": ["town", "age", "sex"]}
    run = zoo.train(
        model, changed, target="outcome", options=options, epochs=2, baselines="all", figures=True, quiet=True
    )
    assert "statistics_forest" in run.baselines
    unseen = changed.drop(columns="outcome").assign(town="another town")
    assert np.isfinite(run.load().predict_proba(unseen)).all()


@pytest.mark.parametrize(
    ("static", "message"),
    [
        ("sexx", "no column 'sexx' for --static"),
        ("value", "'value' of --static changes within series p0; it must be constant"),
        ("day", "day is the series, the time, the target"),
    ],
)
def test_wrong_columns_are_refused(static: str, message: str, table: pd.DataFrame) -> None:
    with pytest.raises((DataError, UsageError), match=message):
        zoo.train(
            "sequence/gru", table, target="outcome", options={**OPTIONS, "static": static}, figures=False, quiet=True
        )


@pytest.mark.parametrize(
    ("options", "job", "message"),
    [
        ({"static": "age"}, {"drop": ["age"]}, "age is the series, the time"),
        ({"static": "age"}, {"split": "group=age"}, "age has another use"),
        ({"static": "remark"}, {}, "column remark has texts; only numbers, categories and dates"),
    ],
)
def test_columns_with_another_use_are_refused(
    options: dict[str, str], job: dict[str, object], message: str, table: pd.DataFrame
) -> None:
    remarks = {name: f"{name} was seen by doctor {index * 37 % 91} on a day" for index, name in
               enumerate(table["patient"].unique())}  # fmt: skip
    table = table.assign(remark=table["patient"].map(remarks))
    with pytest.raises(UsageError, match=message):
        zoo.train(
            "sequence/gru", table, target="outcome", options={**OPTIONS, **options}, **job, figures=False, quiet=True
        )


def test_a_missing_column_is_named_in_prediction(run: zoo.Run, table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="the column 'sex' that the model needs is missing"):
        run.load().predict(table.drop(columns=["outcome", "sex"]))


def test_reserved_names_are_refused(table: pd.DataFrame) -> None:
    renamed = table.rename(columns={"age": "length"})
    with pytest.raises(UsageError, match="cannot be called length; rename it"):
        zoo.train(
            "sequence/gru",
            renamed,
            target="outcome",
            options={**OPTIONS, "static": "length"},
            figures=False,
            quiet=True,
        )


def test_columns_beside_texts_are_refused() -> None:
    frame = pd.DataFrame({"text": ["one two", "three"] * 30, "size": [1, 2] * 30, "y": ["a", "b"] * 30})
    options = {"text": "text", "static": "size"}
    with pytest.raises(UsageError, match="models of tables read texts and other columns together"):
        zoo.train("sequence/text", frame, target="y", options=options, figures=False, quiet=True)
