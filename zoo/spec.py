"""The spec: what ``build`` is told about the training part of a dataset, in plain Python and JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from zoo.errors import UsageError, unknown

FORMAT = 2


@dataclass(frozen=True)
class Input:
    """One input of a model, by the name that the user's data have for it.

    Args:
        name: The column's name in the source.
        key: The name of the Keras input (the column's name, made safe for Keras).
        kind: ``number``, ``category``, ``date``, ``image``, ``sequence``, ``text`` or ``observation``; tasks may
            add kinds of their own.
        shape: Shape of one example, without the batch axis; ``()`` for a scalar, None for an axis that varies.
        levels: The known levels of a category, or of a text its vocabulary; most frequent first.
        missing: How many rows of the training part lack a value.
        statistics: What preparation needs: for a number ``mean``, ``std``, ``min``, ``max`` and
            ``quantiles`` (evenly spaced in probability, from minimum to maximum); for a date ``splits`` and
            ``format``; for a category ``ordered`` or ``buckets``; for words ``idf``; and what stands for a missing
            value, ``fill``, with the ``way`` it was found.
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
    """What a model predicts.

    Args:
        name: The column's name.
        kind: ``class`` (encoded as the class's index) or ``number`` (encoded as standardised number).
        classes: Names of the classes in the order of their index.
        dtype: Type that predicted classes are given back in: ``int``, ``float``, ``bool`` or ``str``.
        positive: With two classes the one that scores such as f1 are about.
        counts: Rows of each class in the training part.
        mean: Mean of a number over the training part, in its own units.
        std: Standard deviation of a number over the training part, in its own units.
        quantiles: Levels of the quantiles that are predicted of a number; empty for its mean.
        shape: Shape of the target of one example; ``()`` for one value.
        bounds: Least and greatest value of each number of an action.
        threshold: Probability from which on the positive of two classes is called; None for the likelier one.
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
        """Index of the positive class; the last class where none is set."""
        return self.classes.index(self.positive) if self.positive is not None else len(self.classes) - 1


@dataclass(frozen=True)
class Spec:
    """The frozen description of the training part that ``build(hp, spec)`` gets.

    Args:
        task: Name of the task.
        inputs: The model's inputs, in the order of the source's columns.
        target: What is predicted; None where a task has no target.
        rows: Number of examples in the training part.
        options: The task's own options that shaped the data, in plain values (such as a number of clusters).
        weight: Column with the weight of each row; None where all weigh the same.
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
        """Whether weights are numbers of rows."""
        return self.weight is not None and self.weight_kind == "frequency"

    def input(self, name: str) -> Input:
        """Return the input called ``name``.

        Raises:
            UsageError: When there is none of that name.
        """
        for candidate in self.inputs:
            if candidate.name == name:
                return candidate
        raise unknown("input", name, [known.name for known in self.inputs])

    def of_kind(self, kind: str) -> tuple[Input, ...]:
        """Return the inputs of one kind, in order."""
        return tuple(known for known in self.inputs if known.kind == kind)

    def to_json(self) -> str:
        """Return the spec as JSON text that :meth:`from_json` reads back."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> Spec:
        """Return the spec that :meth:`to_json` wrote.

        Raises:
            UsageError: When a newer version of zoo wrote it.
        """
        values = json.loads(text)
        written = values.pop("format")
        if written > FORMAT:
            raise UsageError(
                f"this spec has format {written}, and this version of zoo reads formats up to {FORMAT}: "
                "a newer zoo is needed"
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
    """JSON has lists only; a frozen spec holds tuples."""
    return {**values, **{key: tuple(values[key]) for key in keys if key in values}}
