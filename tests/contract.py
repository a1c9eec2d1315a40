"""The contract that every model of the catalogue keeps: one function for each check.

A check raises AssertionError when a model breaks it; ``test_contract.py`` runs them all over every
registered model, and over a canary for each that breaks just that one.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from functools import cache, wraps
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from zoo.data.dataset import COLUMNS, Dataset, Split
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.data_options import DataJob
from zoo.jobs.job import make_job
from zoo.models.built_model import call_build, split_model
from zoo.models.search_space import CheckedHyperParameters
from zoo.models.shared_hyperparameters import KNOBS
from zoo.models.written_hyperparameters import parse_meanings
from zoo.portable.preprocessing import LENGTH
from zoo.registry import resolve
from zoo.saving.model import Model
from zoo.saving.model_folder import load_model, save_model
from zoo.seeding import seed_everything
from zoo.task import Task, load_task
from zoo.training.fit_settings import FitSettings
from zoo.training.preprocessed_arrays import compile_model, convert_to_tensor, prepare_inputs
from zoo.training.recorder import Recorder
from zoo.training.training_state import FitPlan

Build = Callable[..., keras.Model]
# A search that varies fewer knobs finds little, one that varies more finds nothing in twenty trials.
FEWEST_SEARCHED, MOST_SEARCHED = 3, 8
ROWS = 128  # that an epoch is on where it needs no more: several batches of each model
ENOUGH = 0.2  # of the first loss, on a few examples
# Of a model whose defaults need a download; a small network is enough for the contract.
SETTINGS: dict[str, dict[str, Any]] = {
    "image/finetune": {"weights": "none", "backbone": "MobileNet", "alpha": 0.25},
}


@cache
def load_build(name: str) -> Build:
    """The build function of a model, with the settings of the contract if it has any."""
    build = resolve(name).load_build()
    settings = SETTINGS.get(name)
    if settings is None:
        return build

    @wraps(build)
    def build_with_settings(hp: Any, spec: Any) -> keras.Model:
        for key, value in settings.items():
            if isinstance(hp, CheckedHyperParameters):
                hp.fixed.setdefault(key, value)
            else:
                hp.Fixed(key, value)
        return build(hp, spec)

    return build_with_settings


@cache
def example_of(name: str) -> Dataset:
    """The example of a model, or of a task."""
    builder = create_model_builder(name) if "/" in name else None
    task = builder.task if builder else load_task(name)
    # A number of clusters that is given need not be chosen, which takes long.
    options = {"options": {"clusters": 10}} if task.name == "clustering" else {}
    return task.read(make_job(DataJob, {"source": (builder or task).example, **options}))


_last: list[Any] = [None, None, None]  # what was built last: function, dataset, model with its hyperparameters


def built(build: Build, dataset: Dataset) -> tuple[keras.Model, CheckedHyperParameters]:
    """A whole model, which no check trains or changes, and its hyperparameters; the last one is kept."""
    if _last[0] is not build or _last[1] is not dataset:
        seed_everything(0)
        hp = CheckedHyperParameters()
        _last[:] = build, dataset, (build(hp, dataset.spec), hp)
    return _last[2]


def first_rows(dataset: Dataset, rows: slice) -> dict[str, Any]:
    split = dataset.splits.get("train") or next(iter(dataset.splits.values()))
    return {key: values[rows] for key, values in split.inputs.items()}


def output(task: Task, model: keras.Model, inputs: dict[str, Any]) -> np.ndarray:
    """What a model makes of rows, its outputs side by side where it has several: (N, …)."""
    output_ = task.output(model, inputs)
    if not isinstance(output_, dict):
        return np.asarray(output_)
    return np.concatenate([values.reshape(len(values), -1) for values in output_.values()], axis=1)


def check_compiled(build: Build, task: Task, dataset: Dataset) -> None:
    """``build`` returns a compiled Keras model that has something to train."""
    model, _ = built(build, dataset)
    assert isinstance(model, keras.Model)
    assert model.compiled
    assert model.trainable_weights


def check_output(build: Build, task: Task, dataset: Dataset) -> None:
    """The output fits the target: one row of predictions for each row, all of them finite."""
    model, _ = built(build, dataset)
    frame = task.rules(dataset.spec).predictions(task.output(model, first_rows(dataset, slice(0, 5))))
    assert len(frame) == 5
    assert np.isfinite(frame.select_dtypes("number").to_numpy()).all()
    probabilities = frame.filter(like="probability_").to_numpy()
    if probabilities.size:
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def check_batches(build: Build, task: Task, dataset: Dataset) -> None:
    """A row's prediction does not depend on the rows beside it: a batch of one, of three, of all."""
    model, _ = built(build, dataset)
    together = output(task, model, first_rows(dataset, slice(0, 7)))
    for rows in (slice(0, 1), slice(2, 5)):
        np.testing.assert_allclose(output(task, model, first_rows(dataset, rows)), together[rows], atol=1e-5)


