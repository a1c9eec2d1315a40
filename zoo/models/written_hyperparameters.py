"""The hyperparameters of models as their docstrings describe them, before anything is built."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from zoo.errors import UsageError
from zoo.models.shared_hyperparameters import KNOBS
from zoo.registry import match_entries

_ENTRY = re.compile(r"^\s+(\w+): (.+)$")


def parse_meanings(build: Callable[..., Any]) -> dict[str, str]:
    """Return the meaning of each hyperparameter from the ``Hyperparameters:`` section of a docstring."""
    lines = (inspect.getdoc(build) or "").split("\n")
    if "Hyperparameters:" not in lines:
        return {}
    meanings = {}
    for line in lines[lines.index("Hyperparameters:") + 1 :]:
        entry = _ENTRY.match(line)
        if entry:
            meanings[entry[1]] = entry[2]
        elif line and not line.startswith(" "):
            break
    return meanings


def refuse_hyperparameters(options: Mapping[str, Any], models: Iterable[Any]) -> None:
    """Refuse options that are hyperparameters, and say how these are given.

    Args:
        options: Values by name, which are no options of the task.
        models: The models of the job; names of the catalogue, patterns, or a user's own.

    Raises:
        UsageError: If a name is one of a hyperparameter, or a value has several by name.
    """
    if not options:
        return
    names = set(KNOBS)
    for model in models:
        if isinstance(model, str):
            for entry in match_entries(model):
                names |= set(parse_meanings(entry.load_build()))
    for option, value in options.items():
        hyperparameters = value if isinstance(value, Mapping) and value else {option: value}
        if set(hyperparameters) <= names:
            python = json.dumps(dict(hyperparameters), default=str)
            words = " ".join(f"--set {name}={each}" for name, each in hyperparameters.items())
            raise UsageError(
                f"unknown option {option!r}; hyperparameters are given as hyperparameters={python}, "
                f"or {words} on the command line",
                where="hyperparameters",
            )
