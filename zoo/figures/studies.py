"""Figures of a study: permutation importance, learning rates, training sizes, loss landscape, architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from zoo.figures.style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    PALE,
    RED,
    SKY,
    add_legend_beside,
    choose_line_style,
    create_figure,
    shorten,
)

MOST_NAMES, MOST_LAYERS = 25, 30


def input_importances(importances: Mapping[str, tuple[float, float]], *, name: str) -> Figure:
    """Draw permutation importance: how much a metric gets worse when an input is shuffled.

    Args:
        importances: Mean and spread over permutations by input, the largest first.
        name: Name of the score.

    Example:
        >>> input_importances({"age": (0.2, 0.01)}, name="test_log_loss").axes[0].get_xlabel()
        'test_log_loss gets worse by'
    """
    names = list(importances)[:MOST_NAMES]
    figure, (axis,) = create_figure(height=1.4 + 0.35 * max(1, len(names)))
    places = np.arange(len(names))[::-1]
    means, spreads = [importances[input_][0] for input_ in names], [importances[input_][1] for input_ in names]
    axis.barh(places, means, xerr=spreads, color=BLUE, ecolor=BLACK, capsize=3)
    axis.axvline(0, color=GREY, linewidth=1)
    axis.set_yticks(places, [shorten(input_) for input_ in names])
    axis.set_xlabel(f"{name} gets worse by")
    left_out = f", the first {MOST_NAMES} of {len(importances)}" if len(importances) > MOST_NAMES else ""
    axis.set_title(f"Permutation importance{left_out}; error bars: spread over permutations", loc="left")
    return figure


def rate_curve(
    rates: np.ndarray,
    losses: np.ndarray,
    smooth: np.ndarray,
    *,
    suggested: float,
    used: float,
    useful: tuple[float, float | None],
) -> Figure:
    """Draw the loss of each step while the learning rate increases.

    Args:
        rates: Learning rates of S steps.
        losses: Loss of each step (S,).
        smooth: Smoothed losses (S,).
        suggested: Learning rate at which the loss decreases fastest.
        used: Learning rate of the model's training.
        useful: Learning rates below which the loss hardly decreases, and above which it increases; None for the second
            if it never does.

    Example:
        >>> rates = np.array([0.1, 1.0])
        >>> figure = rate_curve(rates, np.ones(2), np.ones(2), suggested=0.1, used=1.0, useful=(0.1, None))
        >>> figure.axes[0].get_xscale()
        'log'
    """
    figure, (axis,) = create_figure(width=8.0)
    axis.plot(rates, losses, color=SKY, linewidth=1, label="each step")
    axis.plot(rates, smooth, color=BLUE, linewidth=2, label="smoothed")
    axis.axvline(suggested, color=RED, linestyle="--", label=f"steepest at {suggested:.2g}")
    axis.axvline(used, color=BLACK, linestyle=":", label=f"trained with {used:.2g}")
    low, high = useful
    axis.axvspan(rates[0], low, color=PALE, alpha=0.5, linewidth=0, label=f"too low, below {low:.2g}")
    if high is not None:
        axis.axvspan(high, rates[-1], color=ORANGE, alpha=0.25, linewidth=0, label=f"too high, above {high:.2g}")
    axis.set_xscale("log")
    top = float(np.nanmax(smooth[: max(2, len(smooth) // 2)]))
    axis.set_ylim(float(np.nanmin(losses)) * 0.95, 1.5 * top)
    axis.set(xlabel="learning rate", ylabel="training loss")
    axis.set_title("Learning-rate range test", loc="left")
    add_legend_beside(axis)
    return figure


def size_curve(rows: Sequence[int], scores: Mapping[str, Sequence[float]], *, name: str) -> Figure:
    """Draw a metric by the number of training rows.

    Args:
        rows: Numbers of training rows.
        scores: One value for each of them, by split.
        name: Name of the score.

    Example:
        >>> size_curve([10, 100], {"train": [0.1, 0.2], "validation": [0.9, 0.4]}, name="rmse").axes[0].get_xlabel()
        'training rows'
    """
    figure, (axis,) = create_figure(width=8.0)
    for index, (split, values) in enumerate(scores.items()):
        colour, dash = choose_line_style(index)
        axis.plot(rows, values, color=colour, linestyle=dash, marker="o", label=split)
    axis.set_xscale("log")
    axis.set_xticks(rows, [f"{count:,}" for count in rows])
    axis.minorticks_off()
    axis.set(xlabel="training rows", ylabel=name)
    axis.set_title("Learning curve by number of training rows", loc="left")
    add_legend_beside(axis)
    return figure


def loss_landscape(steps: np.ndarray, line: np.ndarray, plane: np.ndarray) -> Figure:
    """Draw the loss around trained weights, along one random direction and over two.

    Args:
        steps: Distances from the weights, relative to the norm of the weights (D,).
        line: Loss along the first direction (D,).
        plane: Loss over both directions (D, D).

    Example:
        >>> steps = np.linspace(-1, 1, 5)
        >>> len(loss_landscape(steps, steps**2, steps**2 + steps[:, None] ** 2).axes)
        3
    """
    figure, (left, right) = create_figure(2, beside=False, width=6.5, height=8.5, fractions=(0.7, 1.3))
    left.plot(steps, line, color=BLUE, marker="o", markersize=3)
    left.axvline(0, color=BLACK, linestyle=":", linewidth=1.2)
    left.set_ylabel("loss")
    left.set_title("Loss around the trained weights", loc="left")
    drawn = right.contourf(steps, steps, plane, levels=20, cmap="viridis")
    right.plot(0, 0, "o", color=ORANGE, markersize=6)
    right.set(xlabel="along one random direction", ylabel="along another")
    figure.colorbar(drawn, ax=right, label="loss", location="bottom", shrink=0.8)
    return figure


def architecture(layers: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw a network as boxes from input to output, with shapes and numbers of parameters.

    Args:
        layers: ``name``, ``kind``, ``output`` (shape) and ``parameters`` of each layer, as listed by ``zoo show``.

    Example:
        >>> figure = architecture([{"name": "dense", "kind": "Dense", "output": (None, 8), "parameters": 40}])
        >>> len(figure.axes[0].patches)
        1
    """
    shown = list(layers)[:MOST_LAYERS]
    figure, (axis,) = create_figure(width=6.5, height=0.8 + 0.62 * len(shown))
    axis.set_axis_off()
    axis.grid(visible=False)
    for place, layer in enumerate(shown):
        y = len(shown) - place
        trained = layer["parameters"] > 0
        face = SKY if trained else "#EEEEEE"
        axis.add_patch(FancyBboxPatch((0, y), 10, 0.62, boxstyle="round,pad=0.04", facecolor=face, edgecolor=GREY))
        axis.text(0.2, y + 0.31, f"{shorten(layer['kind'], 22)}  {shorten(layer['name'], 22)}", va="center", fontsize=9)
        label = f"{_shape(layer['output'])}   {layer['parameters']:,}" if trained else _shape(layer["output"])
        axis.text(9.8, y + 0.31, label, va="center", ha="right", fontsize=9)
        if place:
            axis.annotate("", (5, y + 0.66), (5, y + 0.96), arrowprops={"arrowstyle": "->", "color": GREY})
    axis.set(xlim=(-0.2, 10.2), ylim=(0.8, len(shown) + 0.9))
    more = f", {len(layers) - len(shown)} more below" if len(layers) > len(shown) else ""
    total = sum(layer["parameters"] for layer in layers)
    axis.set_title(f"{len(layers)} layers, {total:,} parameters{more}; right: output shape and parameters", loc="left")
    return figure


def _shape(shape: Any) -> str:
    if shape and isinstance(shape[0], (tuple, list)):
        return " + ".join(_shape(part) for part in shape)
    return "(" + ", ".join("any" if size is None else str(size) for size in shape[1:]) + ")"
