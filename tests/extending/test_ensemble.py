"""An ensemble of models from different files is one model: trained, tuned, saved, exported and served as one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import zoo

PAIR = '''
"""Logistic regression and a network as one model, trained together.

Hansen and Salamon 1990, "Neural network ensembles".

Run: ``zoo train classification/pair people.csv``.
"""

from zoo.models.built_model import call_build
from zoo.models.ensemble import assemble_average
from zoo.networks import Knobs
from zoo.tasks.classification import linear, mlp


def build(hp, spec):
    """Return the compiled model.

    Hyperparameters:
        weight: Weight of the network.
    """
    Knobs(hp, vary=("learning_rate",), defaults={"epochs": 3, "scaling": "robust_quantile"}).training(spec.rows)
    weight = hp.Float("weight", 0.1, 0.9, default=0.5)
    members = [call_build(file.build, hp, spec) for file in (linear, mlp)]
    return assemble_average(members, weights=[1 - weight, weight])
'''

IN_A_NEW_PROCESS = """
import sys, zoo
zoo.load(sys.argv[1]).predict(sys.argv[2]).to_csv(sys.argv[3], index=False)
"""


def fitted(people: pd.DataFrame, name: str) -> Any:
    from zoo.fitting.fit import Plan, fit
    from zoo.fitting.model_builder import create_model_builder
    from zoo.jobs.fit_options import TrainJob
    from zoo.jobs.job import make_job

    builder = create_model_builder(name)
    dataset = builder.task.read(make_job(TrainJob, {"model": name, "source": people, "target": "rich"}))
    return fit(builder, dataset, {}, Plan(epochs=3))


def test_models_of_two_files_predict_saved_and_exported_as_one(
    tmp_path: Path, people: pd.DataFrame, workspace: Path
) -> None:
    from zoo.models.ensemble import average
    from zoo.portable.predict import Exported
    from zoo.saving.export_formats import convert_to_columns, write_export
    from zoo.saving.model import Model
    from zoo.saving.model_folder import load_model, save_model

    members = [fitted(people, name) for name in ("classification/linear", "classification/mlp")]
    joint = average([member.built_model for member in members], weights=[1, 3])
    assert joint.members == tuple(member.built_model for member in members)
    spec, rows = members[0].spec, members[0].dataset.splits["test"].inputs
    task = members[0].task
    alone = [task.output(member.built_model.full_model(), rows) for member in members]
    together = task.output(joint.full_model(), rows)
    np.testing.assert_allclose(together, 0.25 * alone[0] + 0.75 * alone[1], atol=1e-6)

    model = Model(joint.full_model(), spec, "pair")
    save_model(tmp_path / "saved", model)
    loaded = load_model(tmp_path / "saved")
    np.testing.assert_array_equal(task.output(loaded.keras_model, rows), together)

    write_export(tmp_path / "onnx", model, "onnx")
    features = people.drop(columns="rich").head(20)
    exported = Exported(tmp_path / "onnx").predict(convert_to_columns(features))
    expected = model.predict(features)
    np.testing.assert_allclose(exported["probability_yes"], expected["probability_yes"], atol=1e-5)
    assert exported["prediction"].tolist() == expected["prediction"].tolist()


@pytest.mark.slow
def test_an_ensemble_is_trained_tuned_resumed_and_served(
    people: pd.DataFrame, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras
    import mlflow

    folder = workspace / "models" / "classification"
    folder.mkdir(parents=True)
    (folder / "pair.py").write_text(PAIR)
    monkeypatch.setenv("ZOO_TASKS", str(workspace / "models"))
    people.to_csv("people.csv", index=False)

    def interrupt(epoch: int, logs: Any) -> None:
        raise KeyboardInterrupt

    callback = keras.callbacks.LambdaCallback(on_epoch_end=interrupt)
    options = {"target": "rich", "baselines": "none", "quiet": True, "figures": False}
    with pytest.raises(KeyboardInterrupt):
        zoo.train("classification/pair", "people.csv", callbacks=[callback], **options)
    stopped = zoo.runs().rows[0]["run_id"]
    resumed = zoo.train(None, resume=stopped, quiet=True)
    assert resumed.epochs_run == 3

    search = zoo.tune("classification/pair", "people.csv", target="rich", trials=2, baselines="none", quiet=True)
    assert len(search.trials) == 2
    assert all(0.1 <= trial.hyperparameters["weight"] <= 0.9 for trial in search.trials)

    run = zoo.train("classification/pair", "people.csv", target="rich", baselines="none", quiet=True)
    expected = run.model.predict("people.csv")
    arguments = [sys.executable, "-c", IN_A_NEW_PROCESS, run.run_id, "people.csv", "predictions.csv"]
    subprocess.run(arguments, check=True, capture_output=True)
    predictions = pd.read_csv("predictions.csv")
    np.testing.assert_allclose(predictions["probability_yes"], expected["probability_yes"], atol=1e-6)
    served = mlflow.pyfunc.load_model(f"runs:/{run.run_id}/model").predict(people.drop(columns="rich"))
    np.testing.assert_allclose(served["probability_yes"], expected["probability_yes"], atol=1e-6)


def test_members_that_cannot_be_averaged_are_refused(people: pd.DataFrame, workspace: Path) -> None:
    from zoo.models.ensemble import average

    with pytest.raises(zoo.UsageError, match="needs members"):
        average([])
    member = fitted(people, "classification/linear").built_model
    with pytest.raises(zoo.UsageError, match="weights of at least 0"):
        average([member], weights=[-1])
