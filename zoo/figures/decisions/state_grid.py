"""The layout of a decision process whose states are the cells of a grid."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from zoo.figures.decisions.graph import ProcessGraph, choose_colours, draw_arrow
from zoo.figures.style import ORANGE

MOST_NOISE = 0.3  # of an action's mean move, as a fraction of the largest one: below it an action has no direction


def draw_grid(axis: Axes, process: ProcessGraph, grid: tuple[int, int], size: float) -> None:
    """Draw states as cells, row by row, in text of a relative size."""
    rows, columns = grid
    axis.set_xlim(-0.55, columns - 0.45)
    axis.set_ylim(rows - 0.45, -0.55)
    colours, directions = process.scale(), _find_directions(process, columns)
    for state, value in enumerate(process.values):
        y, x = divmod(state, columns)
        face, ink = choose_colours(process, colours, state)
        axis.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=face, edgecolor="white", linewidth=2))
        axis.text(x - 0.45, y - 0.45, str(state), fontsize=8 * size, color=ink, va="top", alpha=0.8)
        if state in process.ends or state in process.unreachable:
            continue
        axis.text(x, y - 0.22, f"{value:.3g}", fontsize=11 * size, color=ink, ha="center", va="center")
        direction = directions.get(int(process.greedy[state]))
        if direction is None:
            name = f"action {process.names[process.greedy[state]]}"
            axis.text(x, y + 0.03, name, fontsize=10 * size, color=ink, ha="center", va="center")
        else:
            right, down = np.multiply(direction, 0.15)
            draw_arrow(axis, (x - right, y + 0.03 - down), (x + right, y + 0.03 + down), ink, 2.6 * size)
    for state in range(len(process.values)):
        _draw_moves(axis, process, state, columns, choose_colours(process, colours, state)[1], size)


def _draw_moves(axis: Axes, process: ProcessGraph, state: int, columns: int, ink: str, size: float) -> None:
    """Draw moves to neighbouring cells as thin arrows over the border, to the right of the way; write the others."""
    y, x = divmod(state, columns)
    others: list[str] = []
    words: dict[str, Any] = {"fontsize": 7 * size, "color": ink}
    for outcome in process.outcomes(state):
        down, right = np.subtract(divmod(outcome.following, columns), (y, x)).tolist()
        if abs(down) + abs(right) != 1:
            stays = outcome.following == state
            label = process.describe(outcome).replace("\n", " ")
            others.append(f"{'stays' if stays else f'to {outcome.following}'} {label}".rstrip())
            continue
        start, end = ((x + far * right - 0.12 * down, y + far * down + 0.12 * right) for far in (0.36, 0.64))
        draw_arrow(axis, start, end, ORANGE, 1.4 * size)
        label = process.describe(outcome)
        if right:
            place, align = (x + 0.48 * right, y + 0.16 * right), ("right" if right > 0 else "left")
            axis.text(*place, label, **words, ha=align, va="top" if right > 0 else "bottom")
        else:
            axis.text(x - 0.17 * down, y + 0.42 * down, label, **words, ha="left" if down < 0 else "right", va="center")
    axis.text(x, y + 0.28, "\n".join(others), **words, ha="center", va="center")


def _find_directions(process: ProcessGraph, columns: int) -> dict[int, tuple[float, float]]:
    """Return the direction of each action on a grid, right and down: that of the mean of its moves to neighbours."""
    sums = np.zeros((len(process.names), 2))
    for each in process.transitions:
        down, right = np.subtract(divmod(each.following, columns), divmod(each.state, columns))
        if abs(down) + abs(right) == 1:
            sums[each.action] += each.probability * np.array([right, down])
    directions = {}
    for action, (right, down) in enumerate(sums):
        length = max(abs(right), abs(down))
        if length > MOST_NOISE * np.abs(sums).max():
            across = abs(right) >= abs(down)
            directions[action] = (float(np.sign(right)), 0.0) if across else (0.0, float(np.sign(down)))
    return directions
