"""Adoption of a user's own compiled Keras model: its inputs and output are checked against the data."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from zoo.errors import UsageError
from zoo.models.built_model import BuiltModel, split_model
from zoo.portable.preprocessing import LENGTH
from zoo.spec import SequenceInput, Spec


def adopt_model(model: Any, spec: Spec, standard: Any, output_width: int) -> BuiltModel:
    """Return a user's own compiled model as a built model.

    A model whose inputs have the columns' names takes raw columns. A model with a single input (B, F) gets the standard
    preprocessing in front of it.

    Args:
        model: The compiled Keras model.
        spec: Description of the training split.
        standard: The task's standard preprocessing for this spec.
        output_width: Number of values that the task needs for each row.

    Raises:
        UsageError: If its inputs or its output do not fit the data.
    """
    _check_functional(model)
    built_model = split_model(model)
    check_output(model, output_width, model.name)
    if spec.has_classes:
        built_model = dataclasses.replace(built_model, inference=_with_probabilities(built_model.network, model.loss))
    names = {tensor.name for tensor in model.inputs}
    if built_model.preprocessing is not None or names <= {column.key for column in spec.inputs}:
        return built_model
    tensors = standard.tensors()
    if names == set(tensors):
        return dataclasses.replace(built_model, preprocessing=standard)
    uniform = all(input_.least_length == input_.greatest_length for input_ in spec.of_kind(SequenceInput))
    if LENGTH in tensors and not (uniform and spec.of_kind(SequenceInput)):
        raise UsageError(
            "the sequences differ in length, and a model with one input would take padding for steps; it must "
            f"have the inputs {', '.join(tensors)}",
            where=model.name,
        )
    shapes = {name: tuple(tensor.shape[1:]) for name, tensor in tensors.items() if name != LENGTH}
    name, preprocessed_shape = next(iter(shapes.items()))
    shape = tuple(model.inputs[0].shape[1:]) if len(model.inputs) == 1 else None
    if len(shapes) > 1 or shape is None or not _fits(shape, preprocessed_shape):
        single = "" if len(shapes) > 1 else f", or one input {(None, *preprocessed_shape)} of preprocessed values"
        raise UsageError(
            f"the model's inputs {[tuple(tensor.shape) for tensor in model.inputs]} do not fit the data: "
            f"it must have inputs named {', '.join(column.key for column in spec.inputs[:5])} …{single}",
            where=model.name,
        )
    return dataclasses.replace(built_model, preprocessing=_SingleTensor(standard, name))


def _check_functional(model: Any) -> None:
    if getattr(model, "inputs", None) and getattr(model, "outputs", None):
        return
    reason = (
        "a Sequential model needs a keras.Input as its first layer"
        if isinstance(model, keras.Sequential)
        else "a subclass of keras.Model cannot be saved without its code; build it as keras.Model(inputs, outputs)"
    )
    raise UsageError(reason, where=model.name)


def _with_probabilities(network: keras.Model, loss: Any) -> keras.Model | None:
    """Return the network with probabilities as its output, if it was compiled for logits; None if it has them already.

    Raises:
        UsageError: If the loss takes one-hot targets, or the output is linear and the loss takes probabilities.
    """
    output, name = network.outputs[0], network.name
    if isinstance(loss, (list, tuple, dict)) and len(loss) == 1:
        loss = next(iter(loss.values() if isinstance(loss, dict) else loss))
    loss_name = loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", "")
    if str(loss_name).lower().replace("_", "").startswith("categorical"):
        raise UsageError(
            f"the targets are class numbers, and the loss {loss_name} takes one-hot targets; compile the model with "
            "sparse_categorical_crossentropy",
            where=name,
        )
    activation = "sigmoid" if output.shape[-1] == 1 else "softmax"
    if getattr(loss, "from_logits", False):
        inputs = network.inputs[0] if isinstance(network, keras.Sequential) else network.input
        model = keras.Model(inputs, keras.layers.Activation(activation)(output), name=network.name)
        model.compile(network.optimizer, type(loss).from_config({**loss.get_config(), "from_logits": False}))
        return model
    if getattr(network.layers[-1], "activation", None) is keras.activations.linear:
        raise UsageError(
            f"the output has no activation, so it is no probability: give the last layer the activation {activation}, "
            "or compile the model with a cross-entropy with from_logits=True",
            where=name,
        )
    return None


class _SingleTensor:
    """Preprocessing that returns one of its tensors, for a network with a single unnamed input."""

    def __init__(self, preprocessing: Any, name: str) -> None:
        self._preprocessing, self._name = preprocessing, name

    @property
    def digest(self) -> str:
        return str(self._preprocessing.digest)

    def raw_tensors(self) -> dict[str, Any]:
        return dict(self._preprocessing.raw_tensors())

    def model(self) -> Any:
        model = self._preprocessing.model()
        return keras.Model(model.input, model.output[self._name], name=model.name)


def _fits(shape: tuple[int | None, ...], preprocessed_shape: tuple[int | None, ...]) -> bool:
    if len(shape) != len(preprocessed_shape):
        return False
    return all(None in pair or pair[0] == pair[1] for pair in zip(shape, preprocessed_shape, strict=True))


def check_output(model: Any, width: int, name: str) -> None:
    """Raise if a model has another output than one of the given width.

    Raises:
        UsageError: With the shape that it has.
    """
    outputs = model.outputs if isinstance(model.outputs, (list, tuple)) else [model.outputs]
    if len(outputs) != 1 or tuple(outputs[0].shape[1:]) != (width,):
        shapes = ", ".join(str(tuple(output.shape)) for output in outputs)
        raise UsageError(
            f"the model's output must have shape (None, {width}) for this target; it has {shapes}", where=name
        )
