"""Names of environments: ids, classes of a module, and classes and objects, which are registered."""

from __future__ import annotations

import copy
import hashlib
import importlib
import inspect
import pickle
import uuid
from pathlib import Path
from typing import Any

import gymnasium

from zoo.data.source_errors import describe_wrong_source
from zoo.data.sources.bundled import BUNDLED
from zoo.errors import UsageError

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
    if ":" not in source and source not in gymnasium.registry and (Path(source).exists() or source in BUNDLED):
        raise describe_wrong_source("table", source)
    return source


def describe_code(environment: gymnasium.Env, source: Any) -> list[str]:
    """Return what tells environments of one name apart: the code of the class and, of an object, its digest.

    Empty for environments of Gymnasium, which its version tells apart. An object that cannot be pickled has another
    digest each time.
    """
    kind = type(environment.unwrapped)
    if kind.__module__.partition(".")[0] == "gymnasium":
        return []
    try:
        code = inspect.getsource(kind)
    except (OSError, TypeError):  # typed into an interpreter
        code = ""
    if not isinstance(source, gymnasium.Env):
        return [code]
    try:
        content = pickle.dumps(source)
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError):
        content = uuid.uuid4().bytes
    return [code, hashlib.sha256(content).hexdigest()]


def _register(name: str, entry_point: Any) -> str:
    """Register an environment in a namespace of its own, as in a notebook whose cell runs again; return its id."""
    gymnasium.registry.pop(OWN + name, None)
    gymnasium.register(OWN + name, entry_point)
    return OWN + name


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
