"""Every registered model keeps the contract; a canary for each check shows that the check bites."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import contract
import keras
import pytest

from zoo.networks import (
    Knobs,
    add_dense_layers,
    add_head,
    assemble,
    build_sequence_model,
    join_features,
    preprocess_table,
)
from zoo.registry import list_models, resolve
from zoo.task import load_task

MODELS = [entry.name for entry in list_models()]
QUICK = [
    contract.check_compiled,
    contract.check_output,
    contract.check_batches,
    contract.check_padding,
    contract.check_preprocessing,
    contract.check_one_step,
    contract.check_defaults,
    contract.check_meanings,
]
DUMMIES = ("majority", "mean", "random", "unigram", "most_frequent")
# One model of each task, whose thorough checks are fast; those of the others are slow.
FAST = (
    "anomaly/ksdm", "association/elsa", "classification/linear", "clustering/autoencoder", "forecasting/linear",
    "image/cnn", "language/rnn", "regression/linear", "rl/pqn", "segmentation/unet", "sequence/rnn",
)  # fmt: skip
# A U-Net learns its examples by heart in minutes; that it learns is tested with its runs.
TOO_LONG = [("segmentation/unet", contract.check_overfits)]
THOROUGH = [contract.check_seeds, contract.check_overfits, contract.check_stock_tuner]


@pytest.mark.parametrize("check", QUICK, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", MODELS)
def test_quick(name: str, check: Callable[..., None]) -> None:
    task = load_task(name.split("/")[0])
    check(contract.load_build(name), task, contract.example_of(name))


@pytest.mark.parametrize("name", MODELS)
def test_saving(name: str, tmp_path: Path) -> None:
    task = load_task(name.split("/")[0])
    contract.check_saving(contract.load_build(name), task, contract.example_of(name), tmp_path)


@pytest.mark.parametrize("name", MODELS)
def test_docstring(name: str) -> None:
    contract.check_docstring(resolve(name).load_build(), name)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_default_model_beats_the_dummy_and_is_no_worse_than_the_linear_baseline(name: str, workspace: Path) -> None:
    """By the mean over three seeds, on validation, with a tenth of the dummy's lead as tolerance."""
    import zoo

    if name in contract.SETTINGS:
        pytest.skip("its default weights are downloaded")
    runs = [zoo.train(name, contract.example_of(name).source, seed=seed, quiet=True) for seed in range(3)]
    objective, sign = f"val_{runs[0].objective}", 1 if runs[0].direction == "min" else -1
    if not runs[0].baselines:
        return  # detectors of anomalies are compared only by labels
    dummy, *others = list(runs[0].baselines)
    if dummy not in DUMMIES:
        return  # a clustering has rivals and no dummy
    model = sign * sum(run.metrics[objective] for run in runs)
    worst = sign * sum(run.baselines[dummy][objective] for run in runs)
    assert model < worst
    if others:
        line = sign * sum(run.baselines[others[0]][objective] for run in runs)
        assert model < line + 0.1 * (worst - line)


def _thorough(name: str, check: Callable[..., None]) -> Any:
    fast = name in FAST and (name, check) not in TOO_LONG
    return pytest.param(name, check, id=f"{name}-{check.__name__}", marks=() if fast else pytest.mark.slow)


def test_each_task_has_a_model_with_fast_thorough_checks() -> None:
    assert [name.split("/")[0] for name in FAST] == sorted({name.split("/")[0] for name in MODELS})


@pytest.mark.parametrize(("name", "check"), [_thorough(name, check) for name in MODELS for check in THOROUGH])
def test_thorough(name: str, check: Callable[..., None]) -> None:
    task = load_task(name.split("/")[0])
    check(contract.load_build(name), task, contract.example_of(name))


def splits(hp: Any, spec: Any, **options: Any) -> tuple[Any, Any, Any, Any]:
    """The beginning of a sound model, for a canary to spoil."""
    vary = {"learning_rate", "dropout", "l2"} - set(options)
    knobs = Knobs(hp, vary=sorted(vary), defaults={"dropout": 0.1, "l2": 1e-4, **options})
    preprocessing = preprocess_table(spec)
    inputs = preprocessing.tensors()
    return knobs, preprocessing, inputs, join_features(inputs, preprocessing)


def sound(hp: Any, spec: Any, **options: Any) -> keras.Model:
    """Model that keeps the contract.

    Hyperparameters:
        units: Width.
    """
    knobs, preprocessing, inputs, x = splits(hp, spec, **options)
    x = add_dense_layers(x, knobs, units=hp.Int("units", 2, 64, default=16), layers=1)
    y, loss = add_head(x, spec, knobs)
    knobs.training(spec.rows)
    return assemble(preprocessing, inputs, y, loss, knobs)


