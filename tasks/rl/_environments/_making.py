"""Gymnasium environments, created by id and checked, with clear error messages."""

from __future__ import annotations

import importlib.util
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import error, spaces

from zoo.errors import UsageError, describe_unknown, find_nearest_name, join_first, shorten_error
from zoo.preprocessing.observations import OBSERVATION
from zoo.spec import ObservationInput

from .._actions import JoinedActions
from ._checks import add_checks, describe_space
from ._naming import find_id, list_classes

MOST_NUMBERS = 100_000
# Episodes are truncated after this many steps if the environment sets no limit, since a policy may never finish.
MOST_STEPS = 1_000
# The packages that Gymnasium says are missing, as it names them, and what installs each.
_INSTALLED_BY = {
    "Box2D": ("box2d", "keras-task-zoo[box2d]"),
    "MuJoCo": ("mujoco", "gymnasium[mujoco]"),
    "pygame": ("pygame", "keras-task-zoo[video]"),
}
# Packages that register a namespace, the text before a slash in an id, if their name differs from it.
_PACKAGES = {"ALE": "ale-py"}
# Names of baselines become parts of the names of runs and metrics.
_BASELINE_NAME = re.compile(r"(?!random$|always_)[a-z][a-z0-9_]*")

# Environments of zoo's own; the module is imported when one is made.
if "TrafficLight-v0" not in gymnasium.registry:
    gymnasium.register("TrafficLight-v0", "zoo.tasks.rl._crossing:TrafficLight")


def make_environment(name: str, options: Mapping[str, Any]) -> gymnasium.Env:
    """Return an environment whose observations are a vector of numbers or one integer.

    Several discrete actions at once are joined to one, whose values are their combinations.

    Args:
        name: Environment id, such as ``CartPole-v1``, or ``module:Id`` or ``module:Class`` of a module.
        options: Keyword arguments of the environment; ``max_episode_steps`` limits an episode, by default to the
            environment's own limit, or to 1,000 steps if it has none.

    Raises:
        UsageError: If the environment is unknown (with the closest id), its package is missing (with what to install),
            it does not accept an option, its constructor raises, or its spaces are not supported.
    """
    try:
        environment = gymnasium.make(
            find_id(name), **{"disable_env_checker": True, **options}
        )  # the checks here replace it
    except error.DependencyNotInstalled as error_:
        raise UsageError(f"the environment needs a package: {explain_missing_package(error_)}", where=name) from None
    except error.NamespaceNotFound:
        raise UsageError(_explain_missing_namespace(name), where=name) from None
    except (error.UnregisteredEnv, error.DeprecatedEnv) as error_:
        classes = list_classes(name)
        near = find_nearest_name(name, [*gymnasium.registry, *classes])
        message_ = str(error_).partition(" Did you mean")[0].rstrip(".")
        message_ += f"; its module has {join_first(classes)}" if classes else ""
        raise UsageError(f"no such environment: {message_}", where=name, nearest=near) from None
    except ModuleNotFoundError as error_:
        raise UsageError(_explain_missing_module(name, error_), where=name) from None
    except error.Error as error_:
        raise UsageError(f"cannot make the environment: {error_}", where=name) from None
    except Exception as error_:  # whatever the environment's constructor raises
        valid = _list_options(name)
        for option in options if valid else ():
            if option not in valid:
                raise describe_unknown("option", option, valid, where="env") from None
        message_ = f"{type(error_).__name__}: {shorten_error(error_)}"
        if options:
            raise UsageError(f"the environment does not take these options: {message_}", where="env") from error_
        raise UsageError(f"the environment's constructor raised {message_}", where=name) from error_
    environment = add_checks(environment, name)
    if environment.spec is None or environment.spec.max_episode_steps is None:
        environment = gymnasium.wrappers.TimeLimit(environment, MOST_STEPS)
    space = environment.observation_space
    if not (isinstance(space, spaces.Discrete) or (isinstance(space, spaces.Box) and len(space.shape) == 1)):
        environment = gymnasium.wrappers.FlattenObservation(environment)
    if isinstance(environment.action_space, (spaces.MultiDiscrete, spaces.MultiBinary)):
        environment = JoinedActions(environment, name)
    return environment


def explain_missing_package(error_: error.DependencyNotInstalled) -> str:
    """Return which package is missing and what installs it, with the extra of zoo where there is one.

    Example:
        >>> explain_missing_package(error.DependencyNotInstalled("pygame is not installed, run …"))
        'pygame is not installed; run pip install "keras-task-zoo[video]"'
    """
    message = str(error_)
    name = message.partition(" is not installed")[0]
    if name not in _INSTALLED_BY:
        return message
    package, requirement = _INSTALLED_BY[name]
    return f'{package} is not installed; run pip install "{requirement}"'


