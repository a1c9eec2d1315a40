"""Prepared arrays, their cache, and a task's training and scores with a model of one's own."""

import re
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from zoo.data.dataset import Split
from zoo.errors import UsageError
from zoo.jobs.data_options import DataJob
from zoo.models.built_model import call_build
from zoo.models.search_space import CheckedHyperParameters
from zoo.networks import preprocess_table
from zoo.registry import resolve
from zoo.task import find_task, load_task
from zoo.training.fit_settings import FitSettings
from zoo.training.preprocessed_arrays import CHUNK, load_or_preprocess, preprocess
from zoo.training.training_state import FitPlan

rng = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "size": rng.normal(size=60),
        "town": rng.choice(["Ulm", "Bonn"], 60),
        "word": [f"w{i}" for i in range(60)],
        "kind": ["a", "b", "c"] * 20,
        "price": rng.normal(size=60),
    }
)


@pytest.fixture(scope="module")
def classes():
    return load_task("classification").read(DataJob(source=FRAME, target="kind"))


@pytest.fixture(scope="module")
def numbers():
    return load_task("regression").read(DataJob(source=FRAME.drop(columns="word"), target="price"))


def test_prepared_arrays_are_written_once_and_mapped(classes, tmp_path):
    preprocessing = preprocess_table(classes.spec)
    model, split = preprocessing.model(), classes.splits["train"]
    direct = load_or_preprocess(model, preprocessing.digest, "train", split, None)
    assert not list(tmp_path.iterdir())
    first = load_or_preprocess(model, preprocessing.digest, "train", split, tmp_path)
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.npy")}
    second = load_or_preprocess(None, preprocessing.digest, "train", split, tmp_path)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.npy")} == files
    assert [folder.name for folder in tmp_path.glob("[!.]*")] == [f"train-{preprocessing.digest}"]
    assert set(direct.x) == {"features", "codes"}
    for arrays_ in (first, second):
        assert len(arrays_) == len(split)
        assert set(arrays_.x) == set(direct.x)
        assert all(isinstance(arrays_.x[key], np.memmap) for key in arrays_.x)
        assert all(np.array_equal(arrays_.x[key], direct.x[key]) for key in arrays_.x)
        assert np.array_equal(arrays_.y, split.target)
        assert arrays_.y.dtype == np.int32


def resident_kib(file):
    """How much of a mapped file this process holds in memory."""
    matches = re.findall(rf"{re.escape(str(file))}\n(?:.*\n)*?Rss: +(\d+) kB", Path("/proc/self/smaps").read_text())
    return sum(map(int, matches))


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells what is in memory of a file")
def test_raw_rows_are_let_go_once_they_were_prepared(numbers, tmp_path):
    split, file = numbers.splits["train"], tmp_path / "size.npy"
    inputs = {key: np.tile(values, 5000) for key, values in split.inputs.items()}
    np.save(file, inputs["size"])
    inputs["size"] = np.load(file, mmap_mode="r")
    assert inputs["size"].sum()
    assert resident_kib(file) > 1000
    long = Split(inputs, None, np.arange(len(inputs["size"])))
    preprocessing = preprocess_table(numbers.spec)
    load_or_preprocess(preprocessing.model(), preprocessing.digest, "train", long, tmp_path / "cache")
    assert resident_kib(file) == 0


def test_chunks_make_no_difference(classes):
    split = classes.splits["train"]
    many = CHUNK // len(split) + 2
    long = Split(
        {key: np.tile(values, many) for key, values in split.inputs.items()}, None, np.arange(many * len(split))
    )
    model = preprocess_table(classes.spec).model()
    once, often = preprocess(model, split), preprocess(model, long)
    assert len(often) > CHUNK
    assert often.y is None
    assert np.array_equal(often.x["features"], np.tile(once.x["features"], (many, 1)))


def fitted(task, built_model, dataset, epochs=2, cache=None):
    return load_task(task).fit(built_model, dataset, FitPlan(FitSettings(batch_size=8, epochs=epochs)), cache=cache)


@pytest.mark.parametrize("cached", [False, True])
def test_training_on_prepared_data_shows_in_the_whole_model(classes, tmp_path, cached):
    keras.utils.set_random_seed(0)
    built_model = call_build(
        resolve("classification/mlp").load_build(), CheckedHyperParameters({"units": 4}), classes.spec
    )
    result = fitted("classification", built_model, classes, cache=tmp_path if cached else None)
    assert set(result.history) == {"loss", "val_loss", "val_log_loss", "learning_rate"}
    scores = load_task("classification").evaluate(built_model.full_model(), classes, "validation", intervals=False)
    assert scores.scores["log_loss"] == pytest.approx(result.history["val_log_loss"][result.best_epoch - 1], abs=1e-5)
    assert scores.intervals == {}


