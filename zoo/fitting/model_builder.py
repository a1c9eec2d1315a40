"""What a job calls its model: a catalogue name, a Keras model, a HyperModel or a build function, as one thing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from zoo.errors import UsageError
from zoo.jobs.search_options import Range
from zoo.models.activations import check_trainable
from zoo.models.built_model import BuiltModel, call_build
from zoo.models.search_space import CheckedHyperParameters
from zoo.models.shared_hyperparameters import Knobs
from zoo.registry import is_pattern, load_build, matching_entries, model_entry
from zoo.seeding import seed_everything
from zoo.spec import Spec
from zoo.task import Task, task_for, task_of
from zoo.training.fit_settings import FitSettings

MODEL = "model"  # the hyperparameter that chooses among several models


@dataclass(frozen=True)
class ModelBuilder:
    """A model that can be built for a spec.

    Args:
        name: Its name in tables and tracking.
        task: Its task.
        build: ``build(hp, spec)``; None for a Keras model that is built already.
        keras_model: That model.
        models: Names of several models of the catalogue, of which a hyperparameter chooses; none for a single one.
    """

    name: str
    task: Task
    build: Callable[..., Any] | None = None
    keras_model: Any = None
    models: tuple[str, ...] = ()

    def build_model(self, hp: Any, spec: Spec, *, seed: int) -> BuiltModel:
        """Return network and preparation, built with a seed."""
        seed_everything(seed)
        if self.build is None:
            return self.task.adopt(self.keras_model, spec)
        built_model = call_build(self.build, hp, spec)
        return built_model if built_model.preprocessing is not None else self.task.adopt(built_model.network, spec)

    def build_checked(
        self, fixed: Mapping[str, Any], spec: Spec, *, seed: int, ranges: Mapping[str, Range] | None = None
    ) -> tuple[BuiltModel, CheckedHyperParameters]:
        """Return the pieces for fixed hyperparameters, and all hyperparameters with what was declared.

        Raises:
            UsageError: When a fixed one, or one with a range, is unknown or impossible.
        """
        hp = CheckedHyperParameters(fixed, ranges)
        built_model = self.build_model(hp, spec, seed=seed)
        knobs = Knobs(hp)
        for name in FitSettings.__dataclass_fields__:  # a model of the user's own declares none of them
            if name not in hp.declared:
                knobs.get(name)
        hp.check_all_used(self.name)
        check_trainable(built_model.network)
        return built_model, hp

    def space(
        self, fixed: Mapping[str, Any], spec: Spec, *, seed: int, ranges: Mapping[str, Range] | None = None
    ) -> CheckedHyperParameters:
        """Return all hyperparameters that a search may vary; of several models those of each.

        Raises:
            UsageError: When a fixed one, or one with a range, is none of any model's, or impossible.
        """
        if not self.models:
            return self.build_checked(fixed, spec, seed=seed, ranges=ranges)[1]
        whole = CheckedHyperParameters(fixed, ranges)
        for name in self.models:
            hp = CheckedHyperParameters(fixed, ranges)
            hp.values[MODEL] = name
            self.build_model(hp, spec, seed=seed)
            whole.merge(hp, overwrite=False)
            whole.declared |= hp.declared
        whole.check_all_used(self.name)
        return whole


def model_builder(model: Any, task: str | None = None, *, several: bool = False) -> ModelBuilder:
    """Return what a job's ``model`` stands for.

    Args:
        model: A name of the catalogue, or a pattern for several of one task; a compiled ``keras.Model``; a
            ``keras_tuner.HyperModel``; or a function ``build(hp, spec)`` or ``build(hp)``.
        task: Name of the task of a user's own model; by default its loss tells.
        several: Whether a pattern for several models will do, as it does for a search.

    Raises:
        UsageError: When it is none of these, or the task cannot be told.
    """
    if isinstance(model, str) and is_pattern(model):
        if not several:
            raise UsageError(f"{model!r} stands for several models; zoo tune searches among them", where="model")
        return _several(model, task)
    if isinstance(model, str):
        entry = model_entry(model)
        if task is not None and task != entry.task:
            raise UsageError(f"{model} is of the task {entry.task}, not {task}", where="task")
        return ModelBuilder(model, task_of(entry.task), load_build(model))
    import keras
    import keras_tuner

    if isinstance(model, keras.Model):
        if not model.compiled:
            raise UsageError("the model must be compiled: call model.compile(…) before", where=model.name)
        return ModelBuilder(model.name, task_of(task) if task else task_for(model), keras_model=model)
    if isinstance(model, keras_tuner.HyperModel):
        name = type(model).__name__
        build: Callable[..., Any] = partial(_without_spec, model.build)
    elif callable(model):
        name, build = getattr(model, "__name__", "model"), _with_spec(model)
    else:
        raise UsageError(
            f"a {type(model).__name__} is no model; a catalogue name, a compiled keras.Model, a "
            "keras_tuner.HyperModel or a function build(hp, spec) is",
            where="model",
        )
    return ModelBuilder(name, task_of(task) if task else _task_of_build(build, name), build)


def _several(pattern: str, task: str | None) -> ModelBuilder:
    """Several models of a task, of which the first hyperparameter chooses."""
    entries = matching_entries(pattern)
    names = tuple(entry.name for entry in entries)

    def build(hp: Any, spec: Spec) -> Any:
        name = hp.Choice(MODEL, list(names))
        with hp.conditional_scope(MODEL, [name]):
            return load_build(name)(hp, spec)

    return ModelBuilder(pattern, task_of(entries[0].task), build, models=names)


def _with_spec(build: Callable[..., Any]) -> Callable[..., Any]:
    """A function of (hp, spec), whether or not the user's takes the spec."""
    takes = [p for p in inspect.signature(build).parameters.values() if p.default is p.empty]
    return build if len(takes) >= 2 else partial(_without_spec, build)


def _without_spec(build: Callable[..., Any], hp: Any, spec: Spec) -> Any:
    return build(hp)


def _task_of_build(build: Callable[..., Any], name: str) -> Task:
    if not isinstance(build, partial):
        raise UsageError(f"which task is {name} for? Say task=…", where="task")
    return task_for(call_build(build, CheckedHyperParameters(), Spec("", ())).network)
