"""The spec: description of the training split of a dataset, which ``build`` receives, in plain Python and JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from zoo.errors import UsageError, unknown

FORMAT = 2


@dataclass(frozen=True)
class Input:
    """One input of a model.

    Args:
        name: Name of the column in the source.
        key: Name of the Keras input (the column's name, made valid for Keras).
        kind: ``number``, ``category``, ``date``, ``image``, ``sequence``, ``text`` or ``observation``; tasks may
            add kinds of their own.
        shape: Shape of one example, without the batch axis; ``()`` for a scalar, None for a variable axis.
        levels: The known categories, or the vocabulary of a text; most frequent first.
        missing: Number of training rows without a value.
        statistics: Statistics for preprocessing: for a number ``mean``, ``std``, ``min``, ``max`` and
            ``quantiles`` (evenly spaced in probability, from minimum to maximum); for a date ``parts`` and
            ``format``; for a category ``ordered`` or ``buckets``; for words ``idf``; and for missing values
            ``fill`` and the imputation ``way``.
    """

    name: str
    key: str
    kind: str
    shape: tuple[int | None, ...] = ()
    levels: tuple[str, ...] = ()
    missing: int = 0
    statistics: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """The target of a model.

    Args:
        name: The column's name.
        kind: ``class`` (encoded as class index) or ``number`` (encoded as standardised number).
        classes: Names of the classes in the order of their index.
        dtype: Type of predicted classes: ``int``, ``float``, ``bool`` or ``str``.
        positive: The positive class of two, for metrics such as f1.
        counts: Number of training rows of each class.
        mean: Mean of a number over the training split, in its own units.
        std: Standard deviation of a number over the training split, in its own units.
        quantiles: Probabilities of the predicted quantiles of a number; empty for its mean.
        shape: Shape of the target of one example; ``()`` for one value.
        bounds: Least and greatest value of each number of an action.
        threshold: Probability from which the positive class of two is predicted; None for the most likely class.
    """

    name: str
    kind: str
    classes: tuple[str, ...] = ()
    dtype: str = "float"
    positive: str | None = None
    counts: tuple[int, ...] = ()
    mean: float = 0.0
    std: float = 1.0
    quantiles: tuple[float, ...] = ()
    shape: tuple[int, ...] = ()
    bounds: tuple[tuple[float, float], ...] = ()
    threshold: float | None = None

    @property
    def positive_index(self) -> int:
        """Index of the positive class; the last class if none is set."""
        return self.classes.index(self.positive) if self.positive is not None else len(self.classes) - 1


@dataclass(frozen=True)
class Spec:
    """The frozen description of the training split that ``build(hp, spec)`` receives.

    Args:
        task: Name of the task.
        inputs: The model's inputs, in the order of the source's columns.
        target: The target; None if the task has none.
        rows: Number of examples in the training split.
        options: Options of the task, as plain values (such as a number of clusters).
        weight: Column of sample weights; None for equal weights.
        weight_kind: ``importance`` or ``frequency``; see :class:`zoo.jobs.data_options.DataJob`.

    Example:
        >>> spec = Spec("regression", (Input("age", "age", "number"),), Target("price", "number"), rows=10)
        >>> Spec.from_json(spec.to_json()) == spec
        True
    """

    task: str
    inputs: tuple[Input, ...]
    target: Target | None = None
    rows: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    weight: str | None = None
    weight_kind: str = "importance"

    @property
    def weights_count(self) -> bool:
        """Whether weights are frequencies."""
        return self.weight is not None and self.weight_kind == "frequency"

    def input(self, name: str) -> Input:
        """Return the input called ``name``.

        Raises:
            UsageError: If there is no input of that name.
        """
        for candidate in self.inputs:
            if candidate.name == name:
                return candidate
        raise unknown("input", name, [input_.name for input_ in self.inputs])

    def of_kind(self, kind: str) -> tuple[Input, ...]:
        """Return the inputs of one kind, in order."""
        return tuple(input_ for input_ in self.inputs if input_.kind == kind)

    def to_json(self) -> str:
        """Return the spec as JSON text for :meth:`from_json`."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> Spec:
        """Create a spec from the JSON text of :meth:`to_json`.

        Raises:
            UsageError: If a newer version of zoo wrote it.
        """
        values = json.loads(text)
        written = values.pop("format")
        if written > FORMAT:
            raise UsageError(
                f"this spec has format {written}, but this version of zoo reads formats up to {FORMAT}; update zoo"
            )
        target = values.pop("target")
        inputs = tuple(Input(**_tuples(item, "shape", "levels")) for item in values.pop("inputs"))
        return cls(
            inputs=inputs,
            target=_target_of(target) if target else None,
            **values,
        )


def _target_of(values: dict[str, Any]) -> Target:
    bounds = tuple((low, high) for low, high in values.get("bounds", ()))  # format 1 has neither these nor shapes
    return Target(**{**_tuples(values, "classes", "counts", "quantiles", "shape"), "bounds": bounds})


def _tuples(values: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Return values with lists of JSON converted to tuples."""
    return {**values, **{key: tuple(values[key]) for key in keys if key in values}}
