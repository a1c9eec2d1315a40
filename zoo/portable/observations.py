"""Observations of an environment as it returns them, and as the vector of numbers that an agent sees.

The vector is that of ``gymnasium.spaces.flatten``: integers become one-hot vectors, and the parts of a tuple or dict
follow each other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

Space = Mapping[str, Any]


def encode_observation(value: Any, space: Space) -> np.ndarray:
    """Return an observation (any nesting) as a vector of numbers (F,), float32.

    Args:
        value: The observation as the environment returns it, with lists as good as tuples and arrays.
        space: Its space in plain values: numbers of a ``shape``; integers of a ``shape``, each one of ``n`` from
            ``start`` on; or a ``tuple`` or ``dict`` of ``parts``, the latter with ``keys``.

    Raises:
        ValueError: If the value does not belong to the space.

    Example:
        >>> space = {"kind": "tuple", "parts": [{"kind": "integers", "shape": [], "n": [3], "start": [0]},
        ...                                     {"kind": "numbers", "shape": [2]}]}
        >>> encode_observation((2, [0.5, 1.0]), space).tolist()
        [0.0, 0.0, 1.0, 0.5, 1.0]
    """
    if space["kind"] == "numbers":
        return _read_numbers(value, space).reshape(-1).astype(np.float32)
    if space["kind"] == "integers":
        return _encode_integers(read_integers(value, space), space)
    parts = _split_parts(value, space)
    flat = [encode_observation(part, each) for part, each in zip(parts, space["parts"], strict=True)]
    return np.concatenate([np.empty(0, np.float32), *flat])


def read_integers(value: Any, space: Space) -> np.ndarray:
    """Return integers of a space (S,), int64, for a value of its shape.

    Raises:
        ValueError: If one is not an integer, or lies outside the space.
    """
    numbers = _read_numbers(value, space).reshape(-1)
    for number, n, start in zip(numbers.tolist(), space["n"], space["start"], strict=True):
        if number != math.floor(number) or not start <= number < start + n:
            raise ValueError(f"expected an integer from {start} to {start + n - 1}; received {number:g}")
    return numbers.astype(np.int64)


def count_numbers(space: Space, *, one_hot: bool) -> int:
    """Return how many numbers an observation has, with each integer as one number or as a one-hot vector."""
    if space["kind"] == "integers" and one_hot:
        return int(sum(space["n"]))
    if space["kind"] in ("numbers", "integers"):
        return math.prod(space["shape"])
    return sum(count_numbers(part, one_hot=one_hot) for part in space["parts"])


def read_observation(value: Any, space: Space) -> np.ndarray:
    """Return an observation as a vector of numbers (F,), float32.

    Args:
        value: The observation as the environment returns it, as JSON text of that, as the list of its numbers, or as
            the vector itself.
        space: Its space, as of :func:`encode_observation`.

    Raises:
        ValueError: If it has none of these forms, or lies outside the space.
    """
    if isinstance(value, str):
        value = _parse(value)
    try:
        return encode_observation(value, space)
    except ValueError:
        numbers = _list_numbers(value)
        if (
            numbers is not None
            and len(numbers) == count_numbers(space, one_hot=True)
            and _is_encoding(numbers, space)[0]
        ):
            return np.array(numbers, np.float32)
        if numbers is not None and len(numbers) == count_numbers(space, one_hot=False):
            return encode_observation(_nest(numbers, space)[0], space)
        raise


def join_columns(columns: Mapping[str, Any], name: str, space: Space) -> list[Any] | None:
    """Return N observations from columns of their parts; None if there are no such columns.

    Args:
        columns: N cells by column: one for each key of a dict, or ``name_0``, ``name_1``, … for each number.
        name: Name of the observation.
        space: Its space, as of :func:`encode_observation`.

    Example:
        >>> join_columns({"o_0": [2], "o_1": [0.5]}, "o", {"kind": "tuple", "parts": [
        ...     {"kind": "integers", "shape": [], "n": [3], "start": [0]}, {"kind": "numbers", "shape": []}]})
        [[2, 0.5]]
    """
    if space["kind"] == "dict" and all(key in columns for key in space["keys"]):
        rows = zip(*(columns[key] for key in space["keys"]), strict=True)
        return [dict(zip(space["keys"], cells, strict=True)) for cells in rows]
    count = count_numbers(space, one_hot=False)
    names = [f"{name}_{index}" for index in range(count)]
    if not names or f"{name}_{count}" in columns or not all(each in columns for each in names):
        return None
    return [list(cells) for cells in zip(*(columns[each] for each in names), strict=True)]


def describe_space(space: Space) -> str:
    """Return the form of an observation in words.

    Example:
        >>> describe_space({"kind": "dict", "keys": ["goal"], "parts": [{"kind": "numbers", "shape": [2]}]})
        '{goal: numbers of shape (2,)}'
    """
    if space["kind"] in ("tuple", "dict"):
        parts = [describe_space(part) for part in space["parts"]]
        if space["kind"] == "tuple":
            return f"({', '.join(parts)})"
        return "{" + ", ".join(f"{key}: {part}" for key, part in zip(space["keys"], parts, strict=True)) + "}"
    if not space["shape"] and space["kind"] == "integers":
        return f"an integer from {space['start'][0]} to {space['start'][0] + space['n'][0] - 1}"
    return f"{space['kind']} of shape {tuple(space['shape'])}" if space["shape"] else "a number"


def _read_numbers(value: Any, space: Space) -> np.ndarray:
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError):  # texts, a dict, lists of different lengths
        raise ValueError(f"expected {describe_space(space)}; received {shorten_value(value)}") from None
    shape = tuple(space["shape"])
    if numbers.shape != shape:
        received = f"shape {numbers.shape}" if numbers.shape else shorten_value(value)
        finite = "finite " if space["kind"] == "numbers" and shape else ""
        raise ValueError(f"expected {finite}{describe_space(space)}; received {received}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"expected finite numbers; received {shorten_value(value)}")
    return numbers


def _encode_integers(values: np.ndarray, space: Space) -> np.ndarray:
    flat = np.zeros(sum(space["n"]), np.float32)
    flat[np.cumsum([0, *space["n"]])[:-1] + values - np.array(space["start"])] = 1.0
    return flat


def _split_parts(value: Any, space: Space) -> list[Any]:
    if space["kind"] == "dict":
        if not isinstance(value, Mapping):
            raise ValueError(f"expected {describe_space(space)}; received {shorten_value(value)}")
        value = {str(key): part for key, part in value.items()}
        missing = [key for key in space["keys"] if key not in value]
        if missing:
            raise ValueError(f"expected {describe_space(space)}; {missing[0]!r} is missing")
        return [value[key] for key in space["keys"]]
    count = len(space["parts"])
    if not isinstance(value, (list, tuple, np.ndarray)) or np.ndim(value if isinstance(value, np.ndarray) else 1) > 2:
        raise ValueError(f"expected {describe_space(space)}; received {shorten_value(value)}")
    if len(value) != count:
        raise ValueError(f"expected {describe_space(space)}; received {len(value)} parts, not {count}")
    return list(value)


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"expected an observation in JSON, such as [0.5, 1]; received {text[:40]!r}") from None


def _list_numbers(value: Any) -> list[float] | None:
    """Return a flat list of numbers as it is; None for any other value."""
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return None
    return numbers.tolist() if numbers.ndim == 1 and np.isfinite(numbers).all() else None


def _nest(numbers: list[float], space: Space) -> tuple[Any, list[float]]:
    """Return an observation made of the first numbers, and the numbers that are left."""
    if space["kind"] in ("numbers", "integers"):
        count = math.prod(space["shape"])
        return np.reshape(numbers[:count], space["shape"]), numbers[count:]
    parts = []
    for part in space["parts"]:
        value, numbers = _nest(numbers, part)
        parts.append(value)
    return (dict(zip(space["keys"], parts, strict=True)) if space["kind"] == "dict" else parts), numbers


def _is_encoding(numbers: list[float], space: Space) -> tuple[bool, list[float]]:
    """Return whether the first numbers are a vector of the space, with one 1 for each integer, and those left."""
    if space["kind"] == "numbers":
        return True, numbers[math.prod(space["shape"]) :]
    if space["kind"] == "integers":
        valid = True
        for n in space["n"]:
            valid = valid and sorted(numbers[:n]) == [0.0] * (n - 1) + [1.0]
            numbers = numbers[n:]
        return valid, numbers
    valid = True
    for part in space["parts"]:
        part_valid, numbers = _is_encoding(numbers, part)
        valid = valid and part_valid
    return valid, numbers


def shorten_value(value: Any) -> str:
    """Return a value for an error message, at most 60 characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
