"""Names of environments: ids, classes of a module, and classes and objects, which are registered."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import importlib
import inspect
import marshal
import os
import pickle
import uuid
from pathlib import Path
from typing import Any

import gymnasium

from zoo.data.source_errors import describe_wrong_source
from zoo.data.sources.bundled import BUNDLED
from zoo.errors import UsageError, join_first

GIVEN = ("gymnasium", "builtins", "typing", "abc")  # modules of base classes
OWN = "own/"  # namespace of environments that are given as a class or an object


def name_environment(source: Any) -> str:
    """Return the id of an environment, which is registered if it is given as a class or an object.

    Args:
        source: An id, ``module:Id``, ``module:Class``, a subclass of ``gymnasium.Env``, or an environment, of which
            every episode is played in a copy.

    Raises:
        DataError: If the source is not an environment.
    """
    if isinstance(source, type) and issubclass(source, gymnasium.Env):
        return _register(source.__name__, source)
    if isinstance(source, gymnasium.Env):
        return _register(type(source.unwrapped).__name__, lambda: copy.deepcopy(source))
    if not isinstance(source, str):
        raise UsageError(
            f"an agent learns in an environment: give its id, class or object; received a {type(source).__name__}"
        )
    path, _, kind = source.partition(":")
    if path.endswith(".py"):
        module = ".".join(Path(path).with_suffix("").parts)
        raise UsageError(
            f"an environment of your own is named as MODULE:CLASS, without .py: {module}:{kind or 'CLASS'}",
            where=source,
        )
    if ":" not in source and source not in gymnasium.registry and (Path(source).exists() or source in BUNDLED):
        raise describe_wrong_source("table", source)
    return source


def describe_code(environment: gymnasium.Env, source: Any) -> list[str]:
    """Return what tells environments of one name apart: the code of its classes and, of an object, its digest.

    The code of Gymnasium is left out, since its version is known. An object that cannot be pickled, or whose pickle
    depends on the process as that of a set of texts, has another digest each time.
    """
    code = [_describe_class(kind) for kind in _list_classes(environment, source)]
    return [*code, _digest_object(source)] if isinstance(source, gymnasium.Env) else code


def describe_content(environment: gymnasium.Env, source: Any) -> str:
    """Return in words what tells environments of one name apart; see :func:`describe_code`."""
    version = f"the version of Gymnasium (now {gymnasium.__version__})"
    classes = _list_classes(environment, source)
    if not classes:
        return version
    files: list[str] = []
    for kind in classes:
        with contextlib.suppress(OSError, TypeError, ValueError):  # no file, or one on another drive
            files.append(os.path.relpath(inspect.getfile(kind)))
    place = f" in {join_first(list(dict.fromkeys(files)))}" if files else ""
    attributes = " or its attributes" if isinstance(source, gymnasium.Env) else ""
    return f"the code of its environment{place}{attributes} or {version}"


def _list_classes(environment: gymnasium.Env, source: Any) -> list[type]:
    """Return the classes whose code an environment consists of, without those of Gymnasium."""
    outermost = source if isinstance(source, gymnasium.Env) else environment.unwrapped
    classes = [kind for layer in _list_layers(outermost) for kind in layer.__mro__]
    return [kind for kind in dict.fromkeys(classes) if kind.__module__.split(".")[0] not in GIVEN]


def _list_layers(environment: Any) -> list[type]:
    """Return the classes of an environment and of what it wraps."""
    layers = [type(environment)]
    while isinstance(environment, gymnasium.Wrapper):
        environment = environment.env
        layers.append(type(environment))
    return layers


def _describe_class(kind: type) -> str:
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):  # typed into an interpreter or a notebook
        methods = {name: value.__code__ for name, value in vars(kind).items() if inspect.isfunction(value)}
        return repr({name: marshal.dumps(code) for name, code in sorted(methods.items())})


def _digest_object(source: gymnasium.Env) -> str:
    try:
        copied = copy.deepcopy(source)
        copied.unwrapped._np_random = None  # the state of a random generator, which each episode seeds again
        content = pickle.dumps(copied)
    except Exception:  # whatever its attributes raise
        content = uuid.uuid4().bytes
    return hashlib.sha256(content).hexdigest()


def _register(name: str, entry_point: Any) -> str:
    """Register an environment in a namespace of its own, as in a notebook whose cell runs again; return its id."""
    gymnasium.registry.pop(OWN + name, None)
    gymnasium.register(OWN + name, entry_point)
    return OWN + name


def list_classes(name: str) -> list[str]:
    """Return the environments that are classes of the module in ``module:Name``, by names of this form."""
    module = name.rpartition(":")[0]
    if not module:
        return []
    values = vars(importlib.import_module(module)).items()
    kinds = {key: value for key, value in values if isinstance(value, type) and issubclass(value, gymnasium.Env)}
    return [f"{module}:{key}" for key, kind in kinds.items() if kind.__module__.split(".")[0] not in GIVEN]


def find_id(name: str) -> str:
    """Return the id by which Gymnasium makes an environment; the class of ``module:Class`` is registered."""
    module, _, class_name = name.rpartition(":")
    if not module:
        return name
    imported = importlib.import_module(module)
    if class_name in gymnasium.registry or not isinstance(getattr(imported, class_name, None), type):
        return name
    id_ = f"{OWN}{module}.{class_name}"
    if id_ not in gymnasium.registry:
        gymnasium.register(id_, name)
    return id_
