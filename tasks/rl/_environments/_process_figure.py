"""The figure of an environment's decision process, with the values of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.errors import DataError
from zoo.models.built_model import find_network
from zoo.preprocessing.observations import OBSERVATION
from zoo.spec import ObservationInput, Spec
from zoo.training.preprocessed_arrays import forward

from ._making import make_environment
from ._states import DecisionProcess, find_process

MOST_STATES = 100
VALUES = "values"  # layer whose output is the value of each action


def draw_process(name: str, spec: Spec, model: Any) -> Mapping[str, Any]:
    """Return the figure ``decision_process`` of an environment that publishes its transitions, by a model's values.

    Args:
        name: Environment id.
        spec: Its spec.
        model: The full model, from observations.

    Returns:
        Nothing if the model's output is no action values, there are no valid transitions, or more than 100 states.
    """
    from zoo.figures.decisions import Transition, draw_decision_process

    observation = spec.only(ObservationInput)
    has_values = any(layer.name == VALUES for layer in find_network(model).layers)
    if not has_values or not 0 < observation.n <= MOST_STATES:
        return {}
    try:
        process = find_process(name, spec.options["env"])
    except DataError:  # the attribute has another meaning, or a mistake that this agent does not depend on
        return {}
    if process is None:
        return {}
    cells = zip(*np.nonzero(process.probabilities), strict=True)
    fields = (process.following, process.probabilities, process.rewards, process.terminated)
    transitions = [
        Transition(int(state), int(action), *(each[state, action, outcome].item() for each in fields))
        for state, action, outcome in cells
    ]
    states = np.arange(observation.n, dtype=np.float32) + observation.start
    environment = make_environment(name, spec.options["env"])
    inner = environment.unwrapped
    environment.close()
    return {
        "decision_process": draw_decision_process(
            forward(model, {OBSERVATION: states}),
            transitions,
            grid=_find_grid(inner, observation.n),
            actions=spec.target.classes,
            unreachable=_find_unreachable(process, getattr(inner, "initial_state_distrib", None)),
        )
    }


def _find_grid(environment: Any, states: int) -> tuple[int, int] | None:
    """Return the rows and columns of an environment whose states are the cells of a grid, row by row."""
    shapes = [
        (getattr(environment, "nrow", None), getattr(environment, "ncol", None)),
        np.shape(getattr(environment, "desc", ())),
        getattr(environment, "shape", None),
    ]
    for shape in shapes:
        if isinstance(shape, tuple) and len(shape) == 2 and all(isinstance(side, int) for side in shape):
            rows, columns = shape
            if rows * columns == states:
                return rows, columns
    return None


def _find_unreachable(process: DecisionProcess, starts: Any) -> set[int]:
    """Return the states that no episode reaches; none if the probabilities of the first state are not stated."""
    states = len(process.rewards)
    if np.shape(starts) != (states,):
        return set()
    waiting = np.flatnonzero(starts).tolist()
    reached, left = set(waiting), set(waiting)  # left: states that an action was possible in
    while waiting:
        state = waiting.pop()
        possible = process.probabilities[state] > 0
        reached |= set(process.following[state][possible].tolist())
        following = set(process.following[state][possible & ~process.terminated[state]].tolist()) - left
        left |= following
        waiting += following
    return set(range(states)) - reached