def not_compiled(hp: Any, spec: Any) -> Any:
    model = sound(hp, spec)
    return keras.Model(model.input, model.output)


def not_finite(hp: Any, spec: Any) -> Any:
    knobs, preprocessing, inputs, x = splits(hp, spec)
    y, loss = add_head(x * float("nan"), spec, knobs)
    return assemble(preprocessing, inputs, y, loss, knobs)


def mixes_rows(hp: Any, spec: Any) -> Any:
    knobs, preprocessing, inputs, x = splits(hp, spec)
    y, loss = add_head(x - keras.ops.mean(x, axis=0, keepdims=True), spec, knobs)
    return assemble(preprocessing, inputs, y, loss, knobs)


def forgets_the_mask(hp: Any, spec: Any) -> Any:
    knobs = Knobs(hp, vary=["learning_rate"])
    return build_sequence_model(spec, knobs, lambda steps, real: keras.layers.GRU(4)(steps))


def no_preprocessing(hp: Any, spec: Any) -> Any:
    return keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])


def frozen(hp: Any, spec: Any) -> Any:
    return sound(hp, spec, learning_rate=0.0)


@keras.saving.register_keras_serializable("canary")
class Forgetful(keras.layers.Layer):
    """Holds a number that its configuration leaves out."""

    factor = 1.0

    def call(self, x: Any) -> Any:
        return x * self.factor


def forgets(hp: Any, spec: Any) -> Any:
    knobs, preprocessing, inputs, x = splits(hp, spec)
    layer = Forgetful()
    layer.factor = 3.0  # set later, so that the configuration does not know
    y, loss = add_head(layer(x), spec, knobs)
    return assemble(preprocessing, inputs, y, loss, knobs)


def outside(hp: Any, spec: Any) -> Any:
    hp.Int("units", 2, 64, default=128)
    return sound(hp, spec)


def too_many_searched(hp: Any, spec: Any) -> Any:
    for index in range(9):
        hp.Boolean(f"switch_{index}")
    return sound(hp, spec)


def untold(hp: Any, spec: Any) -> Any:
    """Model whose docstring leaves out a hyperparameter."""
    return sound(hp, spec)


_calls = iter(range(1000))


def unseeded(hp: Any, spec: Any) -> Any:
    knobs, preprocessing, inputs, x = splits(hp, spec)
    x = keras.layers.Dense(4, kernel_initializer=keras.initializers.GlorotUniform(seed=next(_calls)))(x)
    y, loss = add_head(x, spec, knobs)
    return assemble(preprocessing, inputs, y, loss, knobs)


def cannot_learn(hp: Any, spec: Any) -> Any:
    knobs, preprocessing, inputs, x = splits(hp, spec)
    y, loss = add_head(keras.ops.zeros_like(x), spec, knobs)
    return assemble(preprocessing, inputs, y, loss, knobs)


def one_point_only(hp: Any, spec: Any) -> Any:
    if hp.Int("units", 2, 64, default=16) != 16:
        raise ValueError("only 16 will do")
    return sound(hp, spec)


CANARIES = [
    (contract.check_compiled, not_compiled),
    (contract.check_output, not_finite),
    (contract.check_batches, mixes_rows),
    (contract.check_preprocessing, no_preprocessing),
    (contract.check_one_step, frozen),
    (contract.check_defaults, outside),
    (contract.check_defaults, too_many_searched),
    (contract.check_meanings, untold),
    (contract.check_seeds, unseeded),
    (contract.check_overfits, cannot_learn),
    (contract.check_stock_tuner, one_point_only),
]


@pytest.mark.parametrize(("check", "canary"), CANARIES, ids=lambda value: value.__name__)
def test_a_check_bites(check: Callable[..., None], canary: Callable[..., Any]) -> None:
    task = load_task("classification")
    with pytest.raises((AssertionError, ValueError)):
        check(canary, task, contract.example_of(task.name))


def test_the_check_of_padding_bites() -> None:
    task = load_task("sequence")
    with pytest.raises(AssertionError):
        contract.check_padding(forgets_the_mask, task, contract.example_of(task.name))


def test_the_check_of_saving_bites(tmp_path: Path) -> None:
    task = load_task("classification")
    with pytest.raises(AssertionError):
        contract.check_saving(forgets, task, contract.example_of(task.name), tmp_path)


def test_the_check_of_the_docstring_bites() -> None:
    with pytest.raises(AssertionError):
        contract.check_docstring(sound, MODELS[0])


@pytest.mark.parametrize("check", [*QUICK, *THOROUGH], ids=lambda check: check.__name__)
def test_a_sound_model_passes(check: Callable[..., None]) -> None:
    task = load_task("classification")
    check(sound, task, contract.example_of(task.name))