def own_model(shape, units, loss):
    model = keras.Sequential(
        [keras.Input(shape), keras.layers.Dense(units, activation="softmax" if units > 1 else None)]
    )
    model.compile("sgd", loss)
    return model


@pytest.mark.parametrize("cached", [False, True])
def test_a_model_of_ones_own_gets_preparation_before_it(numbers, tmp_path, cached):
    task, width = load_task("regression"), 1 + 2 + 3
    model = own_model((width,), 1, "mse")
    assert find_task(model) is task
    built_model = task.adopt(model, numbers.spec)
    for _ in range(1 + cached):
        result = fitted("regression", built_model, numbers, cache=tmp_path if cached else None)
        assert np.isfinite(result.history["val_rmse"]).all()
    output = task.output(built_model.full_model(), numbers.splits["test"].inputs)
    assert output.shape == (12, 1)
    assert task.rules(numbers.spec).predictions(output)["prediction"].notna().all()


def test_a_model_of_ones_own_may_take_raw_columns(numbers):
    size = keras.Input((), name="size")
    model = keras.Model({"size": size}, keras.layers.Dense(1)(keras.ops.expand_dims(size, -1)))
    model.compile("sgd", "mae")
    built_model = load_task("regression").adopt(model, numbers.spec)
    assert built_model.preprocessing is None
    assert built_model.full_model() is model


@pytest.mark.parametrize(
    "shape, units, message",
    [((5,), 1, "do not fit the data: it must have inputs named"), ((6,), 2, r"must have shape \(None, 1\)")],
)
def test_a_model_of_ones_own_that_does_not_fit(numbers, shape, units, message):
    with pytest.raises(UsageError, match=message):
        load_task("regression").adopt(own_model(shape, units, "mse"), numbers.spec)


def test_a_model_whose_task_cannot_be_told():
    with pytest.raises(UsageError, match="which task is the model"):
        find_task(own_model((3,), 1, lambda y, p: p))


NEAREST = {"images": "nearest_neighbours", "sequences": "statistics_nearest_neighbours"}


@pytest.mark.parametrize("kind, labels", [("images", "class"), ("sequences", "class"), ("sequences", "number")])
def test_nearest_neighbours_of_images_and_sequences(kind, labels):
    random = np.random.default_rng(1)
    target = np.arange(60) % 2
    shape = (60, 8, 8, 1) if kind == "images" else (60, 9, 2)
    x = random.normal(target.reshape(-1, *[1] * (len(shape) - 1)) * 2.0, 1, shape)
    task, y = load_task("image" if kind == "images" else "sequence"), target if labels == "class" else target + 0.5
    dataset = task.read(DataJob(source=(x, y)))
    baseline = next(each for each in task.baselines("all", dataset.spec) if each.name == NEAREST[kind])
    scores = baseline.run(dataset, 0)["test"]
    assert scores["accuracy"] == 1 if labels == "class" else scores["rmse"] < 0.1


def test_nearest_neighbours_of_several_targets():
    task = load_task("regression")
    dataset = task.read(DataJob(source=FRAME.assign(age=FRAME["price"] * 2 + 1), target=["price", "age"]))
    baseline = next(each for each in task.baselines("all", dataset.spec) if each.name == "nearest_neighbours")
    assert {"rmse_price", "rmse_age"} <= set(baseline.run(dataset, 0)["test"])


@pytest.mark.parametrize("task, level", [("classification", "quick"), ("regression", "quick")])
def test_baselines_have_the_same_scores(task, level, classes, numbers):
    dataset = classes if task == "classification" else numbers
    names = {score.name for score in load_task(task).rules(dataset.spec).metrics()}
    matches = load_task(task).baselines(level, dataset.spec)
    assert load_task(task).baselines("none", dataset.spec) == []
    assert {baseline.name for baseline in load_task(task).baselines("all", dataset.spec)} > {
        baseline.name for baseline in matches
    }
    dummy = matches[0].run(dataset, 0)
    assert set(dummy) == {"train", "validation", "test"}
    assert all(set(scores) == names for scores in dummy.values())
