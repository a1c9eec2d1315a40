"""Figures of image classifiers: worst errors, similar images, filters, feature maps, occlusion maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoo.figures.style import DPI, shorten

MOST_ERRORS = 20
MOST_FILTERS = 64
MOST_MAPS = 8
COLUMNS = 5


def draw_image(axis: Axes, image: np.ndarray, *, low: float = 0.0, high: float = 255.0) -> None:
    """Draw one image into a panel, without axes.

    Args:
        axis: The panel.
        image: (H, W, C) with one channel or three.
        low: Value that is black.
        high: Value that is white.
    """
    scaled = np.clip((np.asarray(image, np.float64) - low) / max(high - low, 1e-12), 0, 1)
    grey = scaled.shape[-1] == 1
    axis.imshow(scaled[..., 0] if grey else scaled, cmap="gray" if grey else None, vmin=0, vmax=1)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)


def list_errors(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Return the rows of wrong predictions, the most confident first.

    Args:
        truth: (N,) class indices.
        prediction: (N, K) probabilities.

    Example:
        >>> list_errors(np.array([0, 0, 1]), np.array([[0.4, 0.6], [0.1, 0.9], [0.2, 0.8]])).tolist()
        [1, 0]
    """
    wrong = np.flatnonzero(prediction.argmax(axis=1) != truth)
    return np.asarray(wrong[np.argsort(-prediction[wrong].max(axis=1), kind="stable")])


