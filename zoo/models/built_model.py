"""Assemble a compiled model ``calibration(network(preprocessing(raw inputs)))``, and split it again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import keras

from zoo.errors import UsageError
from zoo.models.phases import Phase
from zoo.models.shared_hyperparameters import Knobs
from zoo.spec import Spec

PREPROCESSING, NETWORK, CALIBRATION = "preprocessing", "network", "calibration"
_EARLIER_PREPROCESSING = "preparation"  # its name in models of zoo 0.1.0


class Preprocessing(Protocol):
    """Converts raw inputs to the tensors that a network takes; see :mod:`zoo.preprocessing`."""

    @property
    def digest(self) -> str:
        """Digest of everything that determines the preprocessed tensors."""

    def raw_tensors(self) -> dict[str, Any]:
        """Keras inputs of the raw values, by key."""

    def model(self) -> keras.Model:
        """The Keras model from raw inputs to preprocessed tensors."""


class Trainer:
    """What trains a network in place of the fit loop, such as an agent.

    Checkpoints hold the variables of ``networks`` and ``optimizers`` by name, beside the network and its optimizer,
    so that training resumes exactly; the trainer makes them when it is built, before anything is restored.
    """

    @property
    def networks(self) -> Mapping[str, keras.Model]:
        """Further networks, by name."""
        return {}

    @property
    def optimizers(self) -> Mapping[str, tuple[keras.optimizers.Optimizer, Sequence[Any]]]:
        """Further optimizers with the variables that they train, by name."""
        return {}

    def train(self, state: Any) -> None:
        """Train until ``state.over``; the task documents what its state offers."""
        raise NotImplementedError


@dataclass
class BuiltModel:
    """A network with what belongs to it.

    Args:
        network: What a fit loop trains, on preprocessed tensors.
        preprocessing: From raw columns to tensors; None where the network takes raw columns.
        calibration: Layer from output to output, fitted after training; None for none.
        trainer: What trains the network in place of the fit loop; None for the loop.
        inference: Network for predictions, sharing the trained network's weights, where its output differs from the
            one that is trained; None for the same.
        after_fit: Called with this object and the dataset when training is over, such as to store training rows.
        members: The models of an ensemble; empty for a single model. See :mod:`zoo.models.ensemble`.
        phases: Parts of training in which some layers are frozen; none to train all layers in all epochs.
        is_mixed: Whether the network was built to be trained in mixed precision.
    """

    network: keras.Model
    preprocessing: Preprocessing | None
    calibration: keras.layers.Layer | None = None
    trainer: Trainer | None = None
    inference: keras.Model | None = None
    after_fit: Callable[[BuiltModel, Any], None] | None = None
    members: tuple[BuiltModel, ...] = ()
    phases: tuple[Phase, ...] = ()
    is_mixed: bool = False
    _full_models: dict[Any, keras.Model] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def preprocessing_model(self) -> keras.Model | None:
        """The Keras model from raw inputs to preprocessed tensors; None where the network takes raw columns."""
        return None if self.preprocessing is None else self.preprocessing.model()

    @property
    def n_parameters(self) -> int:
        """Number of trainable parameters."""
        return sum(math.prod(weight.shape) for weight in self.network.trainable_weights)

    def run_after_fit(self, dataset: Any) -> None:
        """Do what follows training, once the network has its final weights, trained here or restored.

        A network that was trained in mixed precision computes in float32 from then on, as its exports do; and
        ``after_fit`` is called, if there is one.
        """
        if self.is_mixed:
            for network in filter(None, (self.network, self.inference)):
                for layer in network._flatten_layers():
                    layer.dtype_policy = keras.DTypePolicy("float32")
        if self.after_fit is not None:
            self.after_fit(self, dataset)

    def full_model(self) -> keras.Model:
        """Return the compiled model from raw inputs to predictions, which shares the network's weights and optimizer.

        Without preprocessing and calibration, this is the network itself. It is built once for each calibration.
        """
        parts = (self.inference or self.network, self.calibration)
        if parts not in self._full_models:
            self._full_models[parts] = self._join(*parts)
        return self._full_models[parts]

    def training_model(self) -> keras.Model:
        """Return the compiled model from raw inputs to the output that is trained, which may not be the predictions."""
        return self.full_model() if self.inference is None else self._join(self.network, None)

    def _join(self, network: keras.Model, calibration: keras.layers.Layer | None) -> keras.Model:
        if self.preprocessing is None or self.preprocessing_model is None:
            return network if calibration is None else _calibrated(network, calibration)
        raw = self.preprocessing.raw_tensors()
        output = network(self.preprocessing_model(raw))
        full = keras.Model(raw, output if calibration is None else calibration(output), name="model")
        # Both share one optimizer, so that the full model saves and shows its trained state.
        full.compile(optimizer=network.optimizer, loss=network.loss)
        return full


@dataclass
class _Workbench:
    built_model: BuiltModel | None = None


_workbench: ContextVar[_Workbench | None] = ContextVar("workbench", default=None)
_weights_needed: ContextVar[bool] = ContextVar("weights_needed", default=True)


@contextmanager
def leave_out_weights() -> Iterator[None]:
    """Have models built without the trained weights that they begin with, where only their layers are of interest."""
    token = _weights_needed.set(False)
    try:
        yield
    finally:
        _weights_needed.reset(token)


def must_load_weights() -> bool:
    """Return whether a model that is built needs the trained weights that it begins with."""
    return _weights_needed.get()


def assemble(
    preprocessing: Preprocessing,
    inputs: dict[str, Any],
    output: Any,
    loss: Any,
    knobs: Knobs,
    *,
    optimizer: keras.optimizers.Optimizer | None = None,
    trainer: Trainer | None = None,
    inference_output: Any = None,
    after_fit: Callable[[BuiltModel, Any], None] | None = None,
    phases: Sequence[Phase] = (),
) -> keras.Model:
    """Return the compiled model: preprocessing, then the network from ``inputs`` to ``output``.

    Args:
        preprocessing: From :func:`zoo.networks.preprocess_table`.
        inputs: The preprocessing's ``tensors()``, which are the inputs of the network.
        output: Output of the network.
        loss: A Keras loss.
        knobs: Provide the optimizer.
        optimizer: Another optimizer than that of the shared hyperparameters.
        trainer: What trains the network in place of the fit loop.
        inference_output: Output for predictions, where it differs from the one that is trained.
        after_fit: Called with the built model and the dataset when training is over.
        phases: Parts of training in which some layers are frozen.

    Returns:
        A ``keras.Model`` that takes raw inputs by key. Inside :func:`call_build` it is only the network, since
        training does not need the preprocessing model.
    """
    network = keras.Model(inputs, output, name=NETWORK)
    network.compile(optimizer=optimizer or knobs.optimizer(averages=trainer is None), loss=loss)
    inference = None
    if inference_output is not None:
        inference = keras.Model(inputs, inference_output, name=NETWORK)
        inference.compile(optimizer=network.optimizer, loss=loss)
    return return_built(
        BuiltModel(
            network, preprocessing, trainer=trainer, inference=inference, after_fit=after_fit, phases=tuple(phases)
        )
    )


def return_built(built_model: BuiltModel) -> keras.Model:
    """Return a built model as ``build`` does: the full model, or inside :func:`call_build` its network."""
    workbench = _workbench.get()
    if workbench is None:
        return built_model.full_model()
    workbench.built_model = built_model
    return built_model.network


def call_build(build: Callable[..., keras.Model], hp: Any, spec: Spec) -> BuiltModel:
    """Call ``build(hp, spec)`` and return network and preprocessing, without building the preprocessing model.

    Raises:
        UsageError: If it does not return a compiled Keras model.
    """
    with _fresh_workbench() as workbench:
        model = build(hp, spec)
    name = getattr(build, "__module__", "build")
    if not isinstance(model, keras.Model):
        raise UsageError(f"build must return a compiled keras.Model; received a {type(model).__name__}", where=name)
    if not getattr(model, "compiled", False):
        raise UsageError("build must return a compiled model: call model.compile(…) first", where=name)
    if not getattr(model, "inputs", None):
        raise UsageError("build must return a model with defined inputs: start it with keras.Input", where=name)
    built_model = workbench.built_model
    if built_model is None:
        return split_model(model)
    return built_model if built_model.network is model else BuiltModel(model, built_model.preprocessing)


def split_model(model: keras.Model) -> BuiltModel:
    """Split a full model into preprocessing and network; a model without preprocessing is its own network."""
    if _is_full(model):
        return BuiltModel(model.get_layer(NETWORK), _Built(model))
    return BuiltModel(model, None)


def find_network(model: keras.Model) -> keras.Model:
    """Return the network of a full model, or the model itself if it is a network."""
    return model.get_layer(NETWORK) if _is_full(model) else model


def find_preprocessing(model: keras.Model) -> Any:
    """Return the preprocessing model inside a full model; None if there is none."""
    layers = {layer.name: layer for layer in model.layers}
    return layers.get(PREPROCESSING, layers.get(_EARLIER_PREPROCESSING))


def _is_full(model: keras.Model) -> bool:
    return find_preprocessing(model) is not None and any(layer.name == NETWORK for layer in model.layers)


class _Built:
    """The preprocessing inside a full model."""

    def __init__(self, full_model: keras.Model) -> None:
        self._model = find_preprocessing(full_model)

    @property
    def digest(self) -> str:
        raise UsageError("the preprocessing of a full model has no digest")

    def raw_tensors(self) -> dict[str, Any]:
        return {name: keras.Input(t.shape[1:], dtype=t.dtype, name=name) for name, t in self._model.input.items()}

    def model(self) -> keras.Model:
        return self._model


def _calibrated(network: keras.Model, calibration: keras.layers.Layer) -> keras.Model:
    inputs = {
        tensor.name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name) for tensor in network.inputs
    }
    full = keras.Model(inputs, calibration(network(inputs if len(inputs) > 1 else next(iter(inputs.values())))))
    full.compile(optimizer=network.optimizer, loss=network.loss)
    return full


@contextmanager
def _fresh_workbench() -> Iterator[_Workbench]:
    token = _workbench.set(workbench := _Workbench())
    try:
        yield workbench
    finally:
        _workbench.reset(token)
