"""Numbers that would be wrong without a word: rivals of other options, scores on what is no label, padding as steps."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

import zoo
from zoo.errors import DataError, UsageError
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import make_job
from zoo.networks.recurrent import RealSteps
from zoo.task import load_task
from zoo.training.fit_settings import FitSettings
from zoo.training.preprocessed_arrays import forward
from zoo.training.training_state import FitPlan


def test_a_baseline_belongs_to_the_options_that_it_was_run_with(workspace: Path) -> None:
    few, many = (
        zoo.train("clustering/autoencoder", "wine", clusters=count, labels="class", epochs=1, quiet=True, figures=False)
        for count in (3, 10)
    )
    assert few.baselines["k_means"]["val_silhouette"] != many.baselines["k_means"]["val_silhouette"]


def clouds_with_ids(rows: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    kinds = np.arange(rows) % 2
    points = 6 * kinds[:, None] + rng.normal(0, 0.5, (rows, 2))
    city = rng.choice([f"city {number}" for number in range(40)], rows)
    return pd.DataFrame({"a": points[:, 0], "b": points[:, 1], "city": city, "kind": np.array(["x", "y"])[kinds]})


def test_numbers_of_levels_are_no_distances(workspace: Path) -> None:
    run = zoo.train(
        "clustering/autoencoder", clouds_with_ids(), clusters=2, labels="kind", epochs=30, quiet=True, figures=False,
        baselines="quick",
    )  # fmt: skip
    assert run.baselines["k_means"]["test_clustering_accuracy"] == 1
    assert run.baselines["k_means"]["test_silhouette"] > 0.7
    with pytest.raises(DataError, match="no column to cluster by"):
        zoo.train("clustering/autoencoder", clouds_with_ids()[["city"]], clusters=2, quiet=True, figures=False)


def test_rows_without_a_label_are_not_scored_by_one(workspace: Path) -> None:
    frame = clouds_with_ids().drop(columns="city")
    test = frame.copy()
    test.loc[:29, "kind"] = None
    task = load_task("clustering")
    options = {"clusters": 2, "labels": "kind"}
    dataset = task.read(make_job(DataJob, {"source": frame, "test": test, "options": options}))
    target = dataset.splits["test"].target
    assert (target[:30] == -1).all()
    assert sorted(np.unique(target[30:])) == [0, 1]
    assert dataset.labels == ("x", "y")


def test_a_users_own_model_may_not_take_padding_for_steps(workspace: Path) -> None:
    plain = keras.Sequential([keras.Input((None, 12)), keras.layers.GRU(4), keras.layers.Dense(9, "softmax")])
    plain.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(UsageError, match="the inputs steps, length"):
        zoo.train(plain, "japanese_vowels", task="sequence", epochs=1, quiet=True, figures=False)
    steps, length = keras.Input((None, 12), name="steps"), keras.Input((), dtype="int32", name="length")
    output = keras.layers.Dense(9, "softmax")(keras.layers.GRU(4)(steps, mask=RealSteps()(steps, length)))
    model = keras.Model({"steps": steps, "length": length}, output)
    model.compile("adam", "sparse_categorical_crossentropy")
    task = load_task("sequence")
    dataset = task.read(make_job(DataJob, {"source": "japanese_vowels"}))
    built_model = task.adopt(model, dataset.spec)
    task.fit(built_model, dataset, FitPlan(FitSettings(epochs=1)))
    inputs = {key: values[:6] for key, values in dataset.splits["test"].inputs.items()}
    full_model = built_model.full_model()
    together = forward(full_model, inputs)
    alone = [forward(full_model, {key: values[row : row + 1] for key, values in inputs.items()}) for row in range(6)]
    np.testing.assert_allclose(np.concatenate(alone), together, atol=1e-6)


def test_texts_of_digits_keep_their_zeros(workspace: Path) -> None:
    rng = np.random.default_rng(0)
    bits = ["".join(rng.choice(["0", "1"], 8)) for _ in range(80)]
    frame = pd.DataFrame({"bits": bits, "odd": [text[0] == "1" for text in bits]})
    frame.to_csv("bits.csv", index=False)
    task = load_task("sequence")
    options = {"text": "bits", "unit": "character"}
    dataset = task.read(make_job(DataJob, {"source": "bits.csv", "target": "odd", "options": options}))
    split = dataset.splits["train"]
    (texts,) = split.inputs.values()
    assert [str(text) for text in texts] == [bits[row] for row in split.rows]


def test_whole_numbers_may_be_names_of_classes(workspace: Path) -> None:
    rng = np.random.default_rng(0)
    source = [rng.normal(size=(4, 2)) for _ in range(300)], np.arange(300) % 26
    task = load_task("sequence")
    number = task.read(make_job(DataJob, {"source": source}))
    assert number.spec.target.kind == "number"
    assert "--kind class" in " ".join(number.notes)
    assert task.read(make_job(DataJob, {"source": source, "options": {"kind": "class"}})).spec.target.kind == "class"


def test_a_list_of_texts_is_read(workspace: Path) -> None:
    texts = [f"{('good', 'bad')[number % 2]} day number {number}" for number in range(60)]
    run = zoo.train(
        "sequence/gru",
        (texts, [1, 0] * 30),
        epochs=1,
        quiet=True,
        figures=False,
        baselines="none",
        hyperparameters={"units": 16},
    )
    assert run.model.predict(pd.DataFrame({"x0": ["good day"]})).shape == (1, 3)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"observation_2": [np.nan]}, "nan is not a finite number"),
        ({"observation_2": ["fast"]}, "'fast' is not a finite number"),
    ],
)
def test_an_observation_that_is_none(workspace: Path, values: dict[str, list[object]], message: str) -> None:
    run = zoo.train(
        "rl/dqn", "CartPole-v1", epochs=1, quiet=True, figures=False, baselines="none", hyperparameters={"period": 256}
    )
    frame = pd.DataFrame({**{f"observation_{k}": [0.0] for k in range(4)}, **values})
    with pytest.raises(DataError, match=message) as caught:
        run.model.predict(frame)
    assert "observation_2, row 1" in str(caught.value)


def test_an_environment_has_no_folds_and_parts(workspace: Path) -> None:
    task = load_task("rl")
    for name, value in (("fold", "1/5"), ("test_size", 0.5), ("validation_size", 0)):
        with pytest.raises(UsageError) as caught:
            task.read(make_job(DataJob, {"source": "CartPole-v1", name: value}))
        assert caught.value.where == name
