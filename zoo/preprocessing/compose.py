"""One preprocessing for inputs of several kinds: columns, sequences, texts, images and observations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zoo.preprocessing.images import ImagePreprocessing
from zoo.preprocessing.input_preprocessing import InputPreprocessing
from zoo.preprocessing.observations import ObservationPreprocessing
from zoo.preprocessing.sequences import SequencePreprocessing
from zoo.preprocessing.table import TablePreprocessing, is_column
from zoo.spec import ImageInput, Input, ObservationInput, SequenceInput, Spec, TextInput

# Preprocessing by kind of input; a task adds those of its own kinds.
BY_KIND: dict[type[Input], Callable[[Spec, str], InputPreprocessing]] = {
    ImageInput: ImagePreprocessing,
    ObservationInput: ObservationPreprocessing,
    SequenceInput: SequencePreprocessing,
    TextInput: SequencePreprocessing,
}


@dataclass(frozen=True)
class ComposedPreprocessing(InputPreprocessing):
    """Several preprocessings side by side, each for inputs of its own.

    Args:
        parts: The preprocessings.
    """

    parts: tuple[InputPreprocessing, ...]

    def tensors(self) -> dict[str, Any]:
        """Return Keras inputs of the preprocessed tensors, by name."""
        return {name: tensor for part in self.parts for name, tensor in part.tensors().items()}

    def raw_tensors(self) -> dict[str, Any]:
        """Return Keras inputs of the raw values, by key."""
        return {key: tensor for part in self.parts for key, tensor in part.raw_tensors().items()}

    def outputs(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Return the preprocessed tensors by name."""
        return {name: tensor for part in self.parts for name, tensor in part.outputs(raw).items()}


def compose(spec: Spec, *, scaling: str = "standard") -> ComposedPreprocessing:
    """Return the preprocessing of all inputs of a spec.

    Columns of a table become ``features`` (B, D) and, if needed, ``codes`` (B, E); see
    :func:`zoo.preprocessing.table.preprocess_table`. Each other input becomes a tensor that has its key as name; each
    sequence or text has a second one with its lengths: ``length``, or if there are several ``<key>_length``.

    Args:
        spec: Spec with inputs of any kind.
        scaling: Scaling of numeric columns.

    Example:
        >>> from zoo.spec import NumberInput, SequenceInput
        >>> past = SequenceInput("past", "past", shape=(None, 1), mean=(0.0,), std=(1.0,), has_missing=(False,))
        >>> sorted(compose(Spec("forecasting", (past, NumberInput("size", "size")))).tensors())
        ['features', 'length', 'past']
    """
    parts: list[InputPreprocessing] = []
    if any(is_column(input_) for input_ in spec.inputs):
        parts.append(TablePreprocessing(spec, scaling))
    parts += [BY_KIND[type(input_)](spec, input_.key) for input_ in spec.inputs if not is_column(input_)]
    return ComposedPreprocessing(tuple(parts))


def preprocess_sequence(spec: Spec) -> InputPreprocessing:
    """Return the preprocessing of the only sequence or text of a spec, and of the columns beside it, if any.

    Args:
        spec: Spec with one sequence or text.
    """
    sequence = SequencePreprocessing(spec)
    if not any(is_column(input_) for input_ in spec.inputs):
        return sequence
    return ComposedPreprocessing((sequence, TablePreprocessing(spec, "standard")))
