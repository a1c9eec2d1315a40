"""Figures of segmentation: images with true and predicted masks over them, and scores by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.data.dataset import Split
from zoo.figures.images import draw_image
from zoo.figures.style import BLUE, LINES, create_figure, shorten
from zoo.spec import ImageInput, Spec

from ._mask_dataset import VOID, get_images, get_mask
from ._mask_metrics import compute_iou, create_class_table

OPACITY = 0.55
MOST_CLASSES_SHOWN = 30


def draw_figures(split: Split, spec: Spec, predicted: Sequence[np.ndarray], confusions: np.ndarray) -> dict[str, Any]:
    """Return the figures of one split, by name.

    Args:
        split: The images.
        spec: Their spec.
        predicted: Class indices (H, W) of each image.
        confusions: Confusion matrix of each image (N, K, K).
    """
    return {
        "overlays": draw_overlays(split, spec, predicted, confusions),
        "iou_by_class": draw_classes(confusions, spec.target.classes),
    }


def draw_overlays(split: Split, spec: Spec, predicted: Sequence[np.ndarray], confusions: np.ndarray) -> Any:
    """Draw the best, the median and the worst image, each with its true and its predicted mask over it."""
    scores = np.nanmean(compute_iou(confusions), axis=-1)
    order = np.argsort(-np.nan_to_num(scores), kind="stable")
    chosen = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    images = get_images(split, spec)
    figure, _ = create_figure(width=8.5, height=8.7)
    figure.clear()
    panels = figure.subplots(len(chosen), 3, squeeze=False)
    white = 255.0 if spec.only(ImageInput).integer else float(images.values.max(initial=1))
    for line, (name, row) in zip(panels, chosen.items(), strict=True):
        image, truth = images.example(row), get_mask(split, row, images.sizes[row])
        for panel, mask in zip(line, (None, truth, predicted[row]), strict=True):
            shown = image if mask is None else draw_over(image, mask, white)
            draw_image(panel, shown, high=white)
        file = f"row {split.rows[row] + 1}" if split.files is None else split.files[row]
        line[0].set_title(f"{name}: {shorten(str(file), 26)}", loc="left", fontsize=10)
        line[1].set_title("mask", loc="left", fontsize=10)
        line[2].set_title(f"prediction, iou_mean {scores[row]:.3f}", loc="left", fontsize=10)
    classes = spec.target.classes
    handles = [
        figure.axes[0].scatter([], [], marker="s", s=60, color=choose_colour(index), label=shorten(classes[index], 20))
        for index in range(1, min(len(classes), MOST_CLASSES_SHOWN))
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=6, frameon=False, fontsize=9)
    return figure


def choose_colour(index: int) -> str:
    """Return the colour of a class; the first, usually the background, is not coloured."""
    return LINES[(index - 1) % len(LINES)]


def draw_over(image: np.ndarray, mask: np.ndarray, white: float) -> np.ndarray:
    """Return an image in grey (H, W, 3) with the classes of a mask over it in colour, the first left out.

    Args:
        image: (H, W, C) with one channel or three.
        mask: Class indices (H, W).
        white: Value of white.

    Example:
        >>> draw_over(np.zeros((1, 2, 1)), np.array([[0, 1]]), 255)[0, 0].tolist()
        [0.0, 0.0, 0.0]
    """
    blended = np.repeat(image.mean(axis=-1, keepdims=True), 3, axis=-1)
    for index in np.unique(mask):
        if index not in (0, VOID):
            code = choose_colour(int(index)).lstrip("#")
            colour = white / 255 * np.frombuffer(bytes.fromhex(code), np.uint8)
            blended[mask == index] = (1 - OPACITY) * blended[mask == index] + OPACITY * colour
    return blended


def draw_classes(confusions: np.ndarray, classes: Sequence[str]) -> Any:
    """Draw the intersection over union of each class, over all images.

    Example:
        >>> draw_classes(np.array([[[3, 1], [0, 4]]]), ["sky", "tree"]).axes[0].get_xlabel()
        'intersection over union'
    """
    table = create_class_table(confusions, classes).head(MOST_CLASSES_SHOWN)
    figure, (axis,) = create_figure(width=7.0, height=1.4 + 0.32 * len(table))
    axis.barh(np.arange(len(table)), table["iou"].fillna(0.0), color=BLUE)
    labels = [f"{shorten(name, 20)}, {pixels:,} pixels" for name, pixels in table[["class", "pixels"]].to_numpy()]
    axis.set_yticks(np.arange(len(table)), labels, fontsize=9)
    axis.set_ylim(len(table) - 0.4, -0.6)
    axis.set_xlim(0, 1.08)
    for place, value in enumerate(table["iou"]):
        axis.text(float(np.nan_to_num(value)) + 0.01, place, "–" if np.isnan(value) else f"{value:.3f}", va="center")
    axis.set_xlabel("intersection over union")
    axis.set_title("Intersection over union by class", loc="left")
    return figure


def describe_figures(split: Split, spec: Spec, confusions: np.ndarray) -> Mapping[str, Any]:
    """Return the tables of one split, by name: the scores of each class, and of each image from the worst on."""
    import pandas as pd

    images = pd.DataFrame({"row": split.rows + 1})
    if split.files is not None:
        images.insert(0, "file", split.files)
    by_class = compute_iou(confusions)
    images["iou_mean"] = np.nanmean(by_class, axis=-1)
    for index, name in enumerate(spec.target.classes):
        images[f"iou_{name}"] = by_class[:, index]
    worst = images.sort_values("iou_mean", kind="stable")
    return {"scores_by_class": create_class_table(confusions, spec.target.classes), "scores_by_image": worst}