def _list_options(name: str) -> list[str]:
    """Return the keyword arguments of an environment; empty if it takes any."""
    creator: Any = gymnasium.spec(find_id(name).rpartition(":")[2]).entry_point
    if isinstance(creator, str):
        creator = gymnasium.envs.registration.load_env_creator(creator)
    parameters = inspect.signature(creator).parameters if creator is not None else {}
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return []
    return [*parameters, "max_episode_steps"]


def _find_module(name: str) -> str:
    """Return the module of an environment: that of its name, or of what was registered by this name."""
    entry_point = getattr(gymnasium.registry.get(name), "entry_point", "")
    return name.rpartition(":")[0] or str(entry_point).rpartition(":")[0]


def _explain_missing_module(name: str, error_: ModuleNotFoundError) -> str:
    module, package = _find_module(name), _PACKAGES.get(_find_namespace(name))
    if error_.name is not None and module.split(".")[0] != error_.name.split(".")[0]:
        return f"the environment's module {module} imports {error_.name}, which is not installed"
    if package is not None:
        return f'{package} is not installed; run pip install "{package}"'
    return f"the environment's module is missing: {error_}; it is looked up in the working folder too"


def _explain_missing_namespace(name: str) -> str:
    space = _find_namespace(name)
    package = _PACKAGES.get(space)
    if package is None:
        advice = f"install it, then MODULE:{name}, with its module"
        return f"environments named {space}/… come with a package that is not imported; {advice}"
    module = package.replace("-", "_")
    if importlib.util.find_spec(module) is None:
        return f'{package} is not installed; run pip install "{package}", and name the environment {module}:{name}'
    return f"environments named {space}/… come with {package}, which is imported by the name {module}:{name}"


def _find_namespace(name: str) -> str:
    return name.rpartition(":")[2].partition("/")[0]


def describe_observations(environment: gymnasium.Env, name: str) -> ObservationInput:
    """Return the input that represents an environment's observations.

    Raises:
        UsageError: If an observation is not made of numbers, or of too many.
    """
    space = environment.observation_space
    if isinstance(space, spaces.Discrete):
        return ObservationInput(OBSERVATION, OBSERVATION, n=int(space.n), start=int(space.start))
    size = int(np.prod(space.shape or (0,)))
    if size > MOST_NUMBERS:
        raise UsageError(
            f"its observations have {size:,} numbers, as large images have; agents here see at most {MOST_NUMBERS:,}",
            where=name,
        )
    assert isinstance(space, spaces.Box)
    low, high = (
        tuple(float(bound) if np.isfinite(bound) else None for bound in bounds) for bounds in (space.low, space.high)
    )
    own_space = describe_space(_find_own_space(environment), name)
    plain = own_space["kind"] == "numbers" and len(own_space["shape"]) == 1
    return ObservationInput(
        OBSERVATION, OBSERVATION, shape=(size,), low=low, high=high, space=None if plain else own_space
    )


def _find_own_space(environment: gymnasium.Env) -> gymnasium.Space:
    while isinstance(environment, (gymnasium.wrappers.FlattenObservation, JoinedActions)):
        environment = environment.env
    return environment.observation_space


def get_baseline_policies(environment: gymnasium.Env, name: str) -> Mapping[str, Callable[[], Any]]:
    """Return what an environment's method ``baseline_policies`` returns, nothing if it has none.

    Such a method returns, by the name of each baseline, a function without arguments that creates a policy: a function
    from observations (B, …), flattened as agents see them, to the B actions. One policy plays B episodes, each in a row
    of its own, from the first to the last step, and the next B are played by another one; it may thus have a state.

    Raises:
        UsageError: If the method raises, or returns something else.
    """
    method = getattr(environment.unwrapped, "baseline_policies", None)
    if method is None:
        return {}
    try:
        policies = method()
    except Exception as error_:
        message = f"its baseline_policies() raised {type(error_).__name__}: {shorten_error(error_)}"
        raise UsageError(message, where=name) from error_
    if not isinstance(policies, Mapping) or not all(map(callable, policies.values())):
        raise UsageError("its baseline_policies() must return a dict of names and functions", where=name)
    for key in policies:
        if not isinstance(key, str) or not _BASELINE_NAME.fullmatch(key):
            expected = "lower-case letters, digits and _, and neither random nor always_…"
            raise UsageError(f"its baseline_policies() has the name {key!r}; expected {expected}", where=name)
    return policies


def find_added_limit(name: str, options: Mapping[str, Any]) -> int | None:
    """Return the number of steps after which episodes are truncated because the environment sets no limit, or None."""
    limit = gymnasium.spec(find_id(name).rpartition(":")[2]).max_episode_steps
    return MOST_STEPS if limit is None and "max_episode_steps" not in options else None


def find_threshold(name: str, solved: str | float | None) -> float | None:
    """Return the mean return at which an environment counts as solved, or None if it has no threshold."""
    if isinstance(solved, float):
        return solved
    id_ = find_id(name).rpartition(":")[2]  # gymnasium.spec imports no module
    threshold = gymnasium.spec(id_).reward_threshold
    return float(threshold) if threshold is not None else None
