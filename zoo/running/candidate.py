"""What a job calls its model: a catalogue name, a Keras model, a HyperModel or a build function, as one thing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from zoo.errors import UsageError
from zoo.layers.activations import check_trainable
from zoo.layers.assembly import Pieces, pieces_of_build
from zoo.layers.knobs import Knobs
from zoo.layers.search_space import CheckedHyperParameters
from zoo.registry import load_build, model_entry
from zoo.seeding import seed_everything
from zoo.spec import Spec
from zoo.task import Task, task_for, task_of
from zoo.training.settings import FitSettings


@dataclass(frozen=True)
class Candidate:
    """A model that can be built for a spec.

    Args:
        name: Its name in tables and tracking.
        task: Its task.
        build: ``build(hp, spec)``; None for a Keras model that is built already.
        keras_model: That model.
    """

    name: str
    task: Task
    build: Callable[..., Any] | None = None
    keras_model: Any = None

    def pieces(self, hp: Any, spec: Spec, *, seed: int) -> Pieces:
        """Return network and preparation, built with a seed."""
        seed_everything(seed)
        if self.build is None:
            return self.task.adopt(self.keras_model, spec)
        pieces = pieces_of_build(self.build, hp, spec)
        return pieces if pieces.preparation is not None else self.task.adopt(pieces.network, spec)

    def built(self, fixed: Mapping[str, Any], spec: Spec, *, seed: int) -> tuple[Pieces, CheckedHyperParameters]:
        """Return the pieces for fixed hyperparameters, and all hyperparameters with what was declared.

        Raises:
            UsageError: When a fixed one is unknown or impossible.
        """
        hp = CheckedHyperParameters(fixed)
        pieces = self.pieces(hp, spec, seed=seed)
        knobs = Knobs(hp)
        for name in FitSettings.__dataclass_fields__:  # a model of the user's own declares none of them
            if name not in hp.declared:
                knobs.get(name)
        hp.check_all_used(self.name)
        check_trainable(pieces.network)
        return pieces, hp


def candidate_of(model: Any, task: str | None = None) -> Candidate:
    """Return what a job's ``model`` stands for.

    Args:
        model: A name of the catalogue; a compiled ``keras.Model``; a ``keras_tuner.HyperModel``; or a
            function ``build(hp, spec)`` or ``build(hp)``.
        task: Name of the task of a user's own model; by default its loss tells.

    Raises:
        UsageError: When it is none of these, or the task cannot be told.
    """
    if isinstance(model, str):
        entry = model_entry(model)
        if task is not None and task != entry.task:
            raise UsageError(f"{model} is of the task {entry.task}, not {task}", where="task")
        return Candidate(model, task_of(entry.task), load_build(model))
    import keras
    import keras_tuner

    if isinstance(model, keras.Model):
        if not model.compiled:
            raise UsageError("the model must be compiled: call model.compile(…) before", where=model.name)
        return Candidate(model.name, task_of(task) if task else task_for(model), keras_model=model)
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
    return Candidate(name, task_of(task) if task else _task_of_build(build, name), build)


def _with_spec(build: Callable[..., Any]) -> Callable[..., Any]:
    """A function of (hp, spec), whether or not the user's takes the spec."""
    takes = [p for p in inspect.signature(build).parameters.values() if p.default is p.empty]
    return build if len(takes) >= 2 else partial(_without_spec, build)


def _without_spec(build: Callable[..., Any], hp: Any, spec: Spec) -> Any:
    return build(hp)


def _task_of_build(build: Callable[..., Any], name: str) -> Task:
    if not isinstance(build, partial):
        raise UsageError(f"which task is {name} for? Say task=…", where="task")
    return task_for(pieces_of_build(build, CheckedHyperParameters(), Spec("", ())).network)
