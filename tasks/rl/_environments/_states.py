"""Environments with finitely many states, which their observations number."""

from __future__ import annotations

from zoo.errors import UsageError
from zoo.spec import ObservationInput, Spec


def require_states(spec: Spec, agent: str) -> ObservationInput:
    """Return the observation of an agent that needs it to be one integer, the number of the state.

    Raises:
        UsageError: If the observations are vectors of numbers.
    """
    observation = spec.only(ObservationInput)
    if not observation.n:
        raise UsageError(
            f"the observations are vectors, and {agent} needs one integer, the number of the state; take rl/ppo, or"
            " rl/dqn or rl/pqn for discrete actions"
        )
    return observation
