"""Figure of a Markov decision process: states by their value, the greedy action of each, and where it leads."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from matplotlib.figure import Figure

from zoo.figures.decisions.graph import ProcessGraph, Transition
from zoo.figures.decisions.state_circle import draw_circle
from zoo.figures.decisions.state_grid import draw_grid
from zoo.figures.style import GREY, create_figure


def draw_decision_process(
    action_values: np.ndarray, transitions: Sequence[Transition], *, grid: tuple[int, int] | None = None,
    actions: Sequence[str] = (), unreachable: Collection[int] = (),
) -> Figure:  # fmt: skip
    """Draw a Markov decision process with the value and the greedy action of each state.

    Thin arrows are the outcomes of the greedy action. On a grid a bold arrow is the action itself, in the mean
    direction of its moves to neighbouring cells; elsewhere the action is written next to its state. States in which
    episodes terminate are grey.

    Args:
        action_values: Value of each action in each state (S, A).
        transitions: All outcomes of all actions.
        grid: Numbers of rows and columns whose product is S, if states are cells of a grid; None for a circle.
        actions: Name of each action; by default its index.
        unreachable: States that no episode reaches, which are left white.

    Example:
        >>> steps = [Transition(0, 0, 1, 1.0, 1.0, True), Transition(0, 1, 0, 1.0, 0.0)]
        >>> draw_decision_process(np.array([[1.0, 0.9], [0.0, 0.0]]), steps, grid=(1, 2)).axes[0].get_title(loc="left")
        'Decision process: value and greedy action of each state'
    """
    table = np.asarray(action_values, float)
    names = list(actions) or [str(index) for index in range(table.shape[1])]
    process = ProcessGraph(table.max(axis=1), table.argmax(axis=1), transitions, names, unreachable)
    rows, columns = grid or (1, 1)
    width = min(15.0, max(6.0, 1.45 * columns)) if grid else 9.0
    cell = width / columns
    height = cell * rows if grid else 8.0
    figure, (axis,) = create_figure(width=width + 1.2, height=height + 1.0)
    axis.grid(False)
    axis.set_aspect("equal")
    axis.set_axis_off()
    if grid:
        draw_grid(axis, process, grid, min(1.0, cell / 1.45))
    else:
        draw_circle(axis, process)
    bar = figure.colorbar(process.scale(), ax=axis, shrink=0.8, pad=0.02)
    bar.set_label("value of a state")
    bar.outline.set_visible(False)
    axis.set_title("Decision process: value and greedy action of each state", loc="left", fontsize=12)
    note = f"numbers: probability; r: reward, {process.usual_reward:g} unless stated; grey: the episode ends"
    if unreachable:
        note += "; white: not reached by any episode"
    axis.text(0, -0.01, note, transform=axis.transAxes, fontsize=8, color=GREY, va="top")
    return figure
