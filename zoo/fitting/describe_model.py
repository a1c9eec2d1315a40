"""Describe a model: its hyperparameters and their meaning and, given data, its layers and steps per epoch."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.data.dataset import Dataset
from zoo.errors import UsageError
from zoo.fitting.choose_task import describe_without_task
from zoo.fitting.model_builder import ModelBuilder, create_model_builder
from zoo.jobs.data_options import DataJob
from zoo.jobs.fit_options import TaskOptions
from zoo.jobs.job import gather_options, make_job
from zoo.models.built_model import leave_out_weights
from zoo.models.search_space import CheckedHyperParameters
from zoo.models.shared_hyperparameters import KNOBS
from zoo.models.written_hyperparameters import parse_meanings
from zoo.registry import read_summary, resolve
from zoo.spec import Spec
from zoo.text import convert_to_plain, format_number
from zoo.training.fit_settings import FitSettings


@dataclass
class ModelDescription:
    """The description of a model that ``zoo show`` prints.

    Args:
        model: Name of the model.
        summary: One-line summary.
        source: The data that the layers and counts refer to.
        hyperparameters: For each hyperparameter ``default``, ``range`` or ``choices``, ``searched`` and ``meaning``.
        n_parameters: Number of trainable parameters.
        layers: Name, kind, output shape and number of parameters of each layer.
        rows: Number of rows in the training split.
        iterations: Number of steps per epoch.
        options: Options specific to the model's task, with ``default`` and ``meaning``.
    """

    model: str
    summary: str
    source: str
    hyperparameters: dict[str, dict[str, Any]]
    n_parameters: int
    layers: list[dict[str, Any]] = field(default_factory=list)
    rows: int = 0
    iterations: int = 0
    options: dict[str, dict[str, Any]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the output of ``zoo show --json``."""
        return {name: convert_to_plain(getattr(self, name)) for name in self.__dataclass_fields__}

    def __repr__(self) -> str:
        rows = f"{self.rows:,} training rows, {self.iterations:,} iterations an epoch, " if self.rows else ""
        lines = [f"{self.model}: {self.summary}", "", f"On {self.source}: {rows}{self.n_parameters:,} parameters"]
        lines += [
            f"  {layer['name']:<18}{layer['kind']:<22}{layer['output']!s:<16}{layer['parameters']:>10,}"
            for layer in self.layers
        ]
        meanings = [facts["meaning"] for facts in self.hyperparameters.values()]
        width = max([len(meaning) for meaning in meanings], default=0) + 2
        lines += [
            "",
            f"{'hyperparameter':<19}{'default':<16}{'meaning (* searched by default)':<{width}}range or choices",
        ]
        for name, facts in self.hyperparameters.items():
            star = "*" if facts["searched"] else " "
            row = f"{name:<18}{star}{facts['default']!s:<16}{facts['meaning']:<{width}}{_range(facts)}"
            lines.append(row.rstrip())
        return "\n".join([*lines, *format_options(self.options, "option")])


def describe(model: str, source: Any = None, **options: Any) -> ModelDescription:
    """Describe a catalogue model on given data or on its example data.

    Args:
        model: Catalogue name.
        source: Data; defaults to the example data of the model or its task.
        **options: ``target``, ``hyperparameters`` and other keys of a show job.

    Raises:
        UsageError: If the model does not exist or a hyperparameter is invalid.

    Example:
        >>> describe("classification/linear").hyperparameters["learning_rate"]["default"]
        0.01
    """
    fixed = options.pop("hyperparameters", None) or {}
    builder = create_model_builder(model)
    given = {"source": builder.example if source is None else source, **options}
    job = make_job(DataJob, gather_options(DataJob, given))
    dataset: Dataset = builder.task.read(job)
    with leave_out_weights():  # which may have to be downloaded
        built_model, hp = builder.build_checked(fixed, dataset.spec, seed=job.seed)
    assert builder.build is not None
    rows = dataset.splits["train"].total if "train" in dataset.splits else 0
    return ModelDescription(
        model=model,
        summary=read_summary(Path(inspect.getfile(builder.build))),
        source=dataset.source,
        hyperparameters=describe_hyperparameters(builder, hp),
        n_parameters=built_model.n_parameters,
        layers=[describe_layers(layer) for layer in built_model.network.layers],
        rows=rows,
        iterations=FitSettings.from_hyperparameters(hp.values).steps(rows) if rows else 0,
        options=describe_options(builder.task.options),
    )


def describe_options(kind: type[TaskOptions]) -> dict[str, dict[str, Any]]:
    """Return the ``default`` and ``meaning`` of each option of a task."""
    return {
        name: {"default": field_.get_default(call_default_factory=True), "meaning": field_.description or ""}
        for name, field_ in kind.model_fields.items()
    }


