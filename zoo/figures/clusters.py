"""Figures of a clustering: latent space, cluster sizes and reconstructions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoo.figures.images import draw_image
from zoo.figures.style import BLUE, GREY, LINES, add_legend_beside, create_figure, shorten

MOST_POINTS = 5000
MOST_COLUMNS = 20
MOST_IMAGES = 10
MOST_NAMES = 40


def project_to_plane(latent: np.ndarray) -> np.ndarray:
    """Return the two principal components of vectors (N, L), shape (N, 2): Pearson 1901.

    Example:
        >>> project_to_plane(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 3.0]])).shape
        (2, 2)
    """
    latent = np.nan_to_num(np.asarray(latent, np.float64))
    centred = latent - latent.mean(axis=0)
    _, _, axes = np.linalg.svd(centred[:MOST_POINTS], full_matrices=False)
    plane = centred @ axes[:2].T
    return np.pad(plane, ((0, 0), (0, 2 - plane.shape[1])))


def latent_map(
    points: np.ndarray,
    clusters: np.ndarray,
    *,
    labels: np.ndarray | None = None,
    names: Sequence[str] = (),
    title: str = "Latent space",
) -> Figure:
    """Draw rows in the plane, coloured by cluster and, if there are labels, next to it by label.

    Args:
        points: (N, 2); at most 5,000 of them are drawn.
        clusters: (N,) cluster of each row; its number is drawn at the median of its rows.
        labels: (N,) label codes, -1 for unlabelled rows, which are left out; or None.
        names: Names of the labels by code; default the codes.
        title: Title of the first panel.

    Example:
        >>> figure = latent_map(np.zeros((3, 2)), np.array([0, 0, 1]), labels=np.array([1, 1, 0]))
        >>> [panel.get_title(loc="left") for panel in figure.axes]
        ['Latent space, by cluster', 'by label']
    """
    chosen = np.random.default_rng(0).permutation(len(points))[:MOST_POINTS]
    panels = 1 if labels is None else 2
    figure, axes = create_figure(panels, beside=True, width=6.0 * panels, height=5.4)
    _scatter(axes[0], points[chosen], clusters[chosen])
    axes[0].set_title(f"{shorten(title, 40)}, by cluster", loc="left")
    if labels is not None:
        _scatter(axes[1], points[chosen], labels[chosen], names)
        axes[1].set_title("by label", loc="left")
    for panel in axes:
        panel.set_xlabel("first principal component")
    axes[0].set_ylabel("second principal component")
    return figure


def _scatter(axis: Axes, points: np.ndarray, groups: np.ndarray, names: Sequence[str] = ()) -> None:
    codes = np.unique(groups[groups >= 0])
    colours = LINES if len(codes) <= len(LINES) else colormaps["turbo"](np.linspace(0.05, 0.95, len(codes)))
    size = float(np.clip(2000 / max(len(points), 1), 3, 18))
    for index, code in enumerate(codes):
        rows = points[groups == code]
        colour = colours[index % len(colours)]
        axis.scatter(rows[:, 0], rows[:, 1], s=size, color=[colour], alpha=0.7, linewidths=0)
    for code in codes if len(codes) <= MOST_NAMES else ():  # drawn last, on top of the points
        middle = np.median(points[groups == code], axis=0)
        frame = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
        name = shorten(names[code], 12) if names else str(code)
        axis.text(middle[0], middle[1], name, fontsize=9, fontweight="bold", ha="center", va="center", bbox=frame)


def cluster_sizes(clusters: np.ndarray, k: int) -> Figure:
    """Draw the number of rows of each cluster.

    Args:
        clusters: (N,) cluster of each row.
        k: Requested number of clusters; empty ones are also shown.

    Example:
        >>> figure = cluster_sizes(np.array([0, 0, 2]), 3)
        >>> [int(patch.get_height()) for patch in figure.axes[0].patches]
        [2, 0, 1]
    """
    counts = np.bincount(np.asarray(clusters, np.int64), minlength=k)
    figure, (axis,) = create_figure(width=float(np.clip(2 + 0.35 * k, 5, 14)), height=3.6)
    axis.bar(np.arange(len(counts)), counts.astype(float), color=BLUE)
    axis.axhline(counts.sum() / k, color=GREY, linestyle="--", linewidth=1, label="equal sizes")
    axis.set_xlabel("cluster")
    axis.set_ylabel("rows")
    every = 1 + (len(counts) - 1) // 30
    axis.set_xticks(np.arange(0, len(counts), every))
    empty = int((counts == 0).sum())
    axis.set_title(f"Sizes of {k} clusters" + (f", {empty} of them empty" if empty else ""), loc="left")
    add_legend_beside(axis)
    return figure


def reconstructions(original: np.ndarray, reconstructed: np.ndarray) -> Figure:
    """Draw up to ten images above their reconstructions by an autoencoder.

    Args:
        original: (N, H, W, C).
        reconstructed: (N, H, W, C), in the same units.

    Example:
        >>> len(reconstructions(np.zeros((3, 4, 4, 1)), np.zeros((3, 4, 4, 1))).axes)
        6
    """
    count = min(MOST_IMAGES, len(original))
    low, high = float(np.min(original[:count])), float(np.max(original[:count]))
    figure = Figure(figsize=(max(1.0 * count + 0.6, 3.2), 2.6), dpi=120, facecolor="white", layout="constrained")
    panels = figure.subplots(2, count, squeeze=False)
    for row, (name, images) in enumerate((("original", original), ("reconstructed", reconstructed))):
        for column in range(count):
            draw_image(panels[row, column], images[column], low=low, high=high)
        panels[row, 0].set_ylabel(name)
    figure.suptitle("Images and their reconstructions", x=0.01, ha="left", fontsize=11)
    return figure


def column_errors(names: Sequence[str], errors: np.ndarray) -> Figure:
    """Draw the reconstruction errors of the columns with the largest ones, up to 20.

    Args:
        names: Names of the F columns.
        errors: (F,) mean squared errors as a fraction of each column's variance: 1 is as bad as predicting the mean.

    Example:
        >>> figure = column_errors(["a", "b"], np.array([0.1, 0.4]))
        >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
        ['b', 'a']
    """
    order = np.argsort(-np.nan_to_num(errors), kind="stable")[:MOST_COLUMNS]
    figure, (axis,) = create_figure(width=7.0, height=float(np.clip(1.2 + 0.26 * len(order), 2.4, 7)))
    places = np.arange(len(order))
    axis.barh(places, np.nan_to_num(errors)[order], color=BLUE)
    axis.axvline(1.0, color=GREY, linestyle="--", linewidth=1, label="as bad as the mean")
    axis.set_yticks(places, [shorten(names[index], 28) for index in order])
    axis.invert_yaxis()
    axis.set_xlabel("mean squared reconstruction error / variance")
    axis.set_title(f"Columns with the largest reconstruction error, {len(order)} of {len(names)}", loc="left")
    add_legend_beside(axis)
    return figure
