"""Training in mixed precision and on several devices."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import zoo

QUICK = {"epochs": 2, "baselines": "none", "figures": False, "quiet": True}
# Each of two devices has a part of each batch; the last batch of an epoch is smaller, and does not divide evenly.
ON_TWO_DEVICES = """
from pathlib import Path
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import zoo
from zoo.fitting.fit import Plan, fit
from zoo.fitting.model_builder import create_model_builder
from zoo.hardware import Hardware
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import make_job
from zoo.training.recorder import MemoryRecorder
for name, source, hyperparameters in [
    ("classification/mlp", "wine", {"dropout": 0.0, "batch_size": 17, "l2": 0.01, "ema_momentum": 0.9}),
    ("sequence/gru", "japanese_vowels", {"dropout": 0.0, "statistics": False, "clip_norm": 0.01}),
]:
    weights = []
    for devices in (1, "all"):
        run = zoo.train(
            name, source, devices=devices, hyperparameters=hyperparameters,
            epochs=2, baselines="none", figures=False, quiet=True,
        )
        weights.append(run.load().keras_model.get_layer("network").get_weights())
    print("difference", max(np.abs(one - two).max() for one, two in zip(*weights, strict=True)))
import pandas as pd
random = np.random.default_rng(0)
frame = pd.DataFrame(random.normal(size=(90, 3)), columns=list("abc"))
frame = frame.assign(y=frame.a + frame.b, w=random.integers(1, 5, 90))
weights = []
for devices in (1, 2):
    run = zoo.train(
        "regression/mlp", frame, target="y", weight="w", devices=devices,
        hyperparameters={"dropout": 0.0, "optimizer": "sgd", "batch_size": 17},
        epochs=2, baselines="none", figures=False, quiet=True,
    )
    weights.append(run.load().keras_model.get_layer("network").get_weights())
print("difference", max(np.abs(one - two).max() for one, two in zip(*weights, strict=True)))
run = zoo.train("classification/mlp", "wine", devices=2, precision="mixed_float16",
                hyperparameters={"dropout": 0.2}, epochs=2, baselines="none", figures=False, quiet=True)
print("mixed", run.metrics["test_log_loss"])

builder = create_model_builder("classification/mlp", hardware=Hardware(devices=2))
dataset = builder.task.read(make_job(TrainJob, {"model": builder.name, "source": "wine"}))
hyperparameters = {"dropout": 0.0, "keep": "last"}
whole = fit(builder, dataset, hyperparameters, Plan(epochs=3))
fit(builder, dataset, hyperparameters, Plan(epochs=3, checkpoint=Path("c"), recorder=MemoryRecorder(2)))
resumed = fit(builder, dataset, hyperparameters, Plan(epochs=3, checkpoint=Path("c")))
weights = [fitted.built_model.network.get_weights() for fitted in (whole, resumed)]
print("resumed", resumed.result.epochs_run, max(np.abs(one - two).max() for one, two in zip(*weights, strict=True)))
"""


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    folder = tmp_path_factory.mktemp("devices")
    done = subprocess.run([sys.executable, "-c", ON_TWO_DEVICES], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return [line.split() for line in done.stdout.splitlines()]


def test_two_devices_train_the_weights_of_one(lines: list[list[str]]) -> None:
    differences = [float(line[1]) for line in lines if line[0] == "difference"]
    assert len(differences) == 3
    assert max(differences) < 1e-5


def test_two_devices_train_in_mixed_precision(lines: list[list[str]]) -> None:
    assert [float(line[1]) < 1 for line in lines if line[0] == "mixed"] == [True]


def test_a_training_on_two_devices_resumes(lines: list[list[str]]) -> None:
    assert [(line[1], float(line[2]) < 1e-6) for line in lines if line[0] == "resumed"] == [("3", True)]


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(("model", "source"), [("image/cnn", "digits"), ("sequence/gru", "japanese_vowels")])
def test_mixed_precision_trains_and_predicts_in_float32(precision: str, model: str, source: str) -> None:
    plain, mixed = (zoo.train(model, source, precision=each, **QUICK) for each in ("float32", precision))
    assert abs(plain.metrics["test_log_loss"] - mixed.metrics["test_log_loss"]) < 0.1
    layers = mixed.load().keras_model._flatten_layers()
    assert {layer.compute_dtype for layer in layers} == {"float32"}


def test_a_mixed_model_is_exported(tmp_path: Path) -> None:
    run = zoo.train("classification/mlp", "wine", precision="mixed_float16", **QUICK)
    exports = zoo.export(run.run_id, format="onnx", output=str(tmp_path / "exported")).exports
    assert [export.difference < 1e-4 for export in exports] == [True]


def test_a_search_trains_in_mixed_precision() -> None:
    search = zoo.tune("classification/mlp", "wine", trials=2, precision="mixed_float16", **QUICK)
    assert np.isfinite(search.best.metrics["test_log_loss"])


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("classification/mlp", {"devices": 64}, "devices: received 64, but there are 1: CPU:0"),
        ("sequence/minirocket", {"precision": "mixed_float16"}, "has a training of its own, in float32 and on one"),
        ("clustering/autoencoder", {"devices": 2}, "models of clustering are trained on one device"),
        ("classification/mlp", {"precision": "mixed_float61"}, "did you mean 'mixed_float16'"),
    ],
)
def test_what_is_not_possible_is_refused(model: str, options: dict[str, object], message: str) -> None:
    source = "japanese_vowels" if model.startswith("sequence") else "wine"
    with pytest.raises(zoo.UsageError, match=message):
        zoo.train(model, source, **options, **QUICK)
