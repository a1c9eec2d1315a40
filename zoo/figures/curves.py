"""Learning curves: loss and metrics by epoch, of one run or of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoo.figures.style import (
    BLACK,
    BLUE,
    GREY,
    SKY,
    add_legend_beside,
    choose_line_style,
    create_figure,
    set_integer_ticks,
    shorten,
)

LOSSES = ("loss", "val_loss")
LOG_SCALE_RANGE = 30
# Larger losses have diverged, and axes would overflow.
LARGEST, SMALLEST = 1e100, 1e-100
LOSS, SCORE, LEARNING_RATE = "loss", "score", "learning rate"
HEIGHTS = {LOSS: 1.2, SCORE: 1.0, LEARNING_RATE: 0.6}


def learning_curve(
    history: Mapping[str, Sequence[float]], *, best_epoch: int | None = None, monitor: str = "val_loss"
) -> Figure:
    """Draw loss and metrics by epoch, with the epoch whose weights were kept.

    Args:
        history: For each name one number per epoch, as in ``keras.callbacks.History.history``; NaN leaves a gap.
            ``loss`` and ``val_loss`` share the upper panel, on a logarithmic scale if they span more than a factor
            of 30; other metrics, and a learning rate that varies, have panels of their own.
        best_epoch: The epoch, counted from 1, whose weights were kept.
        monitor: Name of the metric that selected it.

    Returns:
        A figure of one to three panels over the same epochs.

    Example:
        >>> figure = learning_curve({"loss": [3.0, 2.0], "val_loss": [3.1, 2.9]}, best_epoch=2)
        >>> [panel.get_ylabel() for panel in figure.axes], figure.axes[-1].get_xlabel()
        (['loss'], 'epoch')
    """
    panels = _by_panel({name: _drawable(values) for name, values in history.items()})
    heights = tuple(HEIGHTS[label] for label in panels)
    figure, axes = create_figure(len(panels), width=8.0, height=1.6 + 2.4 * sum(heights), fractions=heights)
    for axis, (label, curves) in zip(axes, panels.items(), strict=True):
        _draw(axis, curves, steps=label == LEARNING_RATE)
        if label != SCORE:
            _scale(axis, curves)
        axis.set_ylabel(label)
        if best_epoch is not None:
            kept = f"epoch {best_epoch}, kept" if axis is axes[0] else None  # one legend entry
            axis.axvline(best_epoch, color=BLACK, linestyle=":", linewidth=1.2, label=kept)
        if axis.get_legend_handles_labels()[0]:
            add_legend_beside(axis)
    n_epochs = max((len(values) for curves in panels.values() for values in curves.values()), default=0)
    _epoch_axis(axes[-1], max(n_epochs, best_epoch or 0))
    axes[0].set_title(_title(n_epochs, best_epoch, monitor), loc="left")
    return figure


def _drawable(values: Sequence[float]) -> np.ndarray:
    """Return the values, NaN where they are too large to draw."""
    numbers = np.asarray(values, dtype=float)
    return np.where(np.abs(numbers) < LARGEST, numbers, np.nan)


def _by_panel(history: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Return the curves by the label of the panel that shows them."""
    losses = {name: history[name] for name in LOSSES if name in history}
    rates = {name: values for name, values in history.items() if name.endswith("learning_rate")}
    others = {name: values for name, values in history.items() if name not in losses and name not in rates}
    varying = {name: values for name, values in rates.items() if len(np.unique(values[~np.isnan(values)])) > 1}
    panels = {LOSS: losses, SCORE: others, LEARNING_RATE: varying}
    return {label: curves for label, curves in panels.items() if curves} or {LOSS: {}}


def _draw(axis: Axes, curves: Mapping[str, np.ndarray], *, steps: bool) -> None:
    for index, (name, values) in enumerate(curves.items()):
        colour, dash = choose_line_style(index)
        # Without markers, a single epoch between two gaps would be invisible.
        marker = "o" if len(values) <= 30 or np.isnan(values).any() else ""
        (line,) = axis.plot(np.arange(1, len(values) + 1), values, color=colour, linestyle=dash)
        line.set(label=shorten(name), marker=marker, markersize=3.5)
        line.set_drawstyle("steps-mid" if steps else "default")


def _scale(axis: Axes, curves: Mapping[str, np.ndarray]) -> None:
    """Use a logarithmic y axis if a linear one would flatten most of the curve."""
    numbers = np.concatenate([values[~np.isnan(values)] for values in curves.values()] or [np.empty(0)])
    if numbers.size and numbers.min() > SMALLEST and numbers.max() > LOG_SCALE_RANGE * numbers.min():
        axis.set_yscale("log")


def _epoch_axis(axis: Axes, n_epochs: int) -> None:
    axis.set_xlabel("epoch")
    set_integer_ticks(axis)
    axis.set_xlim(0.5, max(n_epochs, 1) + max(0.5, 0.02 * n_epochs))  # there is no epoch 0


def _title(n_epochs: int, best_epoch: int | None, monitor: str) -> str:
    epochs = f"{n_epochs} epoch" + ("" if n_epochs == 1 else "s")
    if best_epoch is None:
        return f"Learning curve over {epochs}"
    return f"Learning curve over {epochs}: best {shorten(monitor)} at epoch {best_epoch}"


def repeated_curves(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], *, metric: str, x_label: str) -> Figure:
    """Draw a metric by epochs, or by another measure of progress, of several runs of one model.

    The mean, and the range from the least to the greatest value, end where the first run ends.

    Args:
        curves: Places on the horizontal axis and values of each run (P,), by its name.
        metric: Name of the metric.
        x_label: What the horizontal axis shows.

    Example:
        >>> curves = {"seed 0": (np.array([1, 2]), np.array([0.5, 0.4])), "seed 1": (np.array([1]), np.array([0.6]))}
        >>> len(repeated_curves(curves, metric="val_loss", x_label="epoch").axes[0].lines)
        3
    """
    figure, (axis,) = create_figure(width=7.4, height=4.2)
    shared = min(len(values) for _, values in curves.values())
    x = next(iter(curves.values()))[0][:shared]
    together = np.stack([values[:shared] for _, values in curves.values()])
    for number, (places, values) in enumerate(curves.values()):
        label = f"each of {len(curves)} runs" if number == 0 else None
        axis.plot(places, values, color=GREY, linewidth=0.8, alpha=0.7, label=label)
    axis.fill_between(x, together.min(axis=0), together.max(axis=0), color=SKY, alpha=0.35, linewidth=0, label="range")
    axis.plot(x, together.mean(axis=0), color=BLUE, linewidth=2, label="mean")
    axis.set_xlabel(x_label)
    axis.set_ylabel(metric)
    axis.set_title(f"{metric} of {len(curves)} runs", loc="left")
    if x_label == "epoch":
        set_integer_ticks(axis)
    add_legend_beside(axis)
    return figure
