"""An ensemble: several models as one, which is trained, saved, exported and served like any other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from zoo.errors import UsageError
from zoo.models.built_model import NETWORK, PREPROCESSING, BuiltModel, Preprocessing, return_built


def average(
    members: Sequence[BuiltModel],
    *,
    weights: Sequence[float] | None = None,
    optimizer: keras.optimizers.Optimizer | None = None,
) -> BuiltModel:
    """Return the model whose output is the mean of its members' outputs: probabilities, or standardized numbers.

    Each member keeps its own preprocessing and its weights, and predicts as it does alone, without its calibration. The
    mean of several networks is Hansen and Salamon 1990, "Neural network ensembles".

    Args:
        members: Models of one spec, fitted or not; their networks must have one output of the same shape.
        weights: Weight of each member, divided by their sum; equal by default.
        optimizer: Trains all members together; by default the first member's.

    Raises:
        UsageError: If the members cannot be averaged.

    Example:
        >>> joint = average([first.built_model, second.built_model])  # doctest: +SKIP
    """
    shares = np.ones(len(members)) if weights is None else np.asarray(weights, float)
    if not len(members) or shares.shape != (len(members),) or not (shares >= 0).all() or not shares.sum() > 0:
        raise UsageError("an ensemble needs members, and weights of at least 0 that are not all 0", where="members")
    preprocessings = [member.preprocessing for member in members if member.preprocessing is not None]
    if len(preprocessings) < len(members):
        raise UsageError("a member of an ensemble needs preprocessing inside the model", where="members")
    networks = [member.inference or member.network for member in members]
    shapes = {str(getattr(network.output, "shape", "several outputs")) for network in networks}
    if len(shapes) > 1 or "several outputs" in shapes:
        raise UsageError(f"the members' outputs must have one shape; received {', '.join(sorted(shapes))}")
    joint = JointPreprocessing(preprocessings, [member.preprocessing_model for member in members])
    inputs = joint.tensors()
    outputs = []
    for index, (network, share) in enumerate(zip(networks, shares / shares.sum(), strict=True)):
        # Another model over the same layers: the member keeps its name, and its optimizer is not saved.
        network = keras.Model(network.input, network.output, name=f"{_prefix(index)}{NETWORK}")
        tensors = {tensor.name: inputs[_prefix(index) + tensor.name] for tensor in network.inputs}
        scale = keras.layers.Rescaling(share, dtype="float32", name=f"{_prefix(index)}share")
        outputs.append(scale(network(tensors)))
    output = keras.layers.Add(dtype="float32", name="mean")(outputs) if len(outputs) > 1 else outputs[0]
    network = keras.Model(inputs, output, name=NETWORK)
    first = members[0].network
    optimizer = optimizer or type(first.optimizer).from_config(first.optimizer.get_config())
    optimizer.build(network.trainable_variables)  # else a saved ensemble of fitted members loads with a warning
    network.compile(optimizer=optimizer, loss=first.loss)
    return BuiltModel(network, joint, members=tuple(members))


def assemble_average(members: Sequence[BuiltModel], *, weights: Sequence[float] | None = None) -> keras.Model:
    """Return the compiled model of an ensemble, for ``build``; its members are trained together.

    Args:
        members: Models that :func:`zoo.models.built_model.call_build` returned.
        weights: Weight of each member; equal by default.
    """
    return return_built(average(members, weights=weights))


class JointPreprocessing:
    """The preprocessings of several members side by side, on the same raw inputs.

    Args:
        members: The preprocessings, whose tensors and layers get the prefix ``member_<index>_``.
        models: Their Keras models.
    """

    def __init__(self, members: Sequence[Preprocessing], models: Sequence[Any]) -> None:
        self._members, self._models = tuple(members), tuple(models)

    @property
    def digest(self) -> str:
        """Digest of everything that determines the preprocessed tensors, given the raw ones."""
        return hashlib.sha256(" ".join(member.digest for member in self._members).encode()).hexdigest()[:16]

    def tensors(self) -> dict[str, Any]:
        """Return Keras inputs of the preprocessed tensors, by name."""
        named = {
            _prefix(index) + name: tensor
            for index, model in enumerate(self._models)
            for name, tensor in model.output.items()
        }
        return {name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name) for name, tensor in named.items()}

    def raw_tensors(self) -> dict[str, Any]:
        """Return Keras inputs of the raw values, by key."""
        return {key: tensor for member in self._members for key, tensor in member.raw_tensors().items()}

    def model(self) -> keras.Model:
        """Return the Keras model from raw to preprocessed tensors, without trainable weights."""
        raw, outputs = self.raw_tensors(), dict[str, Any]()
        for index, model in enumerate(self._models):
            copy = keras.models.clone_model(
                model,
                input_tensors={name: raw[name] for name in model.input},
                clone_function=lambda layer, index=index: _renamed(layer, _prefix(index)),
            )
            outputs |= {_prefix(index) + name: tensor for name, tensor in copy.output.items()}
        return keras.Model(raw, outputs, name=PREPROCESSING)


def _prefix(index: int) -> str:
    return f"member_{index}_"


def _renamed(layer: Any, prefix: str) -> Any:
    if isinstance(layer, keras.layers.InputLayer):
        return layer
    return type(layer).from_config({**layer.get_config(), "name": prefix + layer.name})
