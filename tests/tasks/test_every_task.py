"""What a user does, with each kind of data: train, look, load, predict, search, repeat, and be told what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from command import Answer

import zoo
from zoo.tracking.store import Store


@dataclass(frozen=True)
class Use:
    """A model on data of a fixture.

    Args:
        model: Its name.
        data: Fixture, or a source as it is typed.
        options: Options of the command.
        score: One that is reported for the test part.
        figures: Figures beside the learning curve.
        columns: Of the predictions.
    """

    model: str
    data: str
    options: dict[str, Any]
    score: str
    figures: set[str]
    columns: list[str]
    hyperparameters: dict[str, Any] = field(default_factory=dict)


TWO = ["prediction", "probability_0", "probability_1"]
CLASSES = {"confusion_matrix", "reliability", "roc_and_precision_recall", "threshold_cost"}
USES = {
    "images": Use(
        "image/cnn", "images", {}, "accuracy",
        {*CLASSES, "worst_errors", "filters", "feature_maps", "nearest_training_images", "occlusion_maps"},
        ["prediction", "probability_bottom", "probability_top"], {"filters": 8, "units": 32},
    ),
    "sequences": Use(
        "sequence/gru", "sequences", {}, "accuracy", {*CLASSES, "accuracy_by_length", "integrated_gradients"}, TWO,
        {"units": 16},
    ),
    "long table": Use(
        "sequence/lstm", "long_table", {"series": "sensor", "time": "day", "target": "kind"}, "accuracy",
        {*CLASSES, "accuracy_by_length", "integrated_gradients"},
        ["prediction", "probability_down", "probability_up"], {"units": 16},
    ),
    "texts": Use(
        "sequence/rnn", "texts", {"target": "label", "text": "message"}, "accuracy", {*CLASSES, "integrated_gradients"},
        ["prediction", "probability_ham", "probability_spam"], {"units": 16},
    ),
    "table of groups": Use(
        "clustering/autoencoder", "groups", {"clusters": 3, "labels": "name"}, "clustering_accuracy",
        {"latent_map", "cluster_sizes", "cluster_profile", "column_errors", "dendrogram", "cluster_tree"},
        ["probability_0", "probability_1", "probability_2", "cluster"],
    ),
    "images of groups": Use(
        "clustering/autoencoder", "images", {"clusters": 2, "labels": "class", "size": 8}, "clustering_accuracy",
        {"latent_map", "cluster_sizes", "reconstructions", "cluster_images", "dendrogram", "cluster_tree"},
        ["probability_0", "probability_1", "cluster"],
    ),
    "table with anomalies": Use(
        "anomaly/ksdm", "groups", {"labels": "name", "positive": "cid"}, "roc_auc",
        {"score_distribution", "anomalous_columns"}, ["prediction", "score", "columns"], {"units": 32},
    ),
    "series": Use(
        "forecasting/linear", "sales", {"series": "shop", "time": "month", "target": "sales", "horizon": 6}, "mase",
        {"error_by_horizon", "forecasts"}, ["shop", "month", "prediction"],
    ),
    "environment": Use(
        "rl/dqn", "CartPole-v1", {"env": ["sutton_barto_reward=false"]}, "return_mean",
        {"episode_returns", "return_curve"}, ["prediction"],
        {"period": 256, "learning_starts": 100, "units": 16, "updates": 4},
    ),
}  # fmt: skip


# Those whose models other tests train, save and serve; here they are slow.
TESTED_ELSEWHERE = {"long table", "table of groups", "images of groups"}
FIXTURES = {"images", "sequences", "long_table", "texts", "groups", "sales"}


def source_of(use: Use, request: pytest.FixtureRequest) -> str:
    """The data as a user types them: in the working folder, or by name."""
    return str(request.getfixturevalue(use.data).name) if use.data in FIXTURES else use.data


def rows_to_predict(use: Use, source: str) -> str:
    """The training source where there is one; else observations in columns, as they come from a sensor."""
    if use.data in FIXTURES:
        return source
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(4, 4)), columns=[f"observation_{k}" for k in range(4)])
    frame.to_csv("observations.csv", index=False)
    return "observations.csv"


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in TESTED_ELSEWHERE else name for name in USES]
)
def test_from_a_source_to_served_predictions(
    name: str, workspace: Path, command: Callable[..., Answer], request: pytest.FixtureRequest
) -> None:
    use = USES[name]
    source = source_of(use, request)
    given = [(key, item) for key, value in use.options.items() for item in ([value] if key != "env" else value)]
    options = [f"--{key}={value}" for key, value in given]
    options += [f"--set={key}={value}" for key, value in use.hyperparameters.items()]
    trained = command("train", use.model, source, "--epochs=2", "--json", *options)
    assert trained.status == 0, trained.err
    run = trained.json
    assert f"test_{use.score}" in run["metrics"]
    assert run["epochs_run"] == 2
    assert run["baselines"]
    assert all(f"test_{use.score}" in scores for scores in run["baselines"].values())

    client = Store().client
    assert client.get_run(run["run_id"]).info.status == "FINISHED"
    figures = {Path(file.path).stem for file in client.list_artifacts(run["run_id"], "figures")}
    assert figures == {"learning_curve", *use.figures}

    rows = rows_to_predict(use, source)
    assert command("predict", run["run_id"], rows, "--output", "made.csv").status == 0
    predicted = pd.read_csv("made.csv")
    assert [column for column in predicted.columns if column != "file"] == use.columns  # names of image files
    here = zoo.load(run["run_id"]).predict(rows)
    pd.testing.assert_frame_equal(predicted, here, check_dtype=False, atol=1e-5)

    loaded = mlflow.pyfunc.load_model(f"runs:/{run['run_id']}/model")
    example = loaded.input_example  # out of JSON, as a served model is asked
    served = loaded.predict(example)
    assert list(served.columns) == use.columns
    pd.testing.assert_frame_equal(served, zoo.load(run["run_id"]).predict(example), atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [name if name == "environment" else pytest.param(name, marks=pytest.mark.slow) for name in USES],
)
def test_a_search_and_its_best_model(name: str, workspace: Path, request: pytest.FixtureRequest) -> None:
    use = USES[name]
    source = source_of(use, request)
    fixed = {key: value for key, value in use.hyperparameters.items() if key != "units"}
    search = zoo.tune(
        use.model,
        source,
        trials=2,
        epochs=1,
        quiet=True,
        figures=False,
        baselines="none",
        hyperparameters=fixed,
        **use.options,
    )
    assert [trial.status for trial in search.trials] == ["COMPLETED"] * 2
    used = next(trial for trial in search.trials if trial.trial_id == search.selected)
    assert search.best.metrics[f"val_{search.best.objective}"] == pytest.approx(used.score)
    predicted = zoo.load(search.run_id).predict(rows_to_predict(use, source))
    assert [column for column in predicted.columns if column != "file"] == use.columns


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.slow
@pytest.mark.parametrize("name", USES)
def test_its_exports_predict_what_it_predicts(name: str, workspace: Path, request: pytest.FixtureRequest) -> None:
    use = USES[name]
    source = source_of(use, request)
    run = zoo.train(
        use.model,
        source,
        epochs=1,
        quiet=True,
        figures=False,
        baselines="none",
        hyperparameters=use.hyperparameters,
        **use.options,
    )
    exports = zoo.export(run.run_id, output="exported", quiet=True)
    formats = ["savedmodel"] if name == "series" else ["savedmodel", "onnx", "litert"]
    assert [one.format for one in exports.exports] == formats
    assert set(exports.refused) == {"savedmodel", "onnx", "litert"} - set(formats)
    # Images that are resized have pixels between two whole numbers, which may become either.
    assert all(one.difference < (1e-4 if "images" not in name else 1e-2) for one in exports.exports)
