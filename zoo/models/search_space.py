"""Hyperparameters with fixed values and ranges, checked when ``build`` declares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner

from zoo.errors import UsageError, describe_unknown, shorten_value
from zoo.jobs.search_options import Range

MOST_FLOAT = 3e38  # networks compute in 32-bit float
_PARENT = ("parent_name", "parent_values")
# Arguments that KerasTuner also accepts by position.
_POSITIONAL = {
    "Int": ("step", "sampling", "default", *_PARENT),
    "Float": ("step", "sampling", "default", *_PARENT),
    "Choice": ("ordered", "default", *_PARENT),
    "Boolean": ("default", *_PARENT),
    "Fixed": _PARENT,
}


class CheckedHyperParameters(keras_tuner.HyperParameters):
    """KerasTuner's hyperparameters with fixed values, which are checked when declared.

    Ranges define the search space, not the allowed values: a fixed value may lie outside of them. An unknown name, a
    wrong type, an unknown choice or a negative width is an error.

    Args:
        fixed: Fixed values by name.
        ranges: Ranges of a search by name, which replace the declared ones.

    Example:
        >>> hp = CheckedHyperParameters({"units": "3"})
        >>> hp.Int("units", 16, 512, default=64)
        3
    """

    def __init__(self, fixed: Mapping[str, Any] | None = None, ranges: Mapping[str, Range] | None = None) -> None:
        super().__init__()
        self.fixed = dict(fixed or {})
        self.ranges = dict(ranges or {})
        self.declared: dict[str, dict[str, Any]] = {}

    def Int(self, name: str, min_value: int, max_value: int, *positional: Any, **options: Any) -> Any:  # noqa: N802
        """Declare an integer; see ``keras_tuner.HyperParameters.Int``."""
        options |= dict(zip(_POSITIONAL["Int"], positional, strict=False))
        self._declare(name, "int", options, min_value=min_value, max_value=max_value)
        if name in self.fixed:
            return self._fix(name, check_value(name, self.fixed[name], int, minimum=min(min_value, 1)))
        if name in self.ranges:
            return self._within(name, int, options, minimum=min(min_value, 1))
        return super().Int(name, min_value, max_value, **options)

    def Float(self, name: str, min_value: float, max_value: float, *positional: Any, **options: Any) -> Any:  # noqa: N802
        """Declare a number; see ``keras_tuner.HyperParameters.Float``."""
        options |= dict(zip(_POSITIONAL["Float"], positional, strict=False))
        self._declare(name, "float", options, min_value=min_value, max_value=max_value)
        if name in self.fixed:
            return self._fix(name, check_value(name, self.fixed[name], float, minimum=0 if min_value >= 0 else None))
        if name in self.ranges:
            return self._within(name, float, options, minimum=0 if min_value >= 0 else None)
        return super().Float(name, min_value, max_value, **options)

    def Choice(self, name: str, values: Sequence[Any], *positional: Any, **options: Any) -> Any:  # noqa: N802
        """Declare one of several values; see ``keras_tuner.HyperParameters.Choice``."""
        options |= dict(zip(_POSITIONAL["Choice"], positional, strict=False))
        self._declare(name, "choice", options, values=list(values))
        if name in self.fixed:
            return self._fix(name, check_value(name, self.fixed[name], type(values[0]), choices=values))
        if name in self.ranges:
            return self._among(name, type(values[0]), options, values)
        return super().Choice(name, values, **options)

    def Boolean(self, name: str, *positional: Any, **options: Any) -> Any:  # noqa: N802
        """Declare a Boolean; see ``keras_tuner.HyperParameters.Boolean``."""
        options |= dict(zip(_POSITIONAL["Boolean"], positional, strict=False))
        self._declare(name, "boolean", options)
        if name in self.fixed:
            return self._fix(name, check_value(name, self.fixed[name], bool))
        if name in self.ranges:
            raise UsageError(
                f"{name} is true or false and has no range; use --set {name}=true to fix it", where="range"
            )
        return super().Boolean(name, **options)

    def Fixed(self, name: str, value: Any, *positional: Any, **options: Any) -> Any:  # noqa: N802
        """Declare a value that a search does not vary; a fixed value or a range replaces it."""
        options |= dict(zip(_POSITIONAL["Fixed"], positional, strict=False))
        self._declare(name, "fixed", {"default": value, **options})
        if name in self.fixed:
            return self._fix(name, check_value(name, self.fixed[name], type(value)))
        if name in self.ranges and isinstance(value, (int, float)) and not isinstance(value, bool):
            return self._within(name, type(value), {"default": value, **options})
        if name in self.ranges:
            return self._among(name, type(value), {"default": value, **options})
        return super().Fixed(name, value, **options)

    def check_all_used(self, model: str) -> None:
        """Raise an error for a fixed value or a range that the model did not declare."""
        for name in (*self.fixed, *self.ranges):
            if name not in self.declared:
                raise describe_unknown("hyperparameter", name, self.declared, where=model)

    def _declare(self, name: str, kind: str, options: Mapping[str, Any], **facts: Any) -> None:
        self.declared.setdefault(name, {"kind": kind, **facts, **options})

    def _within(self, name: str, kind: type, options: Mapping[str, Any], minimum: float | None = None) -> Any:
        """Declare a number in the given range; the default is clipped to it."""
        range_, others = self.ranges[name], {key: options[key] for key in _PARENT if key in options}
        if range_.choices:
            return self._among(name, kind, options)
        low, high = (check_value(name, value, kind, minimum=minimum) for value in (range_.low, range_.high))
        declared_default = options.get("default")
        default = min(max(low if declared_default is None else declared_default, low), high)
        # Above a factor of ten, sample on a logarithmic scale.
        sampling = options.get("sampling") or ("log" if 0 < 10 * low < high else "linear")
        declare = super().Int if kind is int else super().Float
        return declare(name, low, high, sampling=sampling if low > 0 else "linear", default=default, **others)

    def _among(self, name: str, kind: type, options: Mapping[str, Any], allowed: Sequence[Any] = ()) -> Any:
        """Declare one of the given values."""
        range_, others = self.ranges[name], {key: options[key] for key in _PARENT if key in options}
        if not range_.choices:
            listed = "|".join(str(choice) for choice in allowed) or "a|b"
            raise UsageError(f"{name} is a choice and has no range; give choices such as {listed}", where="range")
        values = [check_value(name, value, kind, choices=allowed) for value in range_.choices]
        default = options.get("default")
        return super().Choice(name, values, default=default if default in values else values[0], **others)

    def _fix(self, name: str, value: Any) -> Any:
        self.values[name] = value
        return super().Fixed(name, value)


def count_searched(hp: keras_tuner.HyperParameters) -> int:
    """Return the number of hyperparameters that a search varies: those that are not fixed.

    Example:
        >>> hp = CheckedHyperParameters()
        >>> _ = hp.Int("units", 1, 8), hp.Fixed("layers", 2)
        >>> count_searched(hp)
        1
    """
    return len({entry.name for entry in hp.space if not isinstance(entry, keras_tuner.engine.hyperparameters.Fixed)})


def check_value(
    name: str,
    value: Any,
    kind: type,
    *,
    choices: Sequence[Any] = (),
    minimum: float | None = None,
    below: float | None = None,
) -> Any:
    """Return a hyperparameter's value in its type, parsed from text if necessary.

    Args:
        name: Name of the hyperparameter, for the error.
        value: The received value.
        kind: ``bool``, ``int``, ``float`` or ``str``.
        choices: Allowed values; empty for all.
        minimum: Minimum value.
        below: Upper bound, exclusive.

    Raises:
        UsageError: With the received value and the allowed ones.
    """
    typed, received = _typed(name, value, kind), shorten_value(value)
    if choices and typed not in choices:
        if kind is str:
            raise describe_unknown(f"value of {name}", str(typed), [str(choice) for choice in choices])
        allowed = ", ".join(str(choice) for choice in choices)
        raise UsageError(f"{name}: received {received}; known: {allowed}", where="hyperparameters")
    if minimum is not None and typed < minimum:
        raise UsageError(
            f"{name}: received {shorten_value(value)}; it must be at least {minimum:g}", where="hyperparameters"
        )
    if below is not None and typed >= below:
        raise UsageError(
            f"{name}: received {shorten_value(value)}; it must be below {below:g}", where="hyperparameters"
        )
    return typed


def _typed(name: str, value: Any, kind: type) -> Any:
    words = {bool: "true or false", int: "an integer", float: "a number of at most 3e38", str: "text"}
    error = UsageError(f"{name}: received {shorten_value(value)}; it must be {words[kind]}", where="hyperparameters")
    if kind is bool:
        spelled = {"true": True, "yes": True, "false": False, "no": False}
        if isinstance(value, bool):
            return value
        if str(value).lower() in spelled:
            return spelled[str(value).lower()]
        raise error
    if isinstance(value, bool) and kind is not str:
        raise error
    try:
        if kind is int and float(value) != int(float(value)):
            raise error
        typed = kind(float(value)) if kind is int else kind(value)
    except (TypeError, ValueError, OverflowError):
        raise error from None
    if kind is float and not abs(typed) <= MOST_FLOAT:
        raise error
    return typed
