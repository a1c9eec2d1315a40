"""The spec: description of the training split of a dataset, which ``build`` receives, in plain Python and JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from zoo.earlier_spec import translate_input
from zoo.errors import UsageError, describe_unknown
from zoo.target import Target as Target
from zoo.typed_values import create_checked

FORMAT = 2


@dataclass(frozen=True)
class Input:
    """One input of a model; each kind of input is a subclass, and tasks may add kinds of their own.

    Args:
        name: Name of the column in the source.
        key: Name of the Keras input (the column's name, made valid for Keras).
        shape: Shape of one example, without the batch axis; ``()`` for a scalar, None for a variable axis.
        missing: Number of training rows without a value.
    """

    name: str
    key: str
    shape: tuple[int | None, ...] = ()
    missing: int = 0

    kind: ClassVar[str] = ""
    by_kind: ClassVar[dict[str, type[Input]]] = {}

    def __init_subclass__(cls) -> None:
        if cls.kind:
            Input.by_kind[cls.kind] = cls


@dataclass(frozen=True)
class ColumnInput(Input):
    """One cell of a table.

    Args:
        imputation: How missing values are imputed, such as ``median``; None for an indicator of missing values.
        fill: The value that a missing one becomes; None without imputation.
    """

    imputation: str | None = None
    fill: Any = None


@dataclass(frozen=True)
class NumberInput(ColumnInput):
    """A number.

    Args:
        mean: Mean over the training split.
        std: Standard deviation.
        min: Minimum.
        max: Maximum.
        quantiles: Quantiles, evenly spaced in probability, from minimum to maximum.
        indicates_missing: Whether it is no column of its own, but 1 where the column ``name`` has no value.
        notation: How its texts are written: an example such as ``1.234,5 €``; empty for numbers as in Python.
        is_answer: Whether its values are 0 and 1 for no and yes, so that these words are read too.
    """

    mean: float = 0.0
    std: float = 1.0
    min: float = 0.0
    max: float = 0.0
    quantiles: tuple[float, ...] = ()
    indicates_missing: bool = False
    notation: str = ""
    is_answer: bool = False

    kind: ClassVar[str] = "number"

    @property
    def statistics(self) -> dict[str, Any]:
        """What :class:`zoo.preprocessing.numbers.PrepareNumbers` takes of a column."""
        names = ("mean", "std", "min", "max")
        filled = {} if self.fill is None else {"fill": self.fill}
        return {**{name: getattr(self, name) for name in names}, "quantiles": list(self.quantiles), **filled}


@dataclass(frozen=True)
class CategoryInput(ColumnInput):
    """A category.

    Args:
        categories: The categories of the training split, most frequent first, or in their own order.
        ordered: Whether their order has a meaning.
        buckets: Number of buckets that categories are hashed into; 0 if they are looked up.
        numeric: Whether they are numbers in the source.
    """

    categories: tuple[str, ...] = ()
    ordered: bool = False
    buckets: int = 0
    numeric: bool = False

    kind: ClassVar[str] = "category"


@dataclass(frozen=True)
class DateInput(ColumnInput):
    """A date, as seconds since 1970.

    Args:
        parts: Mean and standard deviation of each calendar feature, by name.
        min: Earliest date.
        max: Latest date.
        format: Format of its text; None for ISO 8601.
        strict: Whether a cell that is not a date in the format is an error.
    """

    parts: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    min: float = 0.0
    max: float = 0.0
    format: str | None = None
    strict: bool = False

    kind: ClassVar[str] = "date"


@dataclass(frozen=True)
class TextInput(ColumnInput):
    """A text.

    Args:
        vocabulary: The tokens of the training split, most frequent first.
        unit: ``character``, ``word``, or for a list of items the name of their separator, such as ``comma``.
        idf: Inverse document frequency of each token, for a bag of words; empty for a sequence of tokens.
        greatest_length: Number of tokens of the longest text.
        mean_length: Mean number of tokens.
    """

    vocabulary: tuple[str, ...] = ()
    unit: str = "word"
    idf: tuple[float, ...] = ()
    greatest_length: int = 0
    mean_length: float = 0.0

    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class SequenceInput(Input):
    """A sequence of T steps with F features each; its shape is (None, F).

    Args:
        mean: Mean of each feature over the steps of the training split (F,).
        std: Standard deviation of each feature (F,).
        has_missing: Whether each feature has missing values (F,).
        least_length: Number of steps of the shortest sequence.
        greatest_length: Number of steps of the longest sequence.
        mean_length: Mean number of steps.
        columns: Columns of a long table that the features come from; empty for arrays.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    has_missing: tuple[bool, ...] = ()
    least_length: int = 0
    greatest_length: int = 0
    mean_length: float = 0.0
    columns: tuple[str, ...] = ()

    kind: ClassVar[str] = "sequence"


@dataclass(frozen=True)
class ImageInput(Input):
    """An image; its shape is (None, None, C).

    Args:
        mean: Mean of each channel over the pixels of the training split (C,).
        std: Standard deviation of each channel (C,).
        height: Height that the model resizes images to; 0 if each image keeps its size.
        width: Width that the model resizes images to; 0 if each image keeps its size.
        integer: Whether values are integers from 0 to 255.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    height: int = 0
    width: int = 0
    integer: bool = False

    kind: ClassVar[str] = "image"


@dataclass(frozen=True)
class ArrayInput(Input):
    """An array of numbers that has the same shape in each example, such as a window of a time series.

    Args:
        columns: Columns of the source that its last axis comes from; empty where they have no names.
        mean: Mean of each of the last axis over the training split; empty where it is not standardised.
        std: Standard deviation of each of them.
    """

    columns: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    kind: ClassVar[str] = "array"


@dataclass(frozen=True)
class ObservationInput(Input):
    """An observation of an environment: F numbers, or one of ``n`` integers.

    Args:
        low: Minimum of each number (F,); None if it has no bound.
        high: Maximum of each number (F,); None if it has no bound.
        n: Number of integers; 0 for numbers.
        start: The least integer.
        space: Space of :func:`zoo.portable.observations.encode_observation`, unless the numbers are one vector.
    """

    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    n: int = 0
    start: int = 0
    space: Mapping[str, Any] | None = None

    kind: ClassVar[str] = "observation"


InputT = TypeVar("InputT", bound=Input)


@dataclass(frozen=True)
class Spec:
    """The frozen description of the training split that ``build(hp, spec)`` receives.

    Args:
        task: Name of the task.
        inputs: The model's inputs, in the order of the source's columns.
        targets: The targets; empty if the task has none. An encoded target has one column for each of several, with
            NaN where a row lacks it.
        rows: Number of examples in the training split.
        options: Options of the task, as plain values (such as a number of clusters).
        weight: Column of sample weights; None for equal weights.
        weight_kind: ``importance`` or ``frequency``; see :class:`zoo.jobs.data_options.DataJob`.

    Example:
        >>> spec = Spec("regression", (NumberInput("age", "age"),), (Target("price", "number"),), rows=10)
        >>> Spec.from_json(spec.to_json()) == spec
        True
    """

    task: str
    inputs: tuple[Input, ...]
    targets: tuple[Target, ...] = ()
    rows: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    weight: str | None = None
    weight_kind: str = "importance"

    @property
    def target(self) -> Target:
        """The only target.

        Raises:
            UsageError: If there is none, or several.
        """
        if len(self.targets) != 1:
            raise UsageError(
                f"{self.task} predicts one target; the data have {self.target_names or 'none'}", where="target"
            )
        return self.targets[0]

    @property
    def target_names(self) -> str:
        """Names of the targets, separated by commas; empty without a target."""
        return ", ".join(target.name for target in self.targets)

    @property
    def has_classes(self) -> bool:
        """Whether the only target has classes."""
        return len(self.targets) == 1 and self.targets[0].kind == "class"

    @property
    def weights_count(self) -> bool:
        """Whether weights are frequencies."""
        return self.weight is not None and self.weight_kind == "frequency"

    def with_target(self, **changes: Any) -> Spec:
        """Return the spec with changes of its only target, such as ``threshold=0.3``."""
        return dataclasses.replace(self, targets=(dataclasses.replace(self.target, **changes),))

    def input(self, name: str) -> Input:
        """Return the input called ``name``.

        Raises:
            UsageError: If there is no input of that name.
        """
        for candidate in self.inputs:
            if candidate.name == name:
                return candidate
        raise describe_unknown("input", name, [input_.name for input_ in self.inputs])

    def of_kind(self, kind: type[InputT]) -> tuple[InputT, ...]:
        """Return the inputs of one kind, in order.

        Example:
            >>> Spec("classification", (NumberInput("age", "age"),)).of_kind(CategoryInput)
            ()
        """
        return tuple(input_ for input_ in self.inputs if isinstance(input_, kind))

    def only(self, kind: type[InputT], key: str | None = None) -> InputT:
        """Return the only input of a kind, such as the image of an image model.

        Args:
            kind: Class of the input.
            key: Its key, if there may be several.

        Raises:
            UsageError: If there is none, or several.
        """
        inputs = [input_ for input_ in self.of_kind(kind) if key in (None, input_.key)]
        if len(inputs) != 1:
            raise UsageError(f"{self.task} needs one {kind.kind} as input; the data have {len(inputs)}")
        return inputs[0]

    def to_json(self) -> str:
        """Return the spec as JSON text for :meth:`from_json`."""
        inputs = [{"kind": input_.kind, **dataclasses.asdict(input_)} for input_ in self.inputs]
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self), "inputs": inputs})

    @classmethod
    def from_json(cls, text: str) -> Spec:
        """Create a spec from the JSON text of :meth:`to_json`.

        Raises:
            UsageError: If a newer version of zoo wrote it, or a value has another type.
        """
        values = json.loads(text)
        written = values.pop("format")
        if written > FORMAT:
            raise UsageError(f"this spec has format {written}; this version of zoo reads up to {FORMAT}; update zoo")
        if "target" in values:  # format 1
            target = values.pop("target")
            values["targets"] = [target] if target else []
        values["inputs"] = tuple(_input_of(translate_input(item)) for item in values["inputs"])
        return create_checked(cls, values)


def _input_of(values: dict[str, Any]) -> Input:
    kind = values.pop("kind")
    if kind not in Input.by_kind:
        raise describe_unknown("kind of input", kind, Input.by_kind)
    return create_checked(Input.by_kind[kind], values)