def format_options(options: Mapping[str, Mapping[str, Any]], title: str) -> list[str]:
    """Return described options as lines of a table; none without options."""
    lines = [
        f"{'--' + name.replace('_', '-'):<19}{format_number(facts['default']):<16}{facts['meaning']}"
        for name, facts in options.items()
    ]
    return ["", f"{title:<19}{'default':<16}meaning", *lines] if lines else []


def describe_hyperparameters(builder: ModelBuilder, hp: CheckedHyperParameters) -> dict[str, dict[str, Any]]:
    """Return each hyperparameter declared by ``build``, with its meaning."""
    assert builder.build is not None
    meanings = parse_meanings(builder.build)
    described = {}
    for name, facts in hp.declared.items():
        knob = KNOBS.get(name)
        choices = facts.get("values") or (list(knob.choices) if knob is not None else None) or None
        bounds = (facts["min_value"], facts["max_value"]) if "min_value" in facts else knob.range if knob else None
        described[name] = {
            "default": hp.values[name],
            "choices": choices,
            "range": list(bounds) if bounds else None,
            "searched": facts["kind"] != "fixed",
            "meaning": meanings.get(name) or (knob.meaning if knob is not None else ""),
        }
    return described


def build(model: str, spec: Spec, **hyperparameters: Any) -> Any:
    """Return a compiled ``keras.Model`` that takes raw rows, with one input for each column.

    Args:
        model: Catalogue name.
        spec: The spec, as returned by :func:`spec_of`.
        **hyperparameters: Fixed values; the others keep their defaults.

    Raises:
        UsageError: If the model does not exist or a hyperparameter is invalid.

    Example:
        >>> build("classification/mlp", spec_of("wine", task="classification"), units=8).count_params()
        315
    """
    if not isinstance(spec, Spec):
        raise UsageError(
            f"received a {type(spec).__name__}; give what zoo.spec_of(source, task=…) returns", where="spec"
        )
    hp = CheckedHyperParameters(hyperparameters)
    model_ = resolve(model).load_build()(hp, spec)
    hp.check_all_used(model)
    return model_


def spec_of(source: Any, y: Any = None, *, task: str | None = None, **options: Any) -> Spec:
    """Return the spec of a source's training split.

    Args:
        source: A data frame, arrays, a file or the name of a bundled dataset.
        y: Targets of examples in memory.
        task: Name of the task; by default the first that fits the target of a table.
        **options: ``target`` and other keys of :class:`zoo.jobs.job.DataJob`.

    Raises:
        UsageError: If the source is no table with a target, so that the task must be named.

    Example:
        >>> len(spec_of("wine", task="classification").inputs)
        13
    """
    from zoo.task import load_task

    given = {"source": source if y is None else (source, y), **options}
    job = make_job(DataJob, gather_options(DataJob, given))
    return describe_without_task(job) if task is None else load_task(task).read(job).spec


def arrays(frame: Any, spec: Spec) -> tuple[Any, Any, Any]:
    """Convert raw rows to inputs, encoded target and sample weights, as expected by Keras and KerasTuner tuners.

    Args:
        frame: Raw rows, with or without the target.
        spec: The spec, as returned by :func:`spec_of`.

    Returns:
        Inputs by key (N,); encoded target (N,), or None if the frame lacks it; sample weights (N,), or None.
    """
    from zoo.task import load_task

    return load_task(spec.task).arrays(frame, spec)


def hypermodel(model: str, spec: Spec) -> Any:
    """Return a catalogue model as a ``keras_tuner.HyperModel``, for use with any KerasTuner tuner.

    Args:
        model: Catalogue name.
        spec: The spec, as returned by :func:`spec_of`.

    Example:
        >>> hypermodel("classification/mlp", spec).name  # doctest: +SKIP
        'classification/mlp'
    """
    import keras_tuner

    build_model = resolve(model).load_build()

    class ZooHyperModel(keras_tuner.HyperModel):
        """A catalogue model for KerasTuner tuners."""

        def build(self, hp: Any) -> Any:
            return build_model(hp, spec)

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            kwargs.setdefault("batch_size", hp.values.get("batch_size") or spec.rows)
            return model.fit(*args, **kwargs)

    return ZooHyperModel(name=model)


def describe_layers(layer: Any) -> dict[str, Any]:
    """Return name, kind, output shape and number of trainable parameters of a Keras layer."""
    output = layer.output
    shape = tuple(output.shape) if hasattr(output, "shape") else [tuple(part.shape) for part in output]
    return {
        "name": layer.name,
        "kind": type(layer).__name__,
        "output": shape,
        "parameters": sum(math.prod(weight.shape) for weight in layer.trainable_weights),
    }


def _range(facts: Mapping[str, Any]) -> str:
    if facts["choices"]:
        return "|".join(str(choice) for choice in facts["choices"])
    return f"{facts['range'][0]:g}..{facts['range'][1]:g}" if facts["range"] else ""
