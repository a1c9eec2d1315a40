"""Several numbers are predicted together: scores of each, predictions by name, exports, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from command import Answer

import zoo
from zoo.errors import UsageError


@pytest.fixture
def plane(workspace: Path) -> pd.DataFrame:
    """Two numbers of very different scale that depend on the same columns."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(300, 3)), columns=list("abc"))
    frame["width"] = 2 * frame["a"] + 1 + rng.normal(0, 0.1, 300)
    frame["height"] = 100 * frame["b"] - frame["c"] + rng.normal(0, 1, 300)
    frame.to_csv("plane.csv", index=False)
    return frame


def test_two_numbers_are_trained_scored_predicted_and_exported(
    plane: pd.DataFrame, workspace: Path, command: Callable[..., Answer]
) -> None:
    from zoo.portable.predict import Exported
    from zoo.saving.export_formats import convert_to_columns, write_export

    words = ["--target", "width", "--target", "height", "--epochs", 15, "--no-figures", "--json"]
    values = command("train", "regression/mlp", "plane.csv", *words).json
    metrics = values["metrics"]
    assert metrics["test_rmse"] < values["baselines"]["mean"]["test_rmse"] / 2
    assert set(values["baselines"]) == {"mean", "ridge"}
    run = zoo.best("plane")
    spec = run.model.spec
    split = mlflow.artifacts.load_dict(f"{run.artifact_uri}/split.json")
    test = plane.iloc[split["test"]]
    predictions = run.model.predict(test)
    assert list(predictions.columns) == ["prediction_width", "prediction_height"]
    scaled = []
    for target in spec.targets:
        errors = predictions[f"prediction_{target.name}"].to_numpy() - test[target.name].to_numpy()
        rmse = float(np.sqrt(np.square(errors).mean()))
        assert metrics[f"test_rmse_{target.name}"] == pytest.approx(rmse, rel=1e-5)
        scaled.append(rmse / target.std)
    assert metrics["test_rmse"] == pytest.approx(np.mean(scaled), rel=1e-5)
    write_export(workspace / "onnx", run.model, "onnx")
    exported = Exported(workspace / "onnx").predict(convert_to_columns(test[list("abc")]))
    np.testing.assert_allclose(exported["prediction_height"], predictions["prediction_height"], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        ("classification/mlp", {}, "this task predicts one target; received a class, another"),
        (
            "regression/linear",
            {"target": ["x", "y"], "quantiles": "0.1,0.9"},
            "quantiles are of one target",
        ),
        ("regression/linear", {"target": ["x", "no"]}, "there is no column 'no' to predict"),
        ("regression/linear", {"target": ["x", "y"], "calibrate": "temperature"}, "probabilities are calibrated"),
        ("regression/linear", {"target": ["x", "y"], "calibration_size": 0.3}, "has no prediction intervals"),
        ("regression/linear", {"target": ["x", "x"]}, "'x' is given twice"),
        ("regression/linear", {"target": ["x", "y"], "class_weight": "balanced"}, "needs a target with classes"),
    ],
)
def test_what_needs_a_single_target_says_so(workspace: Path, model: str, options: dict[str, Any], says: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(80, 3)), columns=["z", "x", "y"])
    frame["a class"] = np.where(frame["z"] > 0, "p", "q")
    frame["another"] = np.where(frame["x"] > 0, "p", "q")
    with pytest.raises(UsageError, match=says):
        zoo.train(
            model, frame, quiet=True, figures=False, baselines="none", epochs=1,
            **{"target": ["a class", "another"], **options},
        )  # fmt: skip
