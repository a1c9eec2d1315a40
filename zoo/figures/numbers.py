"""Figures of a regression: predictions against true values, and residuals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoo.figures.style import BLACK, BLUE, DENSITY, DPI, RED, create_figure, shorten

MOST_POINTS = 2_000
LONGEST_NAME = 40
MOST_LEVELS = 8

Box = tuple[float, float, float, float]


def predicted_against_true(truth: np.ndarray, prediction: np.ndarray, *, name: str) -> Figure:
    """Draw each prediction over its true value, with the diagonal.

    Above 2,000 rows, hexagonal cells show counts instead of points.

    Args:
        truth: (N,).
        prediction: (N,).
        name: Name of the target, with its unit if it has one, as label of the axes.

    Returns:
        A figure with one square panel, both axes with the same limits.

    Example:
        >>> figure = predicted_against_true(np.array([1.0, 2.0]), np.array([1.1, 1.8]), name="price in EUR")
        >>> figure.axes[0].get_xlabel()
        'true price in EUR'
    """
    truth, prediction, n_lost = _finite(truth, prediction)
    figure, (axis,) = create_figure(width=7.0, height=6.2)
    low, high = _limits(np.concatenate([truth, prediction]))
    _scatter(axis, truth, prediction, (low, high, low, high), bar_beside=axis)
    axis.plot([low, high], [low, high], color=RED, linestyle="--", linewidth=1.2, label="prediction = truth")
    axis.set_aspect("equal")
    axis.set_xlabel(f"true {shorten(name, LONGEST_NAME)}")
    axis.set_ylabel(f"predicted {shorten(name, LONGEST_NAME)}")
    axis.set_title(f"Predicted against true, {_rows(len(truth), n_lost)}", loc="left")
    _legend_below(figure, axis)
    return figure


def residuals(truth: np.ndarray, prediction: np.ndarray, *, name: str) -> Figure:
    """Draw the residual of each row over its prediction, and the distribution of residuals next to it.

    A trend, a bend or a changing spread shows what the model misses (Anscombe and Tukey, Technometrics 5, 1963).

    Args:
        truth: (N,).
        prediction: (N,).
        name: Name of the target, with its unit if it has one, as label of the axes.

    Returns:
        A figure with two panels that share the error's axis.

    Example:
        >>> figure = residuals(np.array([1.0, 2.0]), np.array([1.1, 1.8]), name="price in EUR")
        >>> figure.axes[0].get_xlabel()
        'predicted price in EUR'
    """
    truth, prediction, n_lost = _finite(truth, prediction)
    error = truth - prediction
    figure, (axis, beside) = create_figure(2, beside=True, width=8.6, height=5.0, fractions=(3.0, 1.0))
    low, high = _limits(np.append(error, 0.0))  # always include zero
    _scatter(axis, prediction, error, (*_limits(prediction), low, high), bar_beside=beside)
    axis.axhline(0, color=RED, linestyle="--", linewidth=1.2, label="no error")
    beside.hist(error, bins=np.linspace(low, high, 41).tolist(), orientation="horizontal", color=BLUE)
    beside.axhline(0, color=RED, linestyle="--", linewidth=1.2)
    if error.size:
        middle = float(np.median(error))
        axis.axhline(middle, color="black", linestyle=":", linewidth=1.2, label=f"median error {middle:.3g}")
        beside.axhline(middle, color="black", linestyle=":", linewidth=1.2)
    axis.set_xlabel(f"predicted {shorten(name, LONGEST_NAME)}")
    axis.set_ylabel(f"true minus predicted {shorten(name, LONGEST_NAME)}")
    beside.set_xlabel("rows")
    axis.set_title(f"Residuals, {_rows(len(truth), n_lost)}", loc="left")
    _legend_below(figure, axis)
    return figure


def residuals_by_input(error: np.ndarray, inputs: Mapping[str, np.ndarray], *, name: str) -> Figure:
    """Draw the residual of each row over each input, with the median residual.

    Where the median leaves the zero line, the model misses an effect of that input.

    Args:
        error: True minus predicted values (N,).
        inputs: Values (N,) by column. Columns that are not numeric, or have at most 8 distinct numbers, are
            categories, of which the 8 most frequent are shown.
        name: Name of the target, with its unit if it has one, as label of the axes.

    Returns:
        A figure with a panel for each input, all with the same limits for the error.

    Example:
        >>> figure = residuals_by_input(np.array([0.1, -0.2]), {"age": np.array([30.0, 40.0])}, name="price")
        >>> figure.axes[0].get_xlabel()
        'age'
    """
    columns = min(3, len(inputs))
    rows = -(-len(inputs) // columns)
    figure = Figure(figsize=(3.1 * columns + 0.8, 2.9 * rows + 0.6), dpi=DPI, facecolor="white", layout="constrained")
    error = np.asarray(error, dtype=float)
    low, high = _limits(np.append(error[np.isfinite(error)], 0.0))
    for place, (title, values) in enumerate(inputs.items()):
        axis = figure.add_subplot(rows, columns, place + 1)
        axis.spines[["top", "right"]].set_visible(False)
        draw = _along_number if _is_spread(np.asarray(values)) else _along_category
        draw(axis, np.asarray(values), error)
        axis.axhline(0, color=RED, linestyle="--", linewidth=1.2, label="no error")
        axis.set_ylim(low, high)
        axis.set_xlabel(shorten(title, 28))
        if place % columns == 0:
            axis.set_ylabel(f"true minus predicted\n{shorten(name, 28)}")
    figure.suptitle("Residuals over the strongest inputs", x=0.01, ha="left")
    _legend_below(figure, figure.axes[0])
    return figure


def _is_spread(values: np.ndarray) -> bool:
    """Return whether values are numbers with more distinct values than a category."""
    return values.dtype.kind in "fiub" and len(np.unique(values[np.isfinite(values)])) > MOST_LEVELS


def _along_number(axis: Axes, values: np.ndarray, error: np.ndarray) -> None:
    """Draw points, or cells of counts, and the median residual in up to ten equal groups of at least 20 rows."""
    values, error, _ = _finite(values, error)
    low, high = _limits(values)
    _scatter(axis, values, error, (low, high, *_limits(np.append(error, 0.0))), bar_beside=None)
    count = int(np.clip(len(values) // 20, 1, 10))
    groups = [rows for rows in np.array_split(np.argsort(values, kind="stable"), count) if len(rows)]
    middles = [float(np.median(values[rows])) for rows in groups]
    axis.plot(middles, [float(np.median(error[rows])) for rows in groups], color=BLACK, label="median error")


def _along_category(axis: Axes, values: np.ndarray, error: np.ndarray) -> None:
    """Draw box plots of the most frequent categories, with whiskers at the 5th and 95th percentile."""
    kept = np.isfinite(error)
    names = np.array([_level(value) for value in values[kept]], dtype=object)
    categories, counts = np.unique(names, return_counts=True)
    shown = [str(categories[place]) for place in np.argsort(-counts, kind="stable")[:MOST_LEVELS]]
    axis.boxplot(
        [error[kept][names == level] for level in shown], whis=(5, 95), showfliers=False,
        medianprops={"color": BLACK}, boxprops={"color": BLUE}, whiskerprops={"color": BLUE}, capprops={"color": BLUE},
    )  # fmt: skip
    axis.set_xticks(range(1, len(shown) + 1), [shorten(level, 12) for level in shown], rotation=40, ha="right")
    axis.plot([], [], color=BLACK, label="median error")


def _level(value: Any) -> str:
    if isinstance(value, (int, float, np.number)):
        return f"{value:.15g}" if np.isfinite(value) else "missing"
    return str(value) or "missing"


def _finite(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the rows in which both numbers are finite, and the number of other rows."""
    truth, prediction = np.asarray(truth, dtype=float), np.asarray(prediction, dtype=float)
    if truth.shape != prediction.shape or truth.ndim != 1:
        raise ValueError(f"truth and prediction must both be (N,), received {truth.shape}, {prediction.shape}")
    kept = np.isfinite(truth) & np.isfinite(prediction)
    return truth[kept], prediction[kept], int((~kept).sum())


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Return axis limits with a margin, also if all values are equal."""
    if not values.size:
        return -1.0, 1.0
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low)
    if margin <= 1e-12 * max(abs(low), abs(high)):  # practically a single value
        margin = 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _scatter(axis: Axes, x: np.ndarray, y: np.ndarray, box: Box, *, bar_beside: Axes | None) -> None:
    """Draw points, more transparent if there are more, or hexagonal cells of counts for very many."""
    if len(x) > MOST_POINTS:
        cells = axis.hexbin(x, y, gridsize=45, extent=box, bins="log", mincnt=1, cmap=DENSITY, linewidths=0.2)
        if bar_beside is not None:
            bar_beside.figure.colorbar(cells, ax=bar_beside, shrink=0.7, label="rows in a cell")
    else:
        alpha = float(np.clip(12 / max(len(x), 1) ** 0.5, 0.3, 0.9))
        axis.scatter(x, y, s=16, color=BLUE, alpha=alpha, linewidths=0)
    axis.set_xlim(box[0], box[1])
    axis.set_ylim(box[2], box[3])


def _rows(n: int, n_lost: int) -> str:
    text = f"{n:,} row" + ("" if n == 1 else "s")
    return text + (f" ({n_lost:,} not finite, left out)" if n_lost else "")


def _legend_below(figure: Figure, axis: Axes) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
