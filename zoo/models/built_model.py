"""A compiled model is ``network(preprocessing(raw inputs))``: putting it together and taking it apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

import keras

from zoo.errors import UsageError
from zoo.models.shared_hyperparameters import Knobs
from zoo.spec import Spec

PREPROCESSING, NETWORK, CALIBRATION = "preprocessing", "network", "calibration"
_EARLIER_PREPROCESSING = "preparation"  # as zoo 0.1.0 called it


class Preprocessing(Protocol):
    """What turns raw inputs into the tensors that a network takes."""

    @property
    def digest(self) -> str:
        """Digest of all that decides what the prepared tensors hold."""

    def raw_tensors(self) -> dict[str, Any]:
        """Keras inputs of the raw values, by key."""

    def model(self) -> keras.Model:
        """The Keras model from raw to prepared."""


@dataclass
class BuiltModel:
    """A network, the preparation that belongs before it, and the calibration behind it.

    ``calibration`` is a layer called so, from output to output; None for none.
    """

    network: keras.Model
    preprocessing: Preprocessing | None
    calibration: keras.layers.Layer | None = None

    @property
    def n_parameters(self) -> int:
        """Numbers that training changes."""
        return sum(math.prod(weight.shape) for weight in self.network.trainable_weights)

    def full_model(self) -> keras.Model:
        """Return the compiled model from raw inputs to prediction; it shares the network's weights and optimizer.

        A network without preparation or calibration is the whole model already.
        """
        if self.preprocessing is None:
            return self.network if self.calibration is None else _calibrated(self.network, self.calibration)
        return _join(self.preprocessing, self.network, self.calibration)


@dataclass
class _Workbench:
    preprocessing: Preprocessing | None = None
    made: list[Any] = field(default_factory=list)


_workbench: ContextVar[_Workbench | None] = ContextVar("workbench", default=None)


def assemble(preprocessing: Preprocessing, inputs: dict[str, Any], output: Any, loss: Any, knobs: Knobs) -> keras.Model:
    """Return the compiled model: preparation, then the network from ``inputs`` to ``output``.

    Args:
        preparation: From :func:`zoo.networks.preprocess_table`.
        inputs: The preparation's ``tensors()``, which the network starts from.
        output: The network's output.
        loss: A Keras loss.
        knobs: Gives the optimizer.

    Returns:
        A ``keras.Model`` that takes raw inputs by key. Inside :func:`call_build` it is the network
        alone, for what is trained many times over needs no preparation built.
    """
    network = keras.Model(inputs, output, name=NETWORK)
    network.compile(optimizer=knobs.optimizer(), loss=loss)
    workbench = _workbench.get()
    if workbench is not None:
        workbench.preprocessing = preprocessing
        return network
    return _join(preprocessing, network)


def call_build(build: Callable[..., keras.Model], hp: Any, spec: Spec) -> BuiltModel:
    """Call ``build(hp, spec)`` and return network and preparation, without building the preparation.

    Raises:
        UsageError: When it returns something that is no compiled Keras model.
    """
    with _fresh_workbench() as workbench:
        model = build(hp, spec)
    name = getattr(build, "__module__", "build")
    if not isinstance(model, keras.Model):
        raise UsageError(f"build must return a compiled keras.Model; received a {type(model).__name__}", where=name)
    if not getattr(model, "compiled", False):
        raise UsageError("build must return a compiled model: call model.compile(…) before", where=name)
    if not getattr(model, "inputs", None):
        raise UsageError("build must return a model that knows its inputs: begin it with keras.Input", where=name)
    if workbench.preprocessing is None:
        return split_model(model)
    return BuiltModel(model, workbench.preprocessing)


def split_model(model: keras.Model) -> BuiltModel:
    """Take a whole model apart; one that has no preparation inside is its own network."""
    if _is_full(model):
        return BuiltModel(model.get_layer(NETWORK), _Built(model))
    return BuiltModel(model, None)


def network_of(model: keras.Model) -> keras.Model:
    """Return the network of a model, whether it is whole or a network already."""
    return model.get_layer(NETWORK) if _is_full(model) else model


def preprocessing_of(model: keras.Model) -> Any:
    """Return the preprocessing inside a full model; None where it has none."""
    layers = {layer.name: layer for layer in model.layers}
    return layers.get(PREPROCESSING, layers.get(_EARLIER_PREPROCESSING))


def _is_full(model: keras.Model) -> bool:
    return preprocessing_of(model) is not None and any(layer.name == NETWORK for layer in model.layers)


class _Built:
    """The preparation of a model that is already whole."""

    def __init__(self, whole: keras.Model) -> None:
        self._model = preprocessing_of(whole)

    @property
    def digest(self) -> str:
        raise UsageError("a model that was built whole has no preparation to be known by")

    def raw_tensors(self) -> dict[str, Any]:
        return {name: keras.Input(t.shape[1:], dtype=t.dtype, name=name) for name, t in self._model.input.items()}

    def model(self) -> keras.Model:
        return self._model


def _calibrated(network: keras.Model, calibration: keras.layers.Layer) -> keras.Model:
    inputs = {known.name: keras.Input(known.shape[1:], dtype=known.dtype, name=known.name) for known in network.inputs}
    whole = keras.Model(inputs, calibration(network(inputs if len(inputs) > 1 else next(iter(inputs.values())))))
    whole.compile(optimizer=network.optimizer, loss=network.loss)
    return whole


def _join(
    preprocessing: Preprocessing, network: keras.Model, calibration: keras.layers.Layer | None = None
) -> keras.Model:
    raw = preprocessing.raw_tensors()
    output = network(preprocessing.model()(raw))
    whole = keras.Model(raw, output if calibration is None else calibration(output), name="model")
    # One optimizer for both: what the network's training changed is what the whole saves and shows.
    whole.compile(optimizer=network.optimizer, loss=network.loss)
    return whole


@contextmanager
def _fresh_workbench() -> Iterator[_Workbench]:
    token = _workbench.set(workbench := _Workbench())
    try:
        yield workbench
    finally:
        _workbench.reset(token)
