"""The figure of a decision process: what it writes on a grid and on a circle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawing import assert_draws

from zoo.figures.decisions import Transition, draw_decision_process

# Action 0 goes right and stays half the time, action 1 goes left; the goal is state 2, and no episode reaches state 3.
STEPS = [
    Transition(0, 0, 1, 0.5, 0.0), Transition(0, 0, 0, 0.5, 0.0), Transition(0, 1, 0, 1.0, 0.0),
    Transition(1, 0, 2, 0.5, 5.0, True), Transition(1, 0, 1, 0.5, 0.0), Transition(1, 1, 0, 1.0, 0.0),
    Transition(2, 0, 2, 1.0, 0.0, True), Transition(2, 1, 2, 1.0, 0.0, True), Transition(3, 0, 3, 1.0, 0.0),
]  # fmt: skip
VALUES = np.array([[1.25, 0.5], [3.75, 0.75], [9.0, 9.0], [8.0, 8.0]])


def texts_of(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


@pytest.mark.parametrize("grid", [(1, 4), None])
def test_values_probabilities_and_rewards_are_written(grid: tuple[int, int] | None) -> None:
    figure = draw_decision_process(VALUES, STEPS, grid=grid, unreachable={3})
    assert_draws(figure)
    texts = texts_of(figure)
    together = "\n".join(texts)
    for text in ("1.25", "3.75", "stays 0.5", "0.5\nr = 5", "r: reward, 0 unless stated", "white: not reached"):
        assert text in together
    assert not {"9", "8"} & set(together)  # the values of states without an action to take


def test_actions_without_a_direction_are_named() -> None:
    jumps = [Transition(0, 0, 2, 1.0, 1.0), Transition(2, 0, 0, 1.0, 1.0), Transition(1, 0, 1, 1.0, 1.0)]
    figure = draw_decision_process(np.zeros((3, 1)), jumps, grid=(1, 3), actions=["jump"])
    assert texts_of(figure).count("action jump") == 3
    assert {"to 2", "to 0", "stays"} <= set(texts_of(figure))


def test_many_states_have_no_labels_on_a_circle() -> None:
    around = [Transition(state, 0, (state + 1) % 50, 1.0, 0.0) for state in range(50)]
    figure = draw_decision_process(np.arange(50.0)[:, None], around)
    assert_draws(figure)
    assert texts_of(figure)[:50] == [str(state) for state in range(50)]
