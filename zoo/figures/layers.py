"""Figures of what happens inside a network: gradients and dead units by epoch, gradients over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from zoo.figures.style import add_legend_beside, choose_line_style, create_figure, set_integer_ticks, shorten

SMALLEST = 1e-30  # smaller gradients are drawn as this, since an axis of logarithms has no 0


def layer_curves(norms: Mapping[str, Sequence[float]], dead: Mapping[str, Sequence[float]]) -> Figure:
    """Draw gradient norms and dead units of each layer by epoch.

    Args:
        norms: Gradient norms by layer, one per epoch.
        dead: Fractions of units with the same output for all rows, by layer, one per epoch.

    Example:
        >>> len(layer_curves({"dense": [1.0, 0.5]}, {"dense": [0.0, 0.1]}).axes)
        2
    """
    figure, (top, bottom) = create_figure(2, width=8.0, height=6.5)
    for axis, curves in ((top, norms), (bottom, dead)):
        for index, (layer, values) in enumerate(curves.items()):
            colour, dash = choose_line_style(index)
            axis.plot(np.arange(1, len(values) + 1), values, color=colour, linestyle=dash, label=shorten(layer))
        if curves:
            add_legend_beside(axis)
    if any(value > 0 for values in norms.values() for value in values):
        top.set_yscale("log")
    top.set_ylabel("norm of the gradient")
    top.set_title("Layers by epoch, from input to output", loc="left")
    bottom.set(xlabel="epoch", ylabel="fraction of dead units", ylim=(-0.03, 1.03))
    return figure


def gradients_over_time(trained: Mapping[str, np.ndarray], untrained: Mapping[str, np.ndarray]) -> Figure:
    """Draw the norm of the gradient with respect to the states of recurrent layers, by distance from their last step.

    Args:
        trained: Norms of each layer (D,), the first after the last step that is read, with the trained weights.
        untrained: The same before training.

    Example:
        >>> figure = gradients_over_time({"rnn": np.array([1.0, 0.1])}, {"rnn": np.array([1.0, 0.5])})
        >>> figure.axes[0].get_yscale()
        'log'
    """
    figure, (axis,) = create_figure(width=8.0)
    for index, (name, norms) in enumerate(trained.items()):
        colour, _ = choose_line_style(index)
        for dash, values, when in (("-", norms, "trained"), (":", untrained.get(name), "before")):
            if values is not None and np.isfinite(values).any():
                values = np.where(np.isfinite(values), np.maximum(values, SMALLEST), np.nan)
                marker = "o" if len(values) < 3 else ""
                axis.plot(values, color=colour, linestyle=dash, marker=marker, label=f"{shorten(name)}, {when}")
    axis.set_yscale("log")
    axis.set(xlabel="steps between the state and the last step that is read", ylabel="norm of the gradient")
    axis.set_title("Gradient of the loss with respect to the state, over time", loc="left")
    set_integer_ticks(axis)
    if axis.get_legend_handles_labels()[0]:
        add_legend_beside(axis)
    return figure
