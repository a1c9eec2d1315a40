"""The states and transitions of a Markov decision process as figures show them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from zoo.figures.style import BLACK, DENSITY, GREY, PALE


@dataclass(frozen=True)
class Transition:
    """An outcome of an action.

    Args:
        state: Index of the state before it.
        action: Index of the action.
        following: Index of the state after it.
        probability: Its probability, given the state and the action.
        reward: Its reward.
        terminated: Whether the episode terminates with it.
    """

    state: int
    action: int
    following: int
    probability: float
    reward: float
    terminated: bool = False


@dataclass
class ProcessGraph:
    """What both layouts draw.

    Args:
        values: Value of each state (S,).
        greedy: Index of the best action in each state (S,).
        transitions: All outcomes of all actions.
        names: Name of each action.
        unreachable: States that no episode reaches.

    Attributes:
        usual_reward: The most frequent reward.
        ends: States in which episodes terminate.
    """

    values: np.ndarray
    greedy: np.ndarray
    transitions: Sequence[Transition]
    names: Sequence[str]
    unreachable: Collection[int]
    usual_reward: float = 0.0
    ends: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        rewards = [each.reward for each in self.transitions]
        self.usual_reward = max(sorted(set(rewards)), key=rewards.count, default=0.0)
        entered = {(each.following, each.terminated) for each in self.transitions if each.state != each.following}
        self.ends = {state for state, terminated in entered if terminated and (state, False) not in entered}

    def outcomes(self, state: int) -> list[Transition]:
        """Return the outcomes of the greedy action, equal next states together."""
        if state in self.ends or state in self.unreachable:
            return []
        sums: dict[tuple[int, float], float] = {}
        for each in self.transitions:
            if each.state == state and each.action == self.greedy[state]:
                key = (each.following, each.reward)
                sums[key] = sums.get(key, 0.0) + each.probability
        return [Transition(state, self.greedy[state], to, total, reward) for (to, reward), total in sums.items()]

    def describe(self, outcome: Transition) -> str:
        """Return the probability of an outcome, unless it is certain, and its reward, unless it is the usual one."""
        parts = [] if outcome.probability > 0.9995 else [f"{outcome.probability:.2g}"]
        if outcome.reward != self.usual_reward:
            parts.append(f"r = {outcome.reward:g}")
        return "\n".join(parts)

    def scale(self) -> ScalarMappable:
        """Return the colours of values."""
        shown = [value for state, value in enumerate(self.values) if state not in {*self.ends, *self.unreachable}]
        low, high = (min(shown), max(shown)) if shown else (0.0, 0.0)
        return ScalarMappable(Normalize(low, high if high > low else low + 1), DENSITY)


def choose_colours(process: ProcessGraph, colours: ScalarMappable, state: int) -> tuple[Any, str]:
    """Return the colour of a state, and of the text on it."""
    if state in process.unreachable:
        return "white", GREY
    if state in process.ends:
        return PALE, BLACK
    (face,) = colours.to_rgba(process.values[[state]])
    return face, BLACK if face[:3] @ [0.299, 0.587, 0.114] > 0.5 else "white"


def draw_arrow(axis: Axes, start: Any, end: Any, colour: str, width: float, *, bend: float = 0.0) -> None:
    """Draw an arrow between two points; ``bend`` is a fraction of its length."""
    style = {"arrowstyle": "-|>", "color": colour, "linewidth": width, "mutation_scale": 5 + 4 * width,
             "shrinkA": 0, "shrinkB": 0, "connectionstyle": f"arc3,rad={bend}"}  # fmt: skip
    axis.annotate("", xy=tuple(end), xytext=tuple(start), arrowprops=style, zorder=3)
