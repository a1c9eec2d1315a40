"""Figures of a search: best score by time, hyperparameter importance, slices and parallel coordinates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from zoo.figures.style import BLACK, BLUE, DENSITY, GREY, RED, add_legend_beside, create_figure, shorten
from zoo.metrics.direction import Direction

MOST_NAMES = 10
LONG_S = 180.0  # above this, time is in minutes
WIDE = 30.0  # ratio of maximum to minimum above which an axis is logarithmic


def best_so_far(seconds: Sequence[float], scores: Sequence[float], *, name: str, direction: str) -> Figure:
    """Draw the score of each trial by its end time, and the best score so far.

    Args:
        seconds: End of each trial, counted from the start of the search.
        scores: Score of each trial; NaN if it has none.
        name: Name of the score.
        direction: ``min`` or ``max``.

    Example:
        >>> figure = best_so_far([1.0, 2.0], [0.5, 0.4], name="val_log_loss", direction="min")
        >>> figure.axes[0].get_xlabel()
        'seconds'
    """
    order = np.argsort(seconds, kind="stable")
    ends = np.asarray(seconds, float)[order]
    unit, size = ("minutes", 60.0) if ends.max(initial=0.0) > LONG_S else ("seconds", 1.0)
    values = np.asarray(scores, float)[order]
    best = Direction(direction).accumulate(values)
    figure, (axis,) = create_figure()
    axis.plot(ends / size, values, "o", color=GREY, markersize=4, label="trial")
    axis.step(ends / size, best, where="post", color=BLUE, linewidth=2, label="best so far")
    axis.set_xlabel(unit)
    axis.set_ylabel(name)
    _scale(axis.set_yscale, values)
    axis.set_title(f"{int(np.isfinite(values).sum())} trials with a score", loc="left")
    add_legend_beside(axis)
    return figure


def importances(fractions: Mapping[str, tuple[float, float]]) -> Figure:
    """Draw the importance of hyperparameters.

    Args:
        shares: Mean and spread of the explained variance by name, the largest first.

    Example:
        >>> importances({"units": (0.6, 0.1)}).axes[0].get_xlabel()
        'fraction of the variance of ranks'
    """
    names = list(fractions)[:MOST_NAMES]
    figure, (axis,) = create_figure(height=1.4 + 0.35 * max(1, len(names)))
    means, spreads = [fractions[name][0] for name in names], [fractions[name][1] for name in names]
    places = np.arange(len(names))[::-1]
    axis.barh(places, means, xerr=spreads, color=BLUE, ecolor=BLACK, capsize=3)
    axis.set_yticks(places, [shorten(name) for name in names])
    axis.set_xlim(left=0)
    axis.set_xlabel("fraction of the variance of ranks")
    axis.set_title("Hyperparameter importance, main effects; error bars: spread over trees", loc="left")
    return figure


def slices(trials: Sequence[Mapping[str, Any]], scores: Sequence[float], names: Sequence[str], *, name: str) -> Figure:
    """Draw the score against each hyperparameter.

    Args:
        trials: Hyperparameters of each trial.
        scores: Score of each trial.
        names: The hyperparameters, the most important first; at most ten are drawn.
        name: Name of the score.

    Example:
        >>> len(slices([{"units": 8}, {"units": 16}], [0.5, 0.4], ["units"], name="val_log_loss").axes)
        1
    """
    shown = list(names)[:MOST_NAMES]
    columns = min(3, max(1, len(shown)))
    rows = -(-len(shown) // columns) or 1
    figure = Figure(figsize=(3.2 * columns + 0.6, 2.6 * rows + 0.4), dpi=120, facecolor="white", layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    values = np.asarray(scores, float)
    for place, axis in enumerate(grid.flat):
        if place >= len(shown):
            axis.remove()
            continue
        _slice(axis, [trial.get(shown[place]) for trial in trials], values)
        axis.set_xlabel(shorten(shown[place]))
        axis.spines[["top", "right"]].set_visible(False)
        if place % columns == 0:
            axis.set_ylabel(shorten(name))
    if shown:
        _scale(grid.flat[0].set_yscale, values)
    return figure


def parallel_coordinates(
    trials: Sequence[Mapping[str, Any]], scores: Sequence[float], names: Sequence[str], *, name: str, direction: str
) -> Figure:
    """Draw each trial as a line through its hyperparameters, darker for better scores; the best one is orange.

    Args:
        trials: Hyperparameters of each trial.
        scores: Score of each trial.
        names: The hyperparameters, one axis each; at most ten are drawn.
        name: Name of the score, the last axis.
        direction: ``min`` or ``max``.

    Example:
        >>> figure = parallel_coordinates([{"units": 8}], [0.5], ["units"], name="val_rmse", direction="min")
        >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
        ['units', 'val_rmse']
    """
    shown = list(names)[:MOST_NAMES]
    values = np.asarray(scores, float)
    finished = np.flatnonzero(np.isfinite(values)).tolist()
    ranks = np.argsort(np.argsort(-Direction(direction).sign * values[finished])) / max(1, len(finished) - 1)
    figure, (axis,) = create_figure(width=2.2 + 1.25 * (len(shown) + 1))
    scaled = []
    for place, hyperparameter in enumerate(shown):
        heights, ticks = _heights([trials[row].get(hyperparameter) for row in finished])
        scaled.append(heights)
        _ticks(axis, place, ticks)
    heights, ticks = _heights(values[finished].tolist())
    scaled.append(heights)
    _ticks(axis, len(shown), ticks)
    for row in np.argsort(ranks):
        best = row == int(ranks.argmax())
        colour = RED if best else DENSITY(ranks[row])
        axis.plot(range(len(scaled)), [column[row] for column in scaled], color=colour, linewidth=2.5 if best else 1)
    axis.set_xticks(range(len(scaled)), [shorten(text, 16) for text in (*shown, name)])
    axis.set_yticks([])
    axis.set_ylim(-0.05, 1.05)
    axis.set_title("One line per trial; the best is orange", loc="left")
    colours = ScalarMappable(Normalize(0, 1), DENSITY)
    bar = figure.colorbar(colours, ax=axis, ticks=[0, 1], fraction=0.03)
    bar.ax.set_yticklabels(["worst", "best"])
    return figure


def _slice(axis: Axes, values: list[Any], scores: np.ndarray) -> None:
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) == len(values):
        axis.plot(values, scores, "o", color=BLUE, markersize=4, alpha=0.7)
        _scale(axis.set_xscale, np.asarray(values, float))
        return
    levels = list(dict.fromkeys(map(str, values)))
    places = np.array([levels.index(str(value)) for value in values], float)
    jitter = np.linspace(-0.15, 0.15, len(values))  # spreads points of the same category
    axis.plot(places + jitter, scores, "o", color=BLUE, markersize=4, alpha=0.7)
    axis.set_xticks(range(len(levels)), [shorten(level, 10) for level in levels], rotation=30)


def _heights(values: list[Any]) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Return values scaled to [0, 1] on an axis of their own, and its ticks."""
    numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    if not numeric:
        levels = list(dict.fromkeys(map(str, values)))
        span = max(1, len(levels) - 1)
        heights = np.array([levels.index(str(value)) / span for value in values])
        return heights, [(place / span, shorten(level, 12)) for place, level in enumerate(levels)]
    numbers = np.asarray(values, float)
    if not len(numbers):
        return numbers, []
    low, high = float(numbers.min()), float(numbers.max())
    ticks = [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")] if high > low else [(0.5, f"{low:.3g}")]
    if low > 0 and high / low > WIDE:
        return np.log(numbers / low) / np.log(high / low), ticks
    return ((numbers - low) / (high - low) if high > low else np.full(len(numbers), 0.5)), ticks


def _ticks(axis: Axes, place: int, ticks: list[tuple[float, str]]) -> None:
    axis.axvline(place, color=GREY, linewidth=0.8)
    for height, text in ticks:
        axis.text(place + 0.04, height, text, fontsize=8, color=BLACK, va="center")


def _scale(setter: Any, values: np.ndarray) -> None:
    finite = values[np.isfinite(values)]
    if len(finite) and finite.min() > 0 and finite.max() / finite.min() > WIDE:
        setter("log")
