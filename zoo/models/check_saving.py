"""Check, before training, that a network can be saved and loaded in another process."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import keras

from zoo.errors import UsageError

_CURE = (
    "define it in a model file of a folder named by ZOO_TASKS, with @keras.saving.register_keras_serializable(); "
    "files there are imported when the model is loaded"
)


def check_saving(network: keras.Model, name: str) -> None:
    """Raise if another process could not load the network: it holds code, or an object that is not found there.

    How the network was compiled does not count: that is not saved if it cannot be loaded.

    Args:
        network: The network.
        name: Name of the model, for the error.

    Raises:
        UsageError: With the layer or function, and where to define it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras, that a lambda is unsafe
        config = keras.saving.serialize_keras_object(network)
    reason = explain_unloadable(config)
    if reason is not None:
        raise UsageError(reason, where=name)


def explain_unloadable(config: Any) -> str | None:
    """Return why another process could not load a configuration, as Keras serializes it; None if it could.

    Keras saves the names of classes and functions. It finds its own, and those that are registered when a model is
    loaded, which zoo ensures for the files of the catalogue.

    Example:
        >>> explain_unloadable(keras.saving.serialize_keras_object(keras.layers.Dense(1)))
    """
    for part in _objects(config):
        kind, name = part["class_name"], part.get("registered_name")
        if kind in ("Lambda", "__lambda__"):
            return (
                "a lambda, or a Lambda layer, holds code, which is not saved with a model; use keras.ops in a "
                f"functional model, or a layer of your own: {_CURE}"
            )
        if kind == "function":
            name = part["config"]
            if part.get("module") == "builtins" and isinstance(name, str) and hasattr(keras.activations, name):
                continue
        elif kind.startswith("__") or _is_of_keras(part.get("module")):  # such as __keras_tensor__
            continue
        registered = keras.saving.get_registered_object(name) if isinstance(name, str) else None
        if registered is None or not registered.__module__.startswith("zoo."):
            shown = name if kind == "function" else kind
            return f"{shown} is not part of Keras, so another process cannot load it; {_CURE}"
    return None


def _is_of_keras(module: str | None) -> bool:
    return module is not None and module.split(".")[0] == "keras"


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Yield the configuration of each class or function inside a configuration, the outer ones first.

    How a model inside it was compiled is left out.
    """
    if isinstance(config, dict):
        if "class_name" in config and "config" in config:
            yield config
        # Keras saves a lambda that is an activation as a list of its code; a constant initializer has a number.
        elif set(config) == {"value"} and isinstance(config["value"], (list, tuple)):
            yield {"class_name": "__lambda__"}
        for key, value in config.items():
            if key != "compile_config":
                yield from _objects(value)
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from _objects(value)
