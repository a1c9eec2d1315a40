"""Tabular Q-learning: a table of the value of each action in each state, learned from one step at a time.

Watkins 1989, "Learning from delayed rewards", chapter 7; Watkins and Dayan 1992, "Q-learning". The learning rate falls
with the number of visits of a state and an action, as a power of it: Even-Dar and Mansour 2003, "Learning rates for
Q-learning", section 4; it does not fall below a least rate, so that early values are forgotten.

Input: a raw observation, which is one integer. Output: the value of each action (B, A); the action with the highest
value is taken. The network is one dense layer without bias on the indicator of the state: its weights are the table.
Run: ``zoo train rl/q_table FrozenLake-v1``.
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

from ._acting import EpsilonGreedy
from ._actions import mask_output
from ._agent_loop import Learner, train_agent
from ._environments import apply_settings, require_states
from ._experience import Transitions
from ._tables import assemble_table, check_table
from ._training_state import AgentState

EXAMPLE = "FrozenLake-v1"


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model; its network carries the agent that trains it.

    Hyperparameters:
        gamma: Discount factor of future rewards.
        rate_power: Exponent of the learning rate: it is the number of visits to the power of minus this.
        least_rate: Least learning rate.
        environments: Number of parallel environments.
        period: Evaluation interval in environment steps; it counts as an epoch.
        exploration: Final fraction of random actions.
        exploration_steps: Number of steps over which the fraction of random actions falls from 1 to its final value.
    """
    hp = apply_settings(hp, spec, "rl/q_table")
    knobs = Knobs(hp, defaults={"epochs": 6, "patience": 6})
    agent = QTable(
        start=require_states(spec, "q_table").start,
        gamma=hp.Float("gamma", 0.9, 0.999, default=0.99),
        rate_power=hp.Float("rate_power", 0.5, 1.0, default=0.55),
        least_rate=hp.Float("least_rate", 1e-3, 0.2, sampling="log", default=0.02),
        environments=hp.Fixed("environments", 8),
        period=hp.Fixed("period", 40_000),
        exploration=hp.Float("exploration", 0.01, 0.5, sampling="log", default=0.1),
        exploration_steps=hp.Int("exploration_steps", 2_000, 500_000, sampling="log", default=80_000),
    )
    return assemble_table(spec, knobs, agent, "q_table")


def check_data(spec: Spec) -> None:
    """Raise if the observation is not one integer, or the actions are continuous."""
    check_table(spec, "q_table")


@dataclass(frozen=True)
class QTable(Trainer):
    """An agent with a table of values; see :func:`build` for the hyperparameters.

    Args:
        start: The least observation, which is the first row of the table.
    """

    start: int
    gamma: float
    rate_power: float
    least_rate: float
    environments: int
    period: int
    exploration: float
    exploration_steps: int

    def train(self, state: AgentState) -> None:
        """Step the environments and learn from each step until training is over."""
        train_agent(
            state,
            QTableLearner(self, state),
            environments=self.environments,
            round_steps=self.period,
            period=self.period,
        )


class QTableLearner(Learner):
    """Acts epsilon-greedily and learns from each step, in NumPy; the network gets the table before each evaluation.

    Args:
        agent: Hyperparameters of learning.
        state: State of training, with the network.
    """

    def __init__(self, agent: QTable, state: AgentState) -> None:
        self.agent, self.state = agent, state
        self.kernel = state.network.get_layer("values").kernel
        self.table = np.asarray(self.kernel, np.float64)
        self.visits = np.zeros(self.table.shape, np.int64)
        self.policy = EpsilonGreedy(self.look_up, agent.exploration, agent.exploration_steps, state.rng)
        self.errors: list[float] = []

    def look_up(self, observations: np.ndarray) -> np.ndarray:
        """Return the value of each action (B, A) for observations (B,)."""
        values: np.ndarray = self.table[observations - self.agent.start]
        return values

    def act(self, observations: np.ndarray, masks: np.ndarray | None, steps: int) -> np.ndarray:
        """Return an epsilon-greedy action for each environment."""
        return self.policy.draw(observations, masks, steps)

    def store(self, transitions: Transitions) -> None:
        """Learn from one step of each environment: move each value towards the reward and the best next value."""
        next_values = mask_output(self.look_up(transitions.next_observations), transitions.next_masks).max(axis=1)
        targets = transitions.rewards + self.agent.gamma * np.where(transitions.terminated, 0.0, next_values)
        states = (transitions.observations - self.agent.start).tolist()
        for cell, target in zip(zip(states, transitions.actions.tolist(), strict=True), targets.tolist(), strict=True):
            self.visits[cell] += 1
            rate = max(self.agent.least_rate, float(self.visits[cell]) ** -self.agent.rate_power)
            error = target - self.table[cell]
            self.table[cell] += rate * error
            self.errors.append(error)

    def learn(self, number: int) -> Mapping[str, float]:
        """Give the table to the network; return the mean squared error of the steps since the last call."""
        self.kernel.assign(self.table)
        loss, self.errors = float(np.mean(np.square(self.errors))), []
        visited = float((self.visits > 0).mean())
        return {"loss": loss, "visited": visited, "exploration": self.policy.fraction(self.state.steps)}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the table, the visits, and the random actions under way."""
        return {"table": self.table, "visits": self.visits, **self.policy.arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`arrays` returned."""
        self.table, self.visits = arrays["table"].copy(), arrays["visits"].copy()
        self.policy.restore(arrays)
