"""The layout of a decision process whose states are on a circle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from zoo.figures.decisions.graph import ProcessGraph, choose_colours, draw_arrow
from zoo.figures.style import BLACK, GREY, ORANGE

MOST_LABELLED = 30  # states, beyond which labels would overlap
BEND = 0.15  # of an arrow, as a fraction of its length


def draw_circle(axis: Axes, process: ProcessGraph) -> None:
    """Draw states as circles, clockwise from the top."""
    count = len(process.values)
    angles = math.pi / 2 - 2 * math.pi * np.arange(count) / count
    places = np.column_stack([np.cos(angles), np.sin(angles)])
    radius = min(0.13, 2.0 / count)
    axis.set_xlim(-1.4, 1.4)
    axis.set_ylim(-1.4, 1.4)
    colours, labelled = process.scale(), count <= MOST_LABELLED
    for state, (x, y) in enumerate(places):
        face, ink = choose_colours(process, colours, state)
        axis.add_patch(Circle((x, y), radius, facecolor=face, edgecolor=GREY, linewidth=0.8, zorder=2))
        if not labelled:
            axis.text(1.1 * x, 1.1 * y, str(state), fontsize=7, color=BLACK, ha="center", va="center")
            continue
        ends = state in process.ends or state in process.unreachable
        text = str(state) if ends else f"{state}\n{process.values[state]:.3g}"
        axis.text(x, y, text, fontsize=9, color=ink, ha="center", va="center", zorder=4)
        loops = [process.describe(each) for each in process.outcomes(state) if each.following == state]
        name = "" if ends else f"action {process.names[process.greedy[state]]}"
        stays = [f"stays {label}".replace("\n", " ").rstrip() for label in loops]
        axis.text(1.27 * x, 1.24 * y, "\n".join([name, *stays]), fontsize=8, color=BLACK, ha="center", va="center")
    for state, place in enumerate(places):
        for outcome in process.outcomes(state):
            if outcome.following != state:
                label = process.describe(outcome) if labelled else ""
                _draw_edge(axis, place, places[outcome.following], radius, label)


def _draw_edge(axis: Axes, start: Any, end: Any, radius: float, label: str) -> None:
    """Draw a curved arrow between two circles, with its label where it bends most."""
    along = np.asarray(end) - start
    length = float(np.linalg.norm(along))
    gap = along / length * radius
    draw_arrow(axis, start + gap, end - gap, ORANGE, 1.2, bend=BEND)
    if label:
        aside = np.array([along[1], -along[0]]) * BEND / 2
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.8}
        x, y = start + along / 2 + aside
        axis.text(x, y, label, fontsize=8, ha="center", va="center", bbox=box, zorder=5)
