"""Several targets in one network: numbers, labels, both, with rows that lack some; and ordered classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from command import Answer
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, log_loss

import zoo
from zoo.errors import UsageError
from zoo.metrics.intervals import Sample
from zoo.metrics.metric import evaluate
from zoo.metrics.ranks import create_ordered_metrics, quadratic_kappa, quadratic_kappa_interval
from zoo.metrics.significance import bounded_losses
from zoo.networks.losses import EachTarget
from zoo.networks.ordered_classes import OrderedProbabilities
from zoo.tracking.store import Store

GRADES = ("low", "mid", "high")
LABELS = ("news", "sport", "food")
TARGETS = ["grade", "price", "kind"]


def create_frame(rows: int = 300) -> pd.DataFrame:
    """Return rows with a grade of three, a price that a fifth lacks, a kind that a tenth lacks, and tags."""
    generator = np.random.default_rng(0)
    a, b, c = generator.normal(size=(3, rows))
    frame = pd.DataFrame({"a": a, "b": b, "c": c})
    frame["grade"] = np.array(GRADES)[np.digitize(a + 0.3 * generator.normal(size=rows), [-0.5, 0.5])]
    frame["price"] = np.where(generator.random(rows) < 0.2, np.nan, 100 + 10 * b)
    frame["kind"] = np.where(generator.random(rows) < 0.1, None, np.where(c > 0, "x", "y"))
    return frame


def create_tags(rows: int = 300) -> pd.DataFrame:
    """Return rows with a cell of labels, each of which depends on one column."""
    values = np.random.default_rng(1).normal(size=(rows, 3))
    lists = [[label for label, value in zip(LABELS, row, strict=True) if value > 0] for row in values]
    return pd.DataFrame({"a": values[:, 0], "b": values[:, 1], "c": values[:, 2], "tags": lists})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a run with three targets of both kinds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("targets"))
        yield zoo.train("classification/mlp", create_frame(), target=TARGETS, epochs=30, quiet=True, figures=False)


def test_every_target_is_scored_on_the_rows_that_have_it(run: Any) -> None:
    names = {name.removeprefix("test_") for name in run.metrics if name.startswith("test_")}
    assert {"relative_error", "log_loss_grade", "rmse_price", "accuracy_kind", "roc_auc_kind"} <= names
    assert run.objective == "relative_error"
    assert run.metrics["test_relative_error"] < 0.8
    assert run.metrics["test_accuracy_kind"] > 0.8
    assert {"constant", "linear", "histogram_boosting"} <= set(run.baselines)
    assert run.baselines["constant"]["test_relative_error"] == pytest.approx(1, abs=0.15)
    assert any("rows lack the target price; they are used for the others" in note for note in run.notes)


def test_predictions_have_a_column_for_each_target(run: Any) -> None:
    frame = create_frame()
    predicted = run.load().predict(frame)
    assert list(predicted.columns) == [
        "prediction_grade", "prediction_price", "prediction_kind",
        "probability_grade_high", "probability_grade_low", "probability_grade_mid",
        "probability_kind_x", "probability_kind_y",
    ]  # fmt: skip
    assert set(predicted["prediction_kind"]) == {"x", "y"}
    assert abs(predicted["prediction_price"].mean() - 100) < 10
    shares = predicted.filter(like="probability_grade").to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    again = zoo.load(run.run_id).predict(frame.drop(columns=TARGETS))
    pd.testing.assert_frame_equal(predicted, again)


@pytest.mark.parametrize("form", ["onnx", "savedmodel"])
def test_exports_predict_the_same(run: Any, tmp_path: Path, form: str) -> None:
    from zoo.portable.predict import Exported

    frame = create_frame(20)[["a", "b", "c"]]
    folder = zoo.export(run.run_id, form, str(tmp_path / "exported"), on=create_frame(40), quiet=True).exports[0].folder
    exported = Exported(folder).predict({name: frame[name].tolist() for name in frame})
    predicted = run.load().predict(frame)
    assert list(exported) == list(predicted.columns)
    for name, values in exported.items():
        if name.startswith(("prediction_price", "probability")):
            np.testing.assert_allclose(values, predicted[name], rtol=1e-4, atol=1e-5)
        else:
            assert list(values) == list(predicted[name])


def test_losses_of_rows_are_those_of_the_targets_that_they_have() -> None:
    predicted = pd.DataFrame(
        {
            "truth_kind": ["x", None, "y"],
            "truth_price": [1.0, 3.0, np.nan],
            "prediction_kind": ["y", "x", "y"],
            "prediction_price": [1.0, 5.0, 2.0],
            "probability_kind": [0.4, 0.6, 0.1],
        }
    )
    assert bounded_losses(predicted).tolist() == [0.5, 4.0 / 2.0, 0.0]


def test_numbers_alone_keep_their_means() -> None:
    frame = create_frame().dropna()
    run = zoo.train(
        "regression/linear", frame, target=["price", "c"], drop=["grade", "kind"], epochs=2, quiet=True, figures=False
    )
    means = [run.metrics[f"test_r2_{name}"] for name in ("price", "c")]
    assert run.objective == "rmse"
    assert run.metrics["test_r2"] == pytest.approx(np.mean(means))
    assert "histogram_boosting" in run.baselines


@pytest.mark.parametrize("separator", ["|", "; "])
def test_labels_in_cells_are_targets_of_their_own(
    workspace: Path, separator: str, command: Callable[..., Answer]
) -> None:
    frame = create_tags()
    frame["tags"] = [separator.join(labels) or None for labels in frame["tags"]]
    frame.to_csv("tags.csv", index=False)
    words = ("train", "classification/linear", "tags.csv", "--target", "tags", "--column", f"tags=labels:{separator}")
    answer = command(*words, "--epochs", "30", "--json")
    assert answer.status == 0, answer.err
    metrics = answer.json["metrics"]
    assert {f"test_accuracy_{label}" for label in LABELS} <= set(metrics)
    assert metrics["test_exact_match"] > 0.5
    predicted = zoo.load(answer.json["run_id"]).predict(frame.head(3))
    assert list(predicted.columns) == [
        f"{kind}_{label}" for kind in ("prediction", "probability") for label in sorted(LABELS)
    ]
    assert predicted["prediction_news"].dtype == bool
    assert (predicted["prediction_news"] == (predicted["probability_news"] >= 0.5)).all()


def test_scores_of_many_labels_are_a_table(workspace: Path) -> None:
    """Five metrics of each would hide the others."""
    frame = create_tags()
    frame["tags"] = [[f"{label} {copy}" for label in labels for copy in range(4)] for labels in frame["tags"]]
    run = zoo.train("classification/linear", frame, target="tags", epochs=2, figures=False, quiet=True)
    scores = {name for name in run.metrics if name.startswith("test_")}
    assert scores == {f"test_{name}" for name in ("log_loss", "accuracy", "roc_auc", "f1_macro", "exact_match")}
    assert "the scores of each of the 12 targets are the table scores_by_target" in run.notes
    table = json.loads(Store().read_text(run.run_id, "tables/scores_by_target.json"))
    assert table["columns"] == ["target", "rows", "log_loss", "accuracy", "roc_auc", "f1", "f1_macro"]
    accuracies = [row[3] for row in table["data"]]
    assert len(accuracies) == 12
    assert np.mean(accuracies) == pytest.approx(run.metrics["test_accuracy"])


def test_lists_of_labels_need_no_option() -> None:
    frame = create_tags()
    spec = zoo.spec_of(frame, target="tags", task="classification")
    assert [(target.name, target.cells) for target in spec.targets] == [(label, "tags") for label in sorted(LABELS)]
    assert [input_.name for input_ in spec.inputs] == ["a", "b", "c"]
    _, encoded, _ = zoo.arrays(frame, spec)
    np.testing.assert_array_equal(encoded[:, 2], [float("sport" in labels) for labels in frame["tags"]])


def test_ordered_classes_learn_their_order() -> None:
    frame = create_frame(600)[["a", "b", "grade"]]
    run = zoo.train(
        "classification/linear", frame, target="grade", ordered=GRADES, epochs=60, quiet=True, figures=False
    )
    assert run.metrics["test_quadratic_kappa"] > 0.7
    assert run.metrics["test_rank_error"] < 0.35
    predicted = run.load().predict(pd.DataFrame({"a": [-3.0, 0.0, 3.0], "b": 0.0}))
    assert list(predicted["prediction"]) == list(GRADES)
    assert list(predicted.columns[1:]) == [f"probability_{name}" for name in GRADES]


def test_the_order_of_a_column_is_that_of_the_target() -> None:
    frame = create_frame()[["a", "b", "grade"]]
    spec = zoo.spec_of(frame, target="grade", task="classification", column={"grade": "ordered:low<mid<high"})
    assert (spec.target.classes, spec.target.ordered) == (GRADES, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "grade", "ordered": ("low", "high", "mid", "top")}, "the ordered class 'top' does not occur"),
        ({"target": "kind", "ordered": ("x", "y")}, "an order needs three or more classes; the column has 'x', 'y'"),
        ({"target": "kind", "column": {"kind": "ordered:x<y"}}, "an order needs three or more classes"),
        ({"target": "grade", "ordered": ("low", "high")}, "column grade: the order lacks the class 'mid'"),
        ({"target": "grade", "ordered": ("low", "low", "mid")}, "give each class once"),
        ({"target": ["grade", "kind"], "ordered": GRADES}, "that is of one target; the job has several"),
        ({"target": ["grade", "kind"], "positive": "x"}, "that is of one target; the job has several"),
        ({"target": ["grade", "kind"], "class_weight": "balanced"}, "needs a target with classes"),
        ({"target": "price", "task": "regression", "ordered": GRADES}, "an order needs a target with classes"),
        ({"target": "grade", "column": {"a": "labels"}}, "a is a feature; only a target has the kind labels"),
        ({"target": "price", "task": "regression", "column": {"price": "labels"}}, "must be a number for this task"),
        ({"target": "grade", "column": {"grade": "labels:|"}}, None),
    ],
)  # fmt: skip
def test_wrong_options(options: dict[str, Any], message: str | None) -> None:
    options = {"task": "classification", **options}
    if message is None:  # one label in each cell
        assert len(zoo.spec_of(create_frame(), **options).targets) == 3
        return
    with pytest.raises(UsageError) as caught:
        zoo.spec_of(create_frame(), **options)
    assert message in str(caught.value)


def test_wrong_labels() -> None:
    frame, alternate = create_tags(), [["a", "news"], ["news"], ["a"]] * 100
    for cells, message in ((alternate, "also the name of a column"), ([["news"]] * 300, "list 0 labels")):
        with pytest.raises(UsageError) as caught:
            zoo.spec_of(frame.assign(tags=cells), target="tags", task="classification")
        assert message in str(caught.value)


def test_a_label_of_one_row_is_left_out() -> None:
    frame = create_tags()
    frame["tags"] = [[*labels, *(["odd"] if row == 7 else [])] for row, labels in enumerate(frame["tags"])]
    report = zoo.data_report(frame, target="tags", task="classification", quiet=True)
    assert "labels of tags that hardly any row has, or lacks, are left out: odd" in report.notes
    assert zoo.spec_of(frame, target="tags", task="classification").target_names == ", ".join(sorted(LABELS))


def test_empty_cells_are_unknown_and_other_labels_of_a_test_source_are_named(workspace: Path) -> None:
    frame = create_tags()
    cells = [";".join(labels) or ";" for labels in frame["tags"]]
    frame = frame.assign(tags=[None, None, *cells[2:]])
    other = frame.assign(tags=[None, None, *(f"{cell};odd" for cell in cells[2:])])
    frame.to_csv("train.csv", index=False)
    other.to_csv("test.csv", index=False)
    options = {"target": "tags", "column": {"tags": "labels:;"}, "task": "classification", "quiet": True}
    notes = zoo.data_report("train.csv", test="test.csv", **options).notes
    assert "2 empty cells of tags count as unknown; a row without labels needs ';' in its cell" in notes
    assert "the test source: labels of tags that the model does not predict are left out: odd" in notes
    assert "2 rows without a target are left out" in notes
    assert not any("they are used for the others" in note for note in notes)
    assert zoo.spec_of("train.csv", **{name: options[name] for name in ("target", "column", "task")}).rows > 180


def test_a_target_that_no_row_has() -> None:
    frame = create_frame().assign(price=np.nan)
    with pytest.raises(UsageError, match="the target 'price' is missing in every row"):
        zoo.spec_of(frame, target=TARGETS, task="classification")


def test_options_of_a_single_target_are_refused_before_training() -> None:
    for options in ({"calibrate": "temperature"}, {"threshold": "f1"}, {"calibration_size": 0.2}):
        with pytest.raises(UsageError):
            zoo.train(
                "classification/linear", create_frame(), target=TARGETS, epochs=1, quiet=True, figures=False, **options
            )


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(3, 6))
def test_thresholds_rise_and_probabilities_add_up(seed: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    shares = generator.dirichlet(np.ones(classes))
    layer = OrderedProbabilities(shares.tolist())
    scores = np.linspace(-9, 9, 40)[:, None]
    probabilities = np.asarray(layer(scores))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)
    ranks = probabilities @ np.arange(classes)
    assert (np.diff(ranks) > -1e-5).all()
    again = OrderedProbabilities.from_config(layer.get_config())
    np.testing.assert_allclose(np.asarray(again(scores)), probabilities)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000))
def test_the_loss_is_the_mean_over_the_targets_that_rows_have(seed: int) -> None:
    generator = np.random.default_rng(seed)
    shares, numbers = generator.dirichlet(np.ones(3), 20), generator.normal(size=(20, 1))
    truth = np.column_stack([generator.integers(0, 3, 20), generator.normal(size=20)]).astype(float)
    truth[generator.random(20) < 0.3, 1] = np.nan
    output = np.column_stack([shares, numbers])
    loss = float(EachTarget(["class", "squared_error"], [3, 1])(truth, output))
    of_class = float(keras.losses.SparseCategoricalCrossentropy()(truth[:, 0], shares))
    of_number = np.nansum((truth[:, 1] - numbers[:, 0]) ** 2) / 20
    assert loss == pytest.approx((of_class + of_number) / 2, rel=1e-4)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(3, 5))
def test_rank_metrics_agree_with_scikit_learn(seed: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes, 50)
    prediction = generator.dirichlet(np.ones(classes), 50)
    called = (np.cumsum(prediction, axis=1) < 0.5).sum(axis=1)
    weight = generator.random(50) + 0.1
    values, bounds = evaluate(create_ordered_metrics(classes), truth, prediction, weight=weight)
    expected = cohen_kappa_score(truth, called, weights="quadratic", sample_weight=weight)
    assert values["quadratic_kappa"] == pytest.approx(expected)
    assert values["accuracy"] == pytest.approx(accuracy_score(truth, called, sample_weight=weight))
    assert values["rank_error"] == pytest.approx(np.average(np.abs(truth - called), weights=weight))
    labels = np.union1d(truth, called)
    f1 = f1_score(truth, called, average="macro", sample_weight=weight, labels=labels, zero_division=0)
    assert values["f1_macro"] == pytest.approx(f1)
    assert values["log_loss"] == pytest.approx(log_loss(truth, prediction, sample_weight=weight, labels=range(classes)))
    for name in ("quadratic_kappa", "rank_error", "accuracy"):
        assert bounds[name][0] <= values[name] <= bounds[name][1]


@pytest.mark.slow
def test_intervals_of_kappa_cover() -> None:
    generator = np.random.default_rng(0)

    def draw(rows: int) -> tuple[np.ndarray, np.ndarray]:
        score = generator.normal(size=rows)
        truth = np.digitize(score + generator.normal(size=rows), [-1, 0, 1])
        return truth, np.eye(4)[np.digitize(score, [-0.7, 0, 0.7])]

    truth, prediction = draw(1_000_000)
    value = quadratic_kappa(truth, prediction, np.ones((1, len(truth))))[0]
    inside = 0
    for _ in range(1000):
        low, high = quadratic_kappa_interval(*draw(200), Sample(np.ones(200)))
        inside += low <= value <= high
    assert 0.93 <= inside / 1000 <= 0.97
