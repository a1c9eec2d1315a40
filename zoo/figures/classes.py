"""Figures of a classifier: confusion matrix and reliability diagram."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoo.figures.style import BLUE, GREY, SHARES, SKY, add_legend_beside, create_figure, shorten

MOST_NUMBERED = 20
MOST_NAMED = 60
BINS = 15


def confusion_matrix(truth: np.ndarray, prediction: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw the confusion matrix: how often each true class was predicted as each class.

    Cells show the count and, as colour and per cent, the fraction of the true class; above 20 classes only the colour.

    Args:
        truth: (N,) class indices.
        prediction: (N,) class indices.
        classes: Names of the K classes by index.

    Returns:
        A figure with one panel and a colour bar; true classes are rows.

    Example:
        >>> figure = confusion_matrix(np.array([0, 1, 1]), np.array([0, 1, 0]), ["no", "yes"])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['1\\n100 %', '0\\n0 %', '1\\n50 %', '1\\n50 %']
    """
    k = len(classes)
    truth, prediction = np.asarray(truth, dtype=np.int64), np.asarray(prediction, dtype=np.int64)
    counts = np.bincount(truth * k + prediction, minlength=k * k).reshape(k, k)
    totals = counts.sum(axis=1, keepdims=True)
    fractions = counts / np.maximum(totals, 1)

    side = float(np.clip(2.8 + 0.62 * k, 4.2, 13.0))
    figure, (axis,) = create_figure(width=side + 1.0, height=side)
    axis.grid(False)
    image = axis.imshow(fractions, cmap=SHARES, vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=axis, shrink=0.7, label="fraction of the true class")
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    _name_classes(axis, classes)
    if k <= MOST_NUMBERED:
        _write_cells(axis, counts, fractions)
    right = np.trace(counts) / max(counts.sum(), 1)
    axis.set_title(f"Confusion matrix: {100 * right:.1f} % of {counts.sum():,} rows correct", loc="left")
    return figure


def _name_classes(axis: Axes, classes: Sequence[str]) -> None:
    axis.set_xlabel("predicted class")
    axis.set_ylabel("true class")
    every = 1 + (len(classes) - 1) // MOST_NAMED
    shown = range(0, len(classes), every)
    names = [shorten(classes[index], 20) for index in shown]
    size = 9 if len(shown) <= 30 else 7
    upright = len(classes) <= 20 and max((len(name) for name in names), default=0) <= (9 if len(classes) < 8 else 3)
    axis.set_xticks(shown, names, fontsize=size, rotation=0 if upright else 90)
    axis.set_yticks(shown, names, fontsize=size)


def _write_cells(axis: Axes, counts: np.ndarray, fractions: np.ndarray) -> None:
    k = len(counts)
    size = 9 if k <= 10 else 6
    for row, column in np.ndindex(k, k):
        fraction = fractions[row, column]
        # Black text on light colours, white text on dark ones.
        colour = "white" if fraction > 0.45 else "black"
        text = f"{_short_count(int(counts[row, column]))}\n{100 * fraction:.0f} %"
        axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)


def _short_count(count: int) -> str:
    """Return the count in about five characters, so that it fits a cell."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= 100 * size or (unit == "M" and count >= size):
            return f"{count / size:.3g}{unit}"
    return f"{count:,}"


def reliability(truth: np.ndarray, probabilities: np.ndarray) -> Figure:
    """Draw the reliability diagram: accuracy against confidence, in 15 bins of equal mass.

    After Murphy and Winkler (Applied Statistics 26, 1977), for the most likely class
    (Guo and others, ICML 2017). Error bars are 95 % intervals (Wilson, 1927); the lower panel
    counts rows by confidence.

    Args:
        truth: (N,) class indices.
        probabilities: (N, K); rows with NaN are left out.

    Returns:
        A figure with two panels, the curve above the counts.

    Example:
        >>> figure = reliability(np.array([0, 1]), np.array([[0.9, 0.1], [0.4, 0.6]]))
        >>> [panel.get_ylabel() for panel in figure.axes]
        ['accuracy', 'rows']
    """
    probabilities = np.asarray(probabilities, dtype=float)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == np.asarray(truth)
    usable = np.isfinite(confidence)
    confidence, right = confidence[usable], right[usable]

    figure, (upper, lower) = create_figure(2, width=7.2, height=6.0, fractions=(3.0, 1.0))
    upper.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfectly calibrated")
    if confidence.size:
        _draw_bins(upper, confidence, right)
    lower.hist(confidence, bins=np.linspace(0, 1, 41).tolist(), color=SKY, edgecolor="white", linewidth=0.4)
    left = min(1 / probabilities.shape[1], confidence.min(initial=1.0))  # the top class has at least 1/K
    upper.set_xlim(left - 0.02, 1.02)
    upper.set_ylim(-0.02, 1.02)
    upper.set_ylabel("accuracy")
    lower.set_ylabel("rows")
    lower.set_xlabel("confidence: probability of the most likely class")
    upper.set_title(f"Reliability of the probabilities, {confidence.size:,} rows", loc="left")
    add_legend_beside(upper)
    return figure


def _draw_bins(axis: Axes, confidence: np.ndarray, right: np.ndarray) -> None:
    """Draw the bins with their intervals; ties share a bin."""
    order = np.argsort(confidence, kind="stable")
    ranked = confidence[order]
    middle = (np.searchsorted(ranked, ranked, "left") + np.searchsorted(ranked, ranked, "right")) / 2
    member = np.minimum((middle * BINS / len(ranked)).astype(int), BINS - 1)
    counts = np.bincount(member, minlength=BINS)
    filled = counts > 0
    counts = counts[filled]
    sure = np.bincount(member, ranked, BINS)[filled] / counts
    fraction = np.bincount(member, right[order], BINS)[filled] / counts
    low, high = _wilson(fraction, counts)
    sizes = f"{counts.min():,}" if counts.min() == counts.max() else f"{counts.min():,} to {counts.max():,}"
    rows = "row" if counts.max() == 1 else "rows"
    spread = np.stack([np.maximum(fraction - low, 0), np.maximum(high - fraction, 0)])
    label = f"{len(counts)} bin{'s' * (len(counts) != 1)}\nof {sizes} {rows},\nwith 95 % interval"
    axis.errorbar(sure, fraction, yerr=spread, color=BLUE, marker="o", markersize=5, linewidth=1.2, label=label)


def _wilson(fraction: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z2 = 1.959964**2
    centre = (fraction + z2 / (2 * counts)) / (1 + z2 / counts)
    half = np.sqrt(z2 * (fraction * (1 - fraction) / counts + z2 / (4 * counts**2))) / (1 + z2 / counts)
    return centre - half, centre + half
