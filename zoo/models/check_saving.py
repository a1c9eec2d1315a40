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

    Keras saves the names of classes and functions. It finds its own, and those that are registered when a model is
    loaded, which zoo ensures for the files of the catalogue.

    Args:
        network: The network.
        name: Name of the model, for the error.

    Raises:
        UsageError: With the layer or function, and where to define it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras, that a lambda is unsafe
        network_config = keras.saving.serialize_keras_object(network)
    for config in _objects(network_config):
        kind, registered = config["class_name"], config.get("registered_name")
        if kind in ("Lambda", "__lambda__"):
            raise UsageError(
                "a lambda, or a Lambda layer, holds code, which is not saved with a model; use keras.ops in a "
                f"functional model, or a layer of your own: {_CURE}",
                where=name,
            )
        if kind == "function":
            registered, module = config["config"], config.get("module")
            if module == "builtins" and isinstance(registered, str) and hasattr(keras.activations, registered):
                continue
        elif kind.startswith("__") or _is_of_keras(config.get("module")):  # such as __keras_tensor__
            continue
        found_object = keras.saving.get_registered_object(registered) if isinstance(registered, str) else None
        if found_object is None or not found_object.__module__.startswith("zoo."):
            shown = registered if kind == "function" else kind
            raise UsageError(f"{shown} is not part of Keras, so another process cannot load it; {_CURE}", where=name)


def _is_of_keras(module: str | None) -> bool:
    return module is not None and module.split(".")[0] == "keras"


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Yield the configuration of each class or function inside a configuration, the outer ones first.

    How a model was compiled is left out: a loaded model only predicts.
    """
    if isinstance(config, dict):
        if "class_name" in config and "config" in config:
            yield config
        elif set(config) == {"value"}:  # how Keras saves a lambda that is an activation
            yield {"class_name": "__lambda__"}
        for key, value in config.items():
            if key != "compile_config":
                yield from _objects(value)
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from _objects(value)
