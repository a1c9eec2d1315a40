"""Fixed features of sequences with an output layer in closed form, for each kind of target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from zoo.tasks.sequence._ridge import choose_temperature, fit_ridge

import zoo
from zoo.errors import UsageError
from zoo.fitting.fit import Plan, evaluate, fit
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import make_job
from zoo.models.built_model import split_model
from zoo.models.search_space import CheckedHyperParameters
from zoo.networks.recurrent import GroupSteps, PoolSteps
from zoo.networks.rocket import RocketFeatures, SequenceStatistics

rng = np.random.default_rng(0)
FEW = {"thresholds": 4}
OPTIONS: dict[str, Any] = {"quiet": True, "figures": False, "baselines": "none", "hyperparameters": FEW}


def waves(rows: int) -> list[dict[str, Any]]:
    """Sequences of unequal length: their frequency is the class, their size the number."""
    random = np.random.default_rng(1)
    records = []
    for _ in range(rows):
        fast, size, length = random.integers(2), random.uniform(1, 3), int(random.integers(20, 30))
        steps = size * np.sin((0.4 + 0.4 * fast) * np.arange(length) + random.uniform(0, 6))
        noise = random.normal(0, 0.1, (length, 2))
        cells = np.stack([steps, steps[::-1]], axis=1) + noise
        records.append({"steps": cells.round(3).tolist(), "fast": ["no", "yes"][fast], "size": size})
    return records


@pytest.fixture
def source(workspace: Path) -> str:
    Path("waves.jsonl").write_text("\n".join(json.dumps(record) for record in waves(120)), encoding="utf-8")
    return "waves.jsonl"


@pytest.mark.parametrize(("rows", "columns"), [(30, 6), (12, 40)])
@pytest.mark.parametrize("weighted", [False, True])
def test_ridge_is_that_of_scikit_learn_and_leaves_each_row_out(rows: int, columns: int, weighted: bool) -> None:
    features = rng.normal(2, 3, (rows, columns))
    targets = features[:, :2] @ rng.normal(size=(2, 2)) + rng.normal(0, 0.5, (rows, 2)) + 5
    weight = rng.integers(1, 4, rows).astype(float) if weighted else None
    fit = fit_ridge(features, targets, weight)

    shares = np.full(rows, 1 / rows) if weight is None else weight / weight.sum()
    mean = shares @ features
    scaled = (features - mean) / np.sqrt(shares @ (features - mean) ** 2)
    reference = Ridge(alpha=fit.strength).fit(scaled, targets, sample_weight=shares * rows)
    np.testing.assert_allclose(features @ fit.kernel + fit.bias, reference.predict(scaled), atol=1e-6)
    for row in (0, 5):
        others = np.delete(np.arange(rows), row)
        left = Ridge(alpha=fit.strength).fit(scaled[others], targets[others], sample_weight=shares[others] * rows)
        np.testing.assert_allclose(fit.left_out[row], left.predict(scaled[[row]])[0], atol=1e-6)


def test_a_temperature_makes_scores_no_surer_than_they_are_right() -> None:
    classes = rng.integers(0, 2, 2000)
    right = rng.random(2000) < 0.8
    logit = np.where(right, 1.0, -1.0) * np.where(classes == 1, 1.0, -1.0)
    scores, weight = np.stack([0 * logit, logit], axis=1), np.ones(2000)
    assert choose_temperature(scores, classes, weight) == pytest.approx(np.log(0.8 / 0.2), abs=0.2)
    weight[~right] = 1 / 8  # as if it were wrong in one case of 33
    assert choose_temperature(scores, classes, weight) == pytest.approx(np.log(32), abs=0.3)


def test_padding_changes_no_feature() -> None:
    steps = rng.normal(size=(5, 30, 2)).astype(np.float32)
    lengths = np.array([30, 3, 12, 20, 9])
    real = np.arange(30) < lengths[:, None]
    layers = [RocketFeatures(30, 8), SequenceStatistics(3), PoolSteps("mean_max")]
    for layer in layers:
        layer.build(steps.shape)
    layers[0].adapt(steps, real, 0)
    layers[1].adapt(steps, real)
    longer = np.concatenate([np.where(real[..., None], steps, 0), np.zeros((5, 7, 2), np.float32)], axis=1)
    mask = np.arange(37) < lengths[:, None]
    for layer in layers:
        short = np.asarray(layer(np.where(real[..., None], steps, 0), real))
        np.testing.assert_allclose(layer(longer, mask), short, atol=1e-5)
        alone = np.asarray(layer(steps[2:3, :12], real[2:3, :12]))
        np.testing.assert_allclose(alone, short[2:3], atol=1e-5)


def test_joined_steps_keep_their_order() -> None:
    steps = np.arange(10, dtype=np.float32).reshape(1, 5, 2)
    groups, mask = GroupSteps(2)(steps, np.array([[True] * 5]))
    assert np.asarray(groups).tolist() == [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 0]]]
    groups, mask = GroupSteps(2)(steps, np.array([[True] * 2 + [False] * 3]))
    assert np.asarray(mask).tolist() == [[True, False, False]]
    assert np.asarray(groups)[0, 1].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("targets", [["fast", "size"], pytest.param(["size", "fast"], marks=pytest.mark.slow)])
def test_several_targets_are_learned_in_one_epoch(source: str, targets: list[str]) -> None:
    run = zoo.train("sequence/minirocket", source, target=targets, epochs=5, **OPTIONS)
    assert run.metrics["test_accuracy_fast"] > 0.9
    assert run.metrics["test_r2_size"] > 0.8
    assert run.epochs_run == 1
    predicted = zoo.load(run.run_id).predict(source)
    assert {"prediction_fast", "prediction_size"} <= set(predicted.columns)


def test_outputs_get_the_weights_of_their_targets_and_rows_without_weight_none(tmp_path: Path) -> None:
    records = waves(60)
    frame = pd.DataFrame(records).assign(weight=1.0)
    noise = frame.assign(fast=frame["fast"].to_numpy()[::-1], size=-9.0, weight=0.0)
    rows = pd.concat([frame, noise], ignore_index=True)
    job = make_job(
        TrainJob, {"model": "sequence/minirocket", "source": rows, "target": ["size", "fast"], "weight": "weight"}
    )
    builder = create_model_builder("sequence/minirocket")
    fitted = fit(builder, builder.task.read(job), FEW, Plan(checkpoint=tmp_path / "state"))
    scores = evaluate(fitted, ["validation"])["validation"].scores
    assert scores["accuracy_fast"] > 0.8
    assert scores["r2_size"] > 0.5
    assert fitted.result.stopped == "solved"
    again = fit(builder, fitted.dataset, FEW, Plan(epochs=5, checkpoint=tmp_path / "state"))
    assert (again.result.epochs_run, again.result.stopped) == (1, "solved")


def test_characters_are_learned(workspace: Path) -> None:
    rows = ["text,label"] + [f"{'ab' * 5 if index % 2 else 'aabb' * 3},{index % 2}" for index in range(60)]
    Path("texts.csv").write_text("\n".join(rows), encoding="utf-8")
    run = zoo.train("sequence/minirocket", "texts.csv", target="label", unit="character", **OPTIONS)
    assert run.metrics["test_accuracy"] == 1


def test_texts_of_many_words_are_refused(workspace: Path) -> None:
    words = [" ".join(f"w{(7 * index + place) % 90}" for place in range(30)) for index in range(60)]
    rows = ["text,label"] + [f"{text},{index % 2}" for index, text in enumerate(words)]
    Path("texts.csv").write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(UsageError, match="at most 64 different words; these have 9") as error:
        zoo.train("sequence/minirocket", "texts.csv", target="label", unit="word", **OPTIONS)
    assert "sequence/text" in str(error.value)


def test_the_features_are_not_trained() -> None:
    spec = zoo.spec_of("japanese_vowels", task="sequence")
    network = split_model(zoo.build("sequence/minirocket", spec, thresholds=2)).network
    assert [weight.path.split("/")[0] for weight in network.trainable_weights] == ["output", "output"]
    assert isinstance(network.get_layer("kernels"), keras.layers.Layer)


def test_a_model_below_its_baseline_names_a_stronger_one(source: str) -> None:
    options = {**OPTIONS, "baselines": "quick", "hyperparameters": {"units": 1, "statistics": False}}
    run = zoo.train("sequence/rnn", source, target="size", drop=["fast"], epochs=1, **options)
    (finding,) = [finding for finding in run.diagnosis if finding.topic == "worse than a baseline"]
    assert finding.advice == "sequence/minirocket, zoo tune, or use the baseline"


def test_a_search_leaves_out_models_that_do_not_read_the_data() -> None:
    builder = create_model_builder("sequence/*", several=True)
    suited, refused = builder.keep_suited(zoo.spec_of("japanese_vowels", task="sequence"))
    assert set(builder.models) - set(suited.models) == {"sequence/text"} == set(refused)
    assert "reads texts" in refused["sequence/text"]
    texts = create_model_builder("sequence/text")
    with pytest.raises(UsageError, match="sequence/minirocket reads sequences"):
        texts.build_model(CheckedHyperParameters(), zoo.spec_of("japanese_vowels", task="sequence"), seed=0)