def worst_errors(images: Sequence[Any], truth: np.ndarray, prediction: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw up to 20 misclassified images, the most confident first.

    Args:
        images: N images (H, W, C), whose sizes may differ.
        truth: (N,) class indices.
        prediction: (N, K) probabilities.
        classes: Names of the K classes by index.

    Example:
        >>> figure = worst_errors(np.zeros((1, 4, 4, 1)), np.array([0]), np.array([[0.1, 0.9]]), ["cat", "dog"])
        >>> figure.axes[0].get_title()
        'cat predicted as\\ndog, 90 %'
    """
    chosen, order = prediction.argmax(axis=1), list_errors(truth, prediction)[:MOST_ERRORS]
    if len(order) == 0:
        return _draw_no_errors()
    rows = -(-len(order) // COLUMNS)
    figure = Figure(figsize=(8.5, 2.1 * rows + 0.5), dpi=DPI, facecolor="white", layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).flat
    for panel in panels:
        panel.set_axis_off()
    for panel, row in zip(figure.axes, order, strict=False):
        image = np.asarray(images[row])
        panel.set_axis_on()
        sure = 100 * prediction[row].max()
        name, taken = shorten(classes[truth[row]], 12), shorten(classes[chosen[row]], 12)
        _draw_titled(panel, image, f"{name} predicted as\n{taken}, {sure:.0f} %", size=9)
    figure.suptitle("Worst errors: most confident first", x=0.01, ha="left", fontsize=11)
    return figure


def filters(kernels: np.ndarray) -> Figure:
    """Draw up to 64 filters of a convolution on a common scale: blue below zero, red above.

    Args:
        kernels: (h, w, C, F); with several channels their mean is drawn.

    Example:
        >>> len(filters(np.zeros((3, 3, 1, 8))).axes)
        9
    """
    shown = np.asarray(kernels, np.float64).mean(axis=2)[..., :MOST_FILTERS]
    count = shown.shape[-1]
    columns = min(count, 8)
    rows = -(-count // columns)
    figure = Figure(
        figsize=(max(0.85 * columns + 1.2, 3.2), 0.85 * rows + 0.7), dpi=DPI, facecolor="white", layout="constrained"
    )
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    most = max(float(np.abs(shown).max()), 1e-12)
    image = None
    for index, panel in enumerate(panels):
        panel.set_axis_off()
        if index < count:
            image = panel.imshow(shown[..., index], cmap="RdBu_r", vmin=-most, vmax=most)
    if image is not None:
        figure.colorbar(image, ax=panels, shrink=0.8)
    figure.suptitle("Filters of the first convolution", x=0.01, ha="left", fontsize=11)
    return figure


def confused_images(triples: Sequence[Sequence[np.ndarray]], titles: Sequence[Sequence[str]]) -> Figure:
    """Draw images that look like another class if they are transformed, a row for each.

    Args:
        triples: For each row the image, the transformed image and a similar image of the other class (H, W, C).
        titles: Their titles.

    Example:
        >>> figure = confused_images([[np.zeros((4, 4, 1))] * 3], [["6", "rotated", "9"]])
        >>> [axis.get_title() for axis in figure.axes]
        ['6', 'rotated', '9']
    """
    figure = Figure(figsize=(6, 2.1 * len(triples) + 0.5), dpi=DPI, facecolor="white", layout="constrained")
    panels = figure.subplots(len(triples), 3, squeeze=False)
    for images, texts, row in zip(triples, titles, panels, strict=True):
        for image, text, panel in zip(images, texts, row, strict=True):
            _draw_titled(panel, image, text, size=9)
    figure.suptitle("Transformed images that look like another class", x=0.01, ha="left", fontsize=11)
    return figure


def nearest_images(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[Sequence[str]]) -> Figure:
    """Draw misclassified images, each with the training images that are nearest to it.

    Args:
        rows: For each misclassified image the image itself and its neighbours (H, W, C).
        titles: Their titles.

    Example:
        >>> figure = nearest_images([[np.zeros((4, 4, 1))] * 3], [["6 predicted as 9", "9", "9"]])
        >>> [axis.get_title() for axis in figure.axes]
        ['6 predicted as 9', '9', '9']
    """
    if not rows:
        return _draw_no_errors()
    columns = max(len(row) for row in rows)
    size = (1.7 * columns, 2.0 * len(rows) + 0.5)
    figure = Figure(figsize=size, dpi=DPI, facecolor="white", layout="constrained")
    panels = figure.subplots(len(rows), columns, squeeze=False)
    for images, texts, row in zip(rows, titles, panels, strict=True):
        for image, text, panel in zip(images, texts, row, strict=True):
            _draw_titled(panel, image, _shorten_lines(text), size=8)
    figure.suptitle("Errors on validation, and the nearest training images", x=0.01, ha="left", fontsize=11)
    return figure


def occlusion_maps(images: Sequence[Any], maps: np.ndarray, titles: Sequence[str]) -> Figure:
    """Draw images, and how much the probability of the predicted class falls where a patch is hidden.

    Args:
        images: N images (H, W, C), whose sizes may differ.
        maps: Fall of the probability (N, h, w); a negative one is a rise.
        titles: Title of each image.

    Example:
        >>> len(occlusion_maps(np.zeros((2, 4, 4, 1)), np.zeros((2, 8, 8)), ["a", "b"]).axes)
        6
    """
    size = (1.9 * len(images) + 1.2, 4.6)
    figure = Figure(figsize=size, dpi=DPI, facecolor="white", layout="constrained")
    panels = figure.subplots(2, len(images), squeeze=False)
    for image, values, title, (top, bottom) in zip(images, maps, titles, panels.T, strict=True):
        image = np.asarray(image)
        _draw_titled(top, image, _shorten_lines(title), size=8)
        most = max(float(np.abs(values).max()), 1e-12)
        extent = (0, image.shape[1], image.shape[0], 0)
        drawn = bottom.imshow(values, cmap="RdBu_r", vmin=-most, vmax=most, extent=extent, interpolation="bilinear")
        bottom.set_axis_off()
        figure.colorbar(drawn, ax=bottom, orientation="horizontal", shrink=0.8).ax.tick_params(labelsize=7)
    text = "Occlusion: where hiding a patch makes the prediction less probable (red)"
    figure.suptitle(text, x=0.01, ha="left", fontsize=11, wrap=True)
    return figure


def feature_maps(images: Sequence[Any], layers: Mapping[str, np.ndarray]) -> Figure:
    """Draw images and their feature maps, a row for each image and layer; each map has a scale of its own.

    Args:
        images: N images (H, W, C), whose sizes may differ.
        layers: Outputs (N, h, w, F) of layers by name; of each, up to 8 maps are drawn, those that vary most.

    Example:
        >>> len(feature_maps(np.zeros((2, 4, 4, 1)), {"convolution": np.zeros((2, 4, 4, 3))}).axes)
        18
    """
    rows = [(image, name, maps[index]) for index, image in enumerate(images) for name, maps in layers.items()]
    size = (8.5, 1.1 * len(rows) + 0.7)
    figure = Figure(figsize=size, dpi=DPI, facecolor="white", layout="constrained")
    panels = figure.subplots(len(rows), MOST_MAPS + 1, squeeze=False)
    for (image, name, maps), row in zip(rows, panels, strict=True):
        for panel in row[1:]:
            panel.set_axis_off()
        draw_image(row[0], image, low=float(min(image.min(), 0)), high=_white(image))
        row[0].set_xlabel(shorten(name, 18), fontsize=8)
        strongest = np.argsort(-maps.std(axis=(0, 1)), kind="stable")[:MOST_MAPS]
        for panel, index in zip(row[1:], strongest, strict=False):
            panel.imshow(maps[..., index], cmap="viridis")
            panel.set_title(f"{index}", fontsize=7)
    figure.suptitle("Feature maps: outputs of the first convolutions", x=0.01, ha="left", fontsize=11)
    return figure


def _draw_titled(panel: Any, image: np.ndarray, title: str, size: int) -> None:
    draw_image(panel, image, low=float(min(image.min(), 0)), high=_white(image))
    panel.set_title(title, fontsize=size)


def _shorten_lines(text: str) -> str:
    return "\n".join(shorten(line, 22) for line in text.split("\n"))


def _draw_no_errors() -> Figure:
    figure = Figure(figsize=(5, 1.6), dpi=DPI, facecolor="white")
    figure.text(0.5, 0.5, "No image was misclassified.", ha="center", va="center", fontsize=12)
    return figure


def _white(image: np.ndarray) -> float:
    return 255.0 if image.dtype == np.uint8 else max(float(image.max()), 1e-12)
