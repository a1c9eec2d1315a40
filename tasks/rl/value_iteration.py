"""Value iteration: computes the value of each action from an environment's transitions, without steps in it.

Bellman 1957, "Dynamic programming", chapter 11. A sweep replaces the value of each state by that of its best action;
sweeps are over when no value changes by more than a tolerance.

Input: a raw observation, which is one integer. Output: the value of each action (B, A); the action with the highest
value is taken. The environment publishes its transitions as its attribute ``P``, as FrozenLake, Taxi and CliffWalking
do: ``P[state][action]`` is a list of (probability, next state, reward, terminated).
Run: ``zoo train rl/value_iteration FrozenLake-v1``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import keras_tuner
import numpy as np

from zoo.models.built_model import Trainer
from zoo.networks import Knobs
from zoo.spec import Spec

from ._environments import DecisionProcess, apply_settings, check_published, require_process
from ._tables import assemble_table, check_table
from ._training_state import AgentState

EXAMPLE = "FrozenLake-v1"


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model; its network carries the agent that computes it.

    Hyperparameters:
        gamma: Discount factor of future rewards.
        tolerance: Largest change of a value at which sweeps are over.
        sweeps: Number of sweeps over all states in an epoch.
    """
    hp = apply_settings(hp, spec, "rl/value_iteration")
    knobs = Knobs(hp, defaults={"epochs": 200, "patience": 200})
    agent = ValueIteration(
        gamma=hp.Float("gamma", 0.9, 0.999, default=0.99),
        tolerance=hp.Fixed("tolerance", 1e-6),
        sweeps=hp.Fixed("sweeps", 20),
    )
    return assemble_table(spec, knobs, agent, "value_iteration")


def check_data(spec: Spec) -> None:
    """Raise if the observation is not one integer, the actions are continuous, or no transitions are published."""
    check_table(spec, "value_iteration")
    check_published(spec, "value_iteration")


@dataclass(frozen=True)
class ValueIteration(Trainer):
    """An agent that knows its environment's transitions; see :func:`build` for the hyperparameters."""

    gamma: float
    tolerance: float
    sweeps: int

    def train(self, state: AgentState) -> None:
        """Sweep over all states until the values converge or training is over."""
        process = require_process(state.environment.name, state.environment.options, "value_iteration")
        values = StateValues(process, self.gamma)
        kernel = state.network.get_layer("values").kernel
        state.add_part("values", values)
        while not state.over:
            for _ in range(self.sweeps):
                change = values.sweep()
                state.updates += 1
                if change <= self.tolerance:
                    break
            kernel.assign(values.evaluate_actions())
            facts = {"loss": change, "largest_change": change}
            state.after_evaluation(facts, converged=change <= self.tolerance)


class StateValues:
    """The value of each state of a decision process, 0 at first.

    Args:
        process: The decision process.
        gamma: Discount factor.
    """

    def __init__(self, process: DecisionProcess, gamma: float) -> None:
        self.process, self.gamma = process, gamma
        self.values = np.zeros(len(process.rewards))

    def evaluate_actions(self) -> np.ndarray:
        """Return the value of each action in each state (S, A)."""
        return self.process.evaluate_actions(self.values, self.gamma)

    def sweep(self) -> float:
        """Replace the value of each state by that of its best action; return the largest change."""
        values = self.evaluate_actions().max(axis=1)
        change = float(np.abs(values - self.values).max())
        self.values = values
        return change

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the values."""
        return {"values": self.values}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`arrays` returned."""
        self.values = arrays["values"].copy()
