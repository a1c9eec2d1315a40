"""Figures that compare models: scores with intervals, and mean ranks with the critical difference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from zoo.figures.style import BLACK, BLUE, GREY, create_figure, shorten


def scores_beside(
    names: Sequence[str],
    means: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    repeats: Sequence[Sequence[float]],
    *,
    score: str,
    baselines: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Draw the mean of a metric with its interval, and each repeat, one row per model.

    Args:
        names: The models, the best first.
        means: Mean of each model.
        intervals: Lower and upper end; NaN if unknown.
        repeats: Values of each repeat.
        score: Name of the metric.
        baselines: Names of the baselines, drawn in grey.
        title: Title of the figure.

    Example:
        >>> figure = scores_beside(["a", "b"], [0.9, 0.8], [(0.8, 1.0)] * 2, [[0.9], [0.8]], score="accuracy")
        >>> figure.axes[0].get_xlabel()
        'accuracy'
    """
    figure, (axis,) = create_figure(height=1.3 + 0.4 * max(1, len(names)))
    for place, (name, mean, (low, high), values) in enumerate(zip(names, means, intervals, repeats, strict=True)):
        colour = GREY if name in baselines else BLUE
        axis.scatter(values, [place + 0.22] * len(values), s=14, color=colour, alpha=0.6, linewidths=0)
        if not math.isnan(low + high):
            axis.plot([low, high], [place, place], color=colour, linewidth=2)
        axis.scatter([mean], [place], s=45, color=colour, edgecolors="white", zorder=3)
    axis.set_yticks(range(len(names)), [shorten(name, 30) for name in names])
    axis.invert_yaxis()
    axis.set_xlabel(score)
    axis.set_title(title or "Mean, 95 % interval and each repeat; baselines in grey", loc="left")
    return figure


def critical_difference(ranks: Mapping[str, float], distance: float, *, sources: int) -> Figure:
    """Draw mean ranks on an axis, with a bar over models that do not differ significantly.

    The figure of Demšar (2006, "Statistical Comparisons of Classifiers over Multiple Data Sets", section 3.2.4).

    Args:
        ranks: Mean rank by the model's name; 1 is best.
        distance: The critical difference.
        sources: Number of sources.

    Example:
        >>> critical_difference({"a": 1.0, "b": 2.0}, 1.5, sources=4).axes[0].get_xlabel()
        'mean rank over 4 sources; 1 is best'
    """
    ordered = sorted(ranks, key=lambda name: ranks[name])
    groups = _tied(ordered, ranks, distance)
    figure, (axis,) = create_figure(height=1.5 + 0.33 * len(ordered) + 0.2 * len(groups))
    for place, name in enumerate(ordered):
        axis.plot([ranks[name], ranks[name]], [-len(groups) - 0.5, place], color=GREY, linewidth=0.8)
        axis.scatter([ranks[name]], [place], color=BLUE, s=30, zorder=3)
        axis.annotate(
            f"{shorten(name, 30)}  {ranks[name]:.2f}", (ranks[name], place), (6, 3), textcoords="offset points"
        )
    for height, (first, last) in enumerate(groups):
        axis.plot([first - 0.03, last + 0.03], [-1 - height] * 2, color=BLACK, linewidth=4, solid_capstyle="butt")
    axis.set_ylim(len(ordered) - 0.3, -len(groups) - 1)
    axis.set_yticks([])
    axis.set_xlim(0.8, max(float(np.max(list(ranks.values()))) + 1.2, 2.5))
    axis.set_xlabel(f"mean rank over {sources} sources; 1 is best")
    axis.set_title(f"Critical difference {distance:.2f}: models under one bar are tied", loc="left")
    return figure


def _tied(ordered: Sequence[str], ranks: Mapping[str, float], distance: float) -> list[tuple[float, float]]:
    """Return maximal groups of models within the distance, as their first and last rank."""
    groups: list[tuple[int, int]] = []
    for start in range(len(ordered)):
        last = max(i for i in range(start, len(ordered)) if ranks[ordered[i]] - ranks[ordered[start]] < distance)
        if last > start and (not groups or last > groups[-1][1]):
            groups.append((start, last))
    return [(ranks[ordered[a]], ranks[ordered[b]]) for a, b in groups]