def check_padding(build: Build, task: Task, dataset: Dataset) -> None:
    """What stands behind the last step of a sequence changes nothing, nor how far it reaches."""
    input_ = dataset.spec.inputs[0]
    if input_.kind != "sequence":
        return
    model, _ = built(build, dataset)
    few = prepare_inputs(first_rows(dataset, slice(0, 6)))
    plain = compile_model(model)({key: convert_to_tensor(values) for key, values in few.items()}, training=False)
    rng = np.random.default_rng(0)
    for steps in (1, 7):
        wide = np.pad(few[input_.key], ((0, 0), (0, steps), (0, 0)))
        behind = np.arange(wide.shape[1]) >= few[LENGTH][:, None]
        wide[behind] = rng.normal(0, 100, (behind.sum(), wide.shape[2]))
        padded = compile_model(model)(
            {input_.key: convert_to_tensor(wide), LENGTH: convert_to_tensor(few[LENGTH])}, training=False
        )
        np.testing.assert_allclose(padded, plain, atol=1e-5)


def check_preprocessing(build: Build, task: Task, dataset: Dataset) -> None:
    """Preparation has nothing that trains, and the network alone is what the whole model ends with."""
    model, _ = built(build, dataset)
    built_model = split_model(model)
    assert built_model.preprocessing is not None
    assert built_model.preprocessing.model().trainable_weights == []


def check_one_step(build: Build, task: Task, dataset: Dataset) -> None:
    """One epoch changes the weights and leaves them finite."""
    fixed = _short(build, dataset)
    seed_everything(0)
    built_model = call_build(build, CheckedHyperParameters(fixed), dataset.spec)
    before = [weight.numpy() for weight in built_model.network.trainable_weights]
    task.fit(built_model, _few(dataset, ROWS), FitPlan(FitSettings(epochs=1)))
    after = [weight.numpy() for weight in built_model.network.trainable_weights]
    assert all(np.isfinite(weight).all() for weight in after)
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def check_saving(build: Build, task: Task, dataset: Dataset, folder: Path) -> None:
    """A model that was saved and loaded, in safe mode, predicts the same."""
    model, _ = built(build, dataset)
    save_model(folder, Model(model, dataset.spec, "model"))
    inputs = first_rows(dataset, slice(0, 20))
    loaded = load_model(folder).keras_model
    np.testing.assert_allclose(output(task, loaded, inputs), output(task, model, inputs), atol=1e-6)


def check_defaults(build: Build, task: Task, dataset: Dataset) -> None:
    """Every default lies in its range, and a search varies neither too few nor too many."""
    _, hp = built(build, dataset)
    for name, facts in hp.declared.items():
        default = hp.values[name]
        if "min_value" in facts:
            assert facts["min_value"] <= default <= facts["max_value"], f"{name}={default} lies outside its range"
        if facts.get("values"):
            assert default in facts["values"], name
    searched = [name for name, facts in hp.declared.items() if facts["kind"] != "fixed"]
    fewest = FEWEST_SEARCHED if "learning_rate" in hp.declared else 1  # without one, nothing is trained by gradients
    assert fewest <= len(searched) <= MOST_SEARCHED, searched


def check_meanings(build: Build, task: Task, dataset: Dataset) -> None:
    """The docstring says what each hyperparameter of the model's own means, and may say more about shared ones."""
    _, hp = built(build, dataset)
    specific = set(hp.declared) - set(KNOBS)
    assert specific <= set(parse_meanings(build)) <= set(hp.declared)


