"""A common interface to a job's model: a catalogue name, a Keras model, a HyperModel or a build function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from zoo.errors import JobError, UsageError
from zoo.hardware import Hardware
from zoo.jobs.search_options import Range
from zoo.models.activations import check_trainable
from zoo.models.built_model import BuiltModel, call_build
from zoo.models.check_saving import check_saving
from zoo.models.search_space import CheckedHyperParameters
from zoo.models.shared_hyperparameters import Knobs
from zoo.registry import is_pattern, match_entries, resolve
from zoo.seeding import seed_everything
from zoo.spec import Spec
from zoo.supervised.supervised_task import SupervisedTask
from zoo.task import Task, find_task, load_task
from zoo.training.fit_settings import FitSettings

MODEL = "model"  # name of the hyperparameter that chooses among several models


@dataclass(frozen=True)
class ModelBuilder:
    """Builds a model for a spec.

    Args:
        name: Name of the model in tables and tracking.
        task: Task of the model.
        build: Function ``build(hp, spec)``; None for a Keras model that is already built.
        keras_model: The Keras model that is already built, if any.
        models: Catalogue names that a hyperparameter chooses from; empty for a single model.
        hardware: Precision and devices that the networks are built for.
    """

    name: str
    task: Task
    build: Callable[..., Any] | None = None
    keras_model: Any = None
    models: tuple[str, ...] = ()
    hardware: Hardware = field(default_factory=Hardware)

    @property
    def example(self) -> str:
        """Source that demonstrates the model: ``EXAMPLE`` of its file, or the example of its task."""
        module = None if self.build is None else inspect.getmodule(self.build)
        return str(getattr(module, "EXAMPLE", self.task.example))

    def build_model(self, hp: Any, spec: Spec, *, seed: int) -> BuiltModel:
        """Return the network and its preprocessing, built with the given seed."""
        if self.hardware.devices != 1 and not isinstance(self.task, SupervisedTask):
            raise UsageError(f"models of {self.task.name} are trained on one device", where="devices")
        seed_everything(seed)
        if self.build is None:
            return self.task.adopt(self.keras_model, spec)
        try:
            with self.hardware.apply():
                built_model = call_build(self.build, hp, spec)
        except Exception as error:
            if not isinstance(error, MemoryError) and type(error).__name__ != "ResourceExhaustedError":
                raise
            raise JobError(f"{self.name}: the network does not fit into memory with these hyperparameters") from error
        name = hp.values.get(MODEL, self.name) if self.models else self.name
        if built_model.trainer is not None and not self.hardware.is_default:
            raise UsageError(
                f"{name} has a training of its own, in float32 and on one device",
                where=self.hardware.option,
            )
        if built_model.preprocessing is None:
            built_model = self.task.adopt(built_model.network, spec)
        built_model.is_mixed = self.hardware.precision != "float32"
        return built_model

    def build_checked(
        self, fixed: Mapping[str, Any], spec: Spec, *, seed: int, ranges: Mapping[str, Range] | None = None
    ) -> tuple[BuiltModel, CheckedHyperParameters]:
        """Return the model built with fixed hyperparameters, and all declared hyperparameters.

        Raises:
            UsageError: If a hyperparameter that is fixed or has a range is unknown or invalid.
        """
        hp = CheckedHyperParameters(fixed, ranges)
        built_model = self.build_model(hp, spec, seed=seed)
        knobs = Knobs(hp)
        for name in FitSettings.__dataclass_fields__:  # custom models do not declare them
            if name not in hp.declared:
                knobs.get(name)
        hp.check_all_used(self.name)
        check_trainable(built_model.network)
        self.task.check_network(built_model, spec, name=self.name)
        check_saving(built_model.network, self.name)
        return built_model, hp

    def keep_suited(self, spec: Spec, fixed: Mapping[str, Any] | None = None) -> tuple[ModelBuilder, dict[str, str]]:
        """Return a builder of those of several models that take the data, and why the others do not, by name.

        A model that does not take all data of its task has a function ``check_data(spec)`` in its file, which raises;
        one that needs files, such as weights, has ``check_files(hyperparameters)``.

        Args:
            spec: Spec of the data.
            fixed: Hyperparameters that are fixed.

        Raises:
            UsageError: If none takes them.
        """
        refused: dict[str, str] = {}
        for name in self.models:
            module = inspect.getmodule(resolve(name).load_build())
            checks = {"check_data": spec, "check_files": fixed or {}}
            try:
                for check, argument in checks.items():
                    getattr(module, check, _accept)(argument)
            except UsageError as error:
                refused[name] = error.message
                if len(refused) == len(self.models):
                    raise
        return (_several(self.name, self.task.name, self.hardware, refused) if refused else self), refused

    def space(
        self, fixed: Mapping[str, Any], spec: Spec, *, seed: int, ranges: Mapping[str, Range] | None = None
    ) -> CheckedHyperParameters:
        """Return all hyperparameters that a search may vary, those of every model if there are several.

        Raises:
            UsageError: If a hyperparameter that is fixed or has a range is invalid or unknown to every model.
        """
        if not self.models:
            return self.build_checked(fixed, spec, seed=seed, ranges=ranges)[1]
        union = CheckedHyperParameters(fixed, ranges)
        for name in self.models:
            hp = CheckedHyperParameters(fixed, ranges)
            hp.values[MODEL] = name
            self.build_model(hp, spec, seed=seed)
            union.merge(hp, overwrite=False)
            union.declared |= hp.declared
        union.check_all_used(self.name)
        return union


def create_model_builder(
    model: Any, task: str | None = None, *, several: bool = False, hardware: Hardware | None = None
) -> ModelBuilder:
    """Return the builder for a job's ``model``.

    Args:
        model: A catalogue name, or a pattern that matches several models of one task; a compiled ``keras.Model``; a
            ``keras_tuner.HyperModel``; or a function ``build(hp, spec)`` or ``build(hp)``.
        task: Name of the task of a custom model; inferred from its loss by default.
        several: Whether a pattern that matches several models is allowed, as in a search.
        hardware: Precision and devices that the networks are built for; by default float32 on one device.

    Raises:
        UsageError: If the model is none of these, or its task cannot be inferred.
    """
    hardware = hardware or Hardware()
    if isinstance(model, str) and is_pattern(model):
        if not several:
            raise UsageError(f"{model!r} stands for several models; zoo tune searches among them", where="model")
        return _several(model, task, hardware)
    if isinstance(model, str):
        entry = resolve(model)
        if task is not None and task != entry.task:
            raise UsageError(f"{model} is of the task {entry.task}, not {task}", where="task")
        return ModelBuilder(model, load_task(entry.task), _with_spec(entry.load_build()), hardware=hardware)
    import keras
    import keras_tuner

    if isinstance(model, keras.Model):
        if not model.compiled:
            raise UsageError("the model must be compiled: call model.compile(…) before", where=model.name)
        if not hardware.is_default:
            raise UsageError(
                "the model is built already; pass a function build(hp, spec), which is called with this setting",
                where=hardware.option,
            )
        return ModelBuilder(model.name, load_task(task) if task else find_task(model), keras_model=model)
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
    return ModelBuilder(name, load_task(task) if task else _task_of_build(build, name), build, hardware=hardware)


def _several(pattern: str, task: str | None, hardware: Hardware, left_out: Collection[str] = ()) -> ModelBuilder:
    """Return a builder for several models of one task, chosen by the first hyperparameter."""
    entries = {entry.name: entry for entry in match_entries(pattern) if entry.name not in left_out}

    def build(hp: Any, spec: Spec) -> Any:
        name = hp.Choice(MODEL, list(entries))
        with hp.conditional_scope(MODEL, [name]):
            return entries[name].load_build()(hp, spec)

    task_name = next(iter(entries.values())).task
    return ModelBuilder(pattern, load_task(task_name), build, models=tuple(entries), hardware=hardware)


def _accept(argument: Any) -> None:
    """Accept any data."""


def _with_spec(build: Callable[..., Any]) -> Callable[..., Any]:
    """Return a build function of (hp, spec), whether or not the given function takes the spec."""
    takes = [p for p in inspect.signature(build).parameters.values() if p.default is p.empty]
    return build if len(takes) >= 2 else partial(_without_spec, build)


def _without_spec(build: Callable[..., Any], hp: Any, spec: Spec) -> Any:
    return build(hp)


def _task_of_build(build: Callable[..., Any], name: str) -> Task:
    if not isinstance(build, partial):
        raise UsageError(f"which task is {name} for? Say task=…", where="task")
    return find_task(call_build(build, CheckedHyperParameters(), Spec("", ())).network)
