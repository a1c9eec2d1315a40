"""A model is fitted and evaluated from plain Python: no MLflow, nothing on disk, the test split only when asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from zoo.fitting.fit import Plan, evaluate, fit
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import make_job

builder = create_model_builder("classification/mlp")
dataset = builder.task.read(make_job(TrainJob, {"model": builder.name, "source": "wine"}))
fitted = fit(builder, dataset, {"units": 32}, Plan(epochs=30, seed=1))
assert fitted.result.epochs_run <= 30 and fitted.result.history["loss"][-1] < fitted.result.history["loss"][0]
assert fitted.hyperparameters["units"] == 32
validation = evaluate(fitted, ["validation"], intervals=["validation"])
assert set(validation) == {"validation"}
low, high = validation["validation"].intervals["log_loss"]
assert low <= validation["validation"].scores["log_loss"] <= high < 1.0  # ln 3 is a model that knows nothing
assert evaluate(fitted, ["test"])["test"].scores["accuracy"] > 0.8
assert not any(name.split(".")[0] == "mlflow" for name in sys.modules), "mlflow was imported"
"""


def test_a_fit_without_tracking_writes_nothing(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert list(tmp_path.iterdir()) == []
