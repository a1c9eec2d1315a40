"""Hyperparameters that an agent is known to need for an environment, in place of its defaults."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from zoo.spec import Spec

FILE = Path(__file__).with_name("settings.yaml")
SETTINGS = "settings"  # key of the spec's options


def find_settings(environment: str) -> Mapping[str, Any]:
    """Return the settings known for an environment, by model: ``source`` and ``hyperparameters``.

    Example:
        >>> find_settings("LunarLander-v3")["rl/ppo"]["source"]
        'RL Zoo, hyperparams/ppo.yml'
    """
    return {entry["model"]: entry for entry in _read() if entry["environment"] == environment}


@cache
def _read() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return entries


def apply_settings(hp: Any, spec: Spec, model: str) -> Any:
    """Return the hyperparameters with the defaults that the spec's environment is known to need.

    Args:
        hp: KerasTuner's hyperparameters.
        spec: Spec of an environment.
        model: Name of the model, such as ``rl/ppo``.
    """
    settings = spec.options.get(SETTINGS, {}).get(model)
    return _Defaults(hp, settings["hyperparameters"]) if settings else hp


def describe_settings(
    settings: Mapping[str, Any], environment: str, model: str, chosen: Collection[str] = ()
) -> tuple[str, ...]:
    """Return a note for the user of the hyperparameters that replace a model's defaults; none if there are none.

    Args:
        settings: What :func:`find_settings` returned.
        environment: Environment id.
        model: Name of the model.
        chosen: Names of the hyperparameters that the user chose, which are not replaced.
    """
    values = ", ".join(
        f"{name} {value}"
        for name, value in settings.get(model, {}).get("hyperparameters", {}).items()
        if name not in chosen
    )
    if not values:
        return ()
    return (f"{model} takes other defaults for {environment}: {values} ({settings[model]['source']})",)


class _Defaults:
    """KerasTuner's hyperparameters with other defaults."""

    def __init__(self, hp: Any, defaults: Mapping[str, Any]) -> None:
        self._hp, self._defaults = hp, defaults

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._hp, name)
        if name == "Fixed":
            return lambda key, value, **options: method(key, self._defaults.get(key, value), **options)
        if name in ("Int", "Float", "Boolean", "Choice"):
            return lambda key, *values, default=None, **options: method(
                key, *values, default=self._defaults.get(key, default), **options
            )
        return method