def check_docstring(build: Build, name: str) -> None:
    """The file says what it is in a line, names a source with its year, and the command that runs it."""
    path = Path(inspect.getsourcefile(build) or "")
    assert resolve(name).path == path
    text = inspect.getdoc(inspect.getmodule(build)) or ""
    summary = text.split("\n")[0]
    assert 10 < len(summary) <= 110
    assert any(str(year) in text for year in range(1940, 2100)), "no source with its year"
    assert f"zoo train {name} " in text


def check_seeds(build: Build, task: Task, dataset: Dataset) -> None:
    """The same seed gives the same weights after training."""
    results = []
    fixed, few = _short(build, dataset), _few(dataset, ROWS)
    for _ in range(2):
        seed_everything(0)
        built_model = call_build(build, CheckedHyperParameters(fixed), dataset.spec)
        task.fit(built_model, few, FitPlan(FitSettings(epochs=2)))
        results.append([weight.numpy() for weight in built_model.network.weights])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def check_overfits(build: Build, task: Task, dataset: Dataset) -> None:
    """Trained on 16 examples without regularisation it learns them nearly by heart: a fifth of the loss is left."""
    if "train" not in dataset.splits or dataset.spec.targets == ():
        return  # an agent has no examples, and a clustering nothing that it could know by heart
    train = dataclasses.replace(_few(dataset, 16).splits["train"], weight=None, fit_weight=None)
    few = dataclasses.replace(dataset, splits={"train": train})
    seed_everything(0)
    off = {
        "dropout": 0,
        "weight_decay": 0,
        "l1": 0,
        "l2": 0,
        "learning_rate": 0.01,
        "label_smoothing": 0,
        "batch_size": 16,
        "shift": 0,
        "zoom": 0,
    }
    hp = CheckedHyperParameters()
    build(
        hp, dataset.spec
    )  # not the one that is kept: the first weights are to be the same whichever checks ran before
    fixed = {name: value for name, value in off.items() if name in hp.declared}
    built_model = call_build(build, CheckedHyperParameters(fixed), few.spec)
    if built_model.trainer is not None:
        return  # its weights are computed at once, with a penalty
    recorder = StopWhenLearned()
    result = task.fit(built_model, few, FitPlan(FitSettings(epochs=600, batch_size=16), recorder=recorder))
    losses = result.history["loss"]
    assert losses[-1] < ENOUGH * losses[0], f"from {losses[0]:.3g} to {losses[-1]:.3g}"


class StopWhenLearned(Recorder):
    """Stops training once half of what is enough is left of the first loss."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def epoch(self, epoch: int, scores: Mapping[str, float]) -> None:
        self.losses.append(scores["loss"])

    @property
    def stop_requested(self) -> bool:
        return bool(self.losses) and self.losses[-1] < ENOUGH / 2 * self.losses[0]


def check_stock_tuner(build: Build, task: Task, dataset: Dataset) -> None:
    """``build`` works with KerasTuner's own hyperparameters, at random points of its space."""
    hp = keras_tuner.HyperParameters()
    build(hp, dataset.spec)
    for seed in range(3):
        drawn = hp.copy()
        drawn.values = {hyperparameter.name: hyperparameter.random_sample(seed) for hyperparameter in hp.space}
        assert build(drawn, dataset.spec).compiled


def _short(build: Build, dataset: Dataset) -> dict[str, Any]:
    """The hyperparameters by which an epoch is short: of an agent, and of a network with many levels."""
    _, hp = built(build, dataset)
    return {name: value for name, value in {"period": 1_024, "depth": 1}.items() if name in hp.declared}


def _few(dataset: Dataset, rows: int) -> Dataset:
    """At most so many rows of each split, and all of what an agent has, which is no rows of data."""
    if "train" not in dataset.splits:
        return dataset
    return dataclasses.replace(dataset, splits={name: _thin(split, rows) for name, split in dataset.splits.items()})


def _thin(split: Split, rows: int) -> Split:
    chosen = np.linspace(0, len(split) - 1, min(rows, len(split))).astype(int)  # tables are often sorted by class
    values = {key: values[chosen] for key, values in split.inputs.items()}
    others = {name: getattr(split, name) for name in COLUMNS}
    return Split(values, **{name: None if of is None else of[chosen] for name, of in others.items()})
