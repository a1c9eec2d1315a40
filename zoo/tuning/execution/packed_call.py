"""Transfer of a function and its payload from the driver to a process: through a file, by name or by value."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import operator
import os
import pickle
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from zoo.errors import JobError, UsageError

_LIMIT_BYTES = 64 * 1024**2
_PICKLING_ERRORS = (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError)


def write_call(folder: Path, key: str, content: bytes) -> Path:
    """Write a packed call to a new file in ``folder`` and return its path.

    Args:
        folder: Where the file goes.
        key: Name of the call, with which the file's name begins.
        content: What `pack_call` returned.

    Raises:
        JobError: The file cannot be written.
    """
    name = re.sub(r"[^\w.=-]+", "_", key)[:80]
    try:
        descriptor, path = tempfile.mkstemp(prefix=f"{name}-", suffix=".call", dir=folder)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
        except OSError:
            os.unlink(path)
            raise
    except OSError as error:
        raise JobError(f"the call cannot be written: {error}", where=str(folder)) from error
    return Path(path)


def read_call(path: Path) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return function and payload from the file that `write_call` wrote, and remove it."""
    head, _, pickled = path.read_bytes().partition(b"\n")
    path.unlink()
    call = json.loads(head)
    if call["function"] is not None:
        module, _, name = call["function"].partition(":")
        call["function"] = operator.attrgetter(name)(importlib.import_module(module))
    if pickled:
        call |= pickle.loads(pickled)  # noqa: S301  only the driver's user can write that file
    return call["function"], call["payload"]


def pack_call(function: Callable[..., Any], payload: dict[str, Any]) -> bytes:
    """Return function and payload as bytes.

    Args:
        function: Sent by name if a fresh interpreter can import it, else by value.
        payload: Sent as JSON if it is plain JSON, else pickled.

    Raises:
        UsageError: Function or payload cannot be pickled, or are too large.
    """
    head = {"function": _import_path(function), "payload": payload if _is_json(payload) else None}
    by_value: dict[str, Any] = {}
    if head["function"] is None:
        by_value["function"] = function
    if head["payload"] is None:
        by_value["payload"] = payload
    content = json.dumps(head).encode() + b"\n"
    if by_value:
        sink = _Sink()
        try:
            with _by_value([function, *payload.values()]):
                sink.pickle(by_value)
        except _PICKLING_ERRORS as error:
            raise UsageError(f"cannot be sent to a process: {error}", where=_name(function)) from error
        content += sink.content()
    if len(content) > _LIMIT_BYTES:
        raise _too_large(function, payload)
    return content


def _is_json(value: Any) -> bool:
    """Return whether a value is unchanged after a round trip through JSON; a tuple, for example, becomes a list."""
    if isinstance(value, dict):
        return type(value) is dict and all(type(k) is str and _is_json(v) for k, v in value.items())
    if isinstance(value, list):
        return type(value) is list and all(map(_is_json, value))
    return value is None or type(value) in (str, int, float, bool)


# --- by name ---


def _import_path(function: Callable[..., Any]) -> str | None:
    """Return ``module:name`` for a function that a fresh interpreter can import, else None."""
    module = str(getattr(function, "__module__", ""))
    name = getattr(function, "__qualname__", "")
    if not _importable(module):
        return None
    try:
        target = operator.attrgetter(name)(sys.modules[module])
    except AttributeError:  # defined in another function ("<locals>"), or its name was rebound
        return None
    return f"{module}:{name}" if target is function else None


def _importable(module: str) -> bool:
    """Return whether a fresh interpreter with this ``sys.path`` finds the module's package in the same place."""
    if module == "__main__" or module not in sys.modules:
        return False
    top = module.partition(".")[0]
    # Ask the finders themselves, because importlib.util.find_spec trusts sys.modules.
    spec = next((spec for finder in sys.meta_path if (spec := finder.find_spec(top, None))), None)
    file = getattr(sys.modules.get(top), "__file__", None)
    return spec is not None and spec.origin in ("built-in", "frozen", file)


# --- by value ---


class _TooLargeError(Exception):
    """The size limit is reached: the rest need not be copied."""


class _Sink:
    """Collects a pickle up to the size limit; a ``size`` above the limit means that there was more."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[bytes] = []

    def pickle(self, value: Any) -> None:
        import cloudpickle  # imported here, because a call that is sent by name does not need it

        with contextlib.suppress(_TooLargeError):
            cloudpickle.dump(value, self)

    def write(self, data: Any) -> None:
        self.size += memoryview(data).nbytes
        self._parts.append(bytes(data))
        if self.size > _LIMIT_BYTES:
            raise _TooLargeError

    def content(self) -> bytes:
        return b"".join(self._parts)


@contextlib.contextmanager
def _by_value(values: Iterable[Any]) -> Iterator[None]:
    """Pickle by value also what is defined in a module that a fresh interpreter cannot import."""
    import cloudpickle

    names = {str(getattr(value, "__module__", "")) for value in values}
    registered = {"__main__", *cloudpickle.list_registry_pickle_by_value()}  # already pickled by value
    modules = [sys.modules[name] for name in names - registered if name in sys.modules and not _importable(name)]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


# --- reporting what is too large ---


def _too_large(function: Callable[..., Any], payload: dict[str, Any]) -> UsageError:
    parts = {f"payload[{key!r}]": value for key, value in payload.items()}
    if _import_path(function) is None:
        parts[_name(function)] = function
    return UsageError(
        f"a call is larger than {_LIMIT_BYTES >> 20} MiB, mostly because of {_largest(parts, set())}; save that to a "
        "file and read it in the function",
        where=_name(function),
    )


def _largest(parts: dict[str, Any], seen: set[int]) -> str:
    """Return the name of the largest part; for a function, also the largest object that it refers to."""
    sizes = {}
    for name, value in parts.items():
        sink = _Sink()
        with contextlib.suppress(*_PICKLING_ERRORS):
            sink.pickle(value)
        sizes[name] = sink.size
    name = max(sizes, key=sizes.__getitem__)
    seen.add(id(parts[name]))
    inner = {key: value for key, value in _taken_along(parts[name]).items() if id(value) not in seen}
    return f"{name}, in its {_largest(inner, seen)}" if inner else name


def _taken_along(value: Any) -> dict[str, Any]:
    """Return what is pickled with a function that is sent by value: globals, closure and defaults."""
    if not isinstance(value, FunctionType) or _import_path(value) is not None:
        return {}
    names = _names(value.__code__)
    taken = {f"global {name!r}": v for name, v in value.__globals__.items() if name in names}
    for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # an unset variable
            taken[f"variable {name!r}"] = cell.cell_contents
    for name, parameter in inspect.signature(value).parameters.items():
        if parameter.default is not parameter.empty:
            taken[f"default of {name!r}"] = parameter.default
    return taken


def _names(code: CodeType) -> set[str]:
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
