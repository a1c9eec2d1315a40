"""Figures of a clustering: latent space, sizes, what sets clusters apart, their hierarchy, and reconstructions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset, Split
from zoo.figures.clusters import cluster_sizes, column_errors, latent_map, project_to_plane, reconstructions
from zoo.figures.images import draw_image
from zoo.figures.style import (
    BLACK,
    GREY,
    LINES,
    create_figure,
    shorten,
)
from zoo.inspection.probe_rows import choose_rows
from zoo.models.built_model import split_model
from zoo.spec import ImageInput, NumberInput, Spec
from zoo.training.preprocessed_arrays import preprocess

from ._hierarchy import Hierarchy
from ._metrics import compute_reference_features
from ._profile import Profile

MOST_FEATURES, MOST_CLUSTERS = 20, 30
MOST_IMAGES = 5_000  # of which means and typical ones are drawn
MOST_LEAVES = 50
CLEAR_EFFECT = 3.0  # in standard deviations, at which the colour is darkest
SIGNED = "RdBu"  # red for less, blue for more: distinguishable with any kind of colour blindness


def draw_figures(
    dataset: Dataset, split: str, output: Mapping[str, np.ndarray], model: Any, profile: Profile
) -> dict[str, Any]:
    """Return the figures of one split, by name.

    Args:
        dataset: The data.
        split: Name of the split.
        output: The model's outputs for the split's rows.
        model: The model, which provides the preprocessing for reconstructions.
        profile: Profile of the clusters of the split's rows.
    """
    rows, spec = dataset.splits[split], dataset.spec
    assigned = output["cluster"].argmax(axis=1)
    drawn = {
        "latent_map": latent_map(
            project_to_plane(output["latent"]), assigned, labels=rows.target, names=dataset.labels
        ),
        "cluster_sizes": cluster_sizes(assigned, spec.options["clusters"]),
    }
    if not profile.effects.empty:
        drawn["cluster_profile"] = draw_profile(profile)
    if spec.of_kind(ImageInput):
        return {**drawn, **_draw_images(rows, spec, output, profile)}
    numbers = [column.name for column in spec.of_kind(NumberInput)]
    if numbers:  # they come first among the preprocessed columns
        preprocessing = split_model(model).preprocessing
        assert preprocessing is not None
        wanted = preprocess(preprocessing.model(), rows).x["features"][:, : len(numbers)]
        spread = np.maximum(wanted.var(axis=0), 1e-12)
        errors = np.square(wanted - output["reconstruction"][:, : len(numbers)]).mean(axis=0) / spread
        drawn["column_errors"] = column_errors(numbers, errors)
    return drawn


def _draw_images(rows: Split, spec: Spec, output: Mapping[str, np.ndarray], profile: Profile) -> dict[str, Any]:
    """Return the figures of images: reconstructions, and the images of each cluster."""
    image = spec.only(ImageInput)
    shape = output["reconstruction"].shape[1:]

    def read(chosen: np.ndarray) -> np.ndarray:
        return compute_reference_features(rows, spec, chosen).reshape(-1, *shape) * np.max(image.std)

    few = np.arange(min(10, len(rows)))
    reconstruction = output["reconstruction"][few] * np.array(image.std) + np.array(image.mean)
    sample = choose_rows(len(rows), MOST_IMAGES)
    images, assigned = read(sample), profile.assigned[sample]
    means = [images[assigned == cluster].mean(axis=0) for cluster in np.unique(assigned)]
    return {
        "reconstructions": reconstructions(read(few), reconstruction),
        "cluster_images": draw_cluster_images(
            profile, dict(zip(np.unique(assigned).tolist(), means, strict=True)), [read(few) for few in profile.typical]
        ),
    }


def draw_profile(profile: Profile) -> Any:
    """Draw what sets each cluster apart: a table of clusters by features, with the standardised difference as colour.

    The features shown are those with the largest effects on any cluster.

    Example:
        >>> import pandas as pd
        >>> effects = {"cluster": [0, 1], "feature": "age", "effect": [2.0, -2.0], "standardized": [2.0, -2.0]}
        >>> profile = Profile(np.array([0, 1]), 2, [np.array([0]), np.array([1])], pd.DataFrame(effects))
        >>> [text.get_text() for text in draw_profile(profile).axes[0].texts]
        ['+2.0', '-2.0']
    """
    wide = profile.effects.pivot_table("standardized", "cluster", "feature", sort=False)
    chosen = wide.abs().max().sort_values(ascending=False, kind="stable").index[:MOST_FEATURES]
    cells = wide.reindex(range(profile.clusters))[chosen].iloc[:MOST_CLUSTERS].T
    width = float(np.clip(4.0 + 0.55 * cells.shape[1], 6, 16))
    figure, (axis,) = create_figure(width=width, height=float(np.clip(1.6 + 0.28 * len(cells), 3, 8)))
    axis.grid(visible=False)
    values = cells.to_numpy(np.float64)
    drawn = axis.imshow(values, cmap=SIGNED, vmin=-CLEAR_EFFECT, vmax=CLEAR_EFFECT, aspect="auto")
    for row, column in np.argwhere(np.isfinite(values)):
        colour = "white" if abs(values[row, column]) > 0.7 * CLEAR_EFFECT else "black"
        text = f"{values[row, column]:+.1f}"
        axis.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    counts = np.bincount(profile.assigned, minlength=profile.clusters)
    names = [f"{cluster}\n{counts[cluster]:,}" for cluster in range(len(values.T))]
    axis.set_xticks(range(len(names)), names, fontsize=8)
    axis.set_yticks(range(len(cells)), [shorten(name, 32) for name in cells.index])
    axis.set_xlabel("cluster, and its number of rows")
    axis.set_title(f"What sets clusters apart: {len(cells)} of {wide.shape[1]} features", loc="left")
    figure.colorbar(drawn, ax=axis, label="difference to the rest / standard deviation", extend="both")
    return figure


def draw_cluster_images(profile: Profile, means: Mapping[int, np.ndarray], typical: Sequence[np.ndarray]) -> Any:
    """Draw for each cluster the mean image and its typical images.

    Args:
        profile: The profile.
        means: Mean image (H, W, C) of each cluster that is not empty.
        typical: Images (T, H, W, C) of the profile's typical rows, for each cluster.

    Example:
        >>> import pandas as pd
        >>> profile = Profile(np.array([0, 0, 1]), 2, [np.array([0, 1]), np.array([2])], pd.DataFrame())
        >>> image = np.zeros((4, 4, 1))
        >>> figure = draw_cluster_images(profile, {0: image, 1: image}, [np.stack([image, image]), image[None]])
        >>> [panel.get_ylabel() for panel in figure.axes if panel.get_ylabel()]
        ['0: 2', '1: 1']
    """
    shown = min(profile.clusters, MOST_CLUSTERS)
    columns = 1 + max(1, *map(len, typical))
    figure, _ = create_figure(width=1.0 * columns + 1.0, height=0.95 * shown + 0.9)
    figure.clear()
    panels = figure.subplots(shown, columns, squeeze=False)
    every = np.concatenate([few for few in typical if len(few)])
    low, high = float(every.min()), float(every.max())
    counts = np.bincount(profile.assigned, minlength=profile.clusters)
    for cluster, line in enumerate(panels):
        pictures = [means[cluster], *typical[cluster]] if cluster in means else []
        for panel, image in zip(line, pictures, strict=False):
            draw_image(panel, image, low=low, high=high)
        for panel in line[max(len(pictures), 1) :]:
            panel.set_axis_off()
        line[0].set_xticks([])
        line[0].set_yticks([])
        line[0].set_ylabel(f"{cluster}: {counts[cluster]:,}", rotation=0, ha="right", va="center")
    panels[0, 0].set_title("mean", fontsize=10)
    panels[0, 1].set_title("typical", fontsize=10)
    figure.suptitle("Images of each cluster, with its number of rows", x=0.01, ha="left", fontsize=11)
    return figure


def draw_hierarchy(hierarchy: Hierarchy) -> dict[str, Any]:
    """Return the figures by name: ``dendrogram`` of rows and ``cluster_tree`` of the model's clusters."""
    return {"dendrogram": draw_rows(hierarchy), "cluster_tree": draw_clusters(hierarchy)}


def draw_rows(hierarchy: Hierarchy) -> Any:
    """Draw the tree over training rows, down to 50 groups, each with its number of rows and most frequent cluster.

    Example:
        >>> points = np.array([[0.0], [0.1], [9.0], [9.1]])
        >>> figure = draw_rows(Hierarchy(points[::2], points, np.array([0, 0, 1, 1])))
        >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
        ['1', '1', '0', '0']
    """
    from scipy.cluster.hierarchy import to_tree

    tree, clusters = hierarchy.rows, len(hierarchy.means)
    nodes = to_tree(tree, rd=True)[1]

    def describe(node: int) -> str:
        members = nodes[node].pre_order()
        cluster = np.bincount(hierarchy.assigned[members]).argmax()
        return f"{cluster}" if len(members) == 1 else f"{cluster} ({len(members)})"

    title = f"Ward's tree of {len(hierarchy.latent):,} training rows in the latent space"
    axis = _draw_tree(tree, min(clusters, len(hierarchy.latent)), describe, title)
    axis.set_xlabel("most frequent cluster of a group (and its number of rows)")
    return axis.figure


def draw_clusters(hierarchy: Hierarchy) -> Any:
    """Draw the tree over the means of the model's clusters, with the height of each cut.

    Example:
        >>> points = np.array([[0.0], [1.0], [9.0]])
        >>> figure = draw_clusters(Hierarchy(points, points, np.arange(3)))
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['--cut 2']
    """
    tree = hierarchy.clusters
    counts = np.bincount(hierarchy.assigned, minlength=len(hierarchy.means)) / max(len(hierarchy.assigned), 1)
    title = f"Which of the {len(hierarchy.means)} clusters lie inside coarser ones"
    axis = _draw_tree(tree, 1, lambda node: f"{node}\n{100 * counts[node]:.0f} %" if node < len(counts) else "…", title)
    axis.set_xlabel("cluster, and its fraction of the training rows")
    heights = tree[:, 2]
    least = 0.05 * heights.max(initial=0)  # closer lines would hide each other's text
    last = np.inf
    for cut in range(2, len(heights) + 1):
        height = (heights[-cut] + heights[1 - cut]) / 2
        if last - height >= least:
            axis.axhline(height, color=GREY, linestyle=":", linewidth=0.8)
            axis.text(1.0, height, f"--cut {cut}", transform=axis.get_yaxis_transform(), fontsize=8, va="center")
            last = height
    return axis.figure


def _draw_tree(tree: np.ndarray, coloured: int, describe: Any, title: str) -> Any:
    """Draw a tree with the branches of its last groups in colours, and return the panel."""
    from scipy.cluster.hierarchy import dendrogram, set_link_color_palette

    leaves = min(len(tree) + 1, MOST_LEAVES)
    _, (axis,) = create_figure(width=float(np.clip(3 + 0.26 * leaves, 7, 16)), height=5.0)
    heights = tree[:, 2]
    threshold = (heights[-coloured] + heights[1 - coloured]) / 2 if 1 < coloured <= len(heights) else 0.0
    set_link_color_palette(list(LINES[:-1]))
    dendrogram(
        tree, p=leaves, truncate_mode="lastp", leaf_label_func=describe, color_threshold=threshold,
        above_threshold_color=BLACK, ax=axis, leaf_rotation=90 if leaves > 15 else 0, leaf_font_size=9,
    )  # fmt: skip
    set_link_color_palette(None)
    axis.grid(axis="x", visible=False)
    axis.set_ylabel("Ward's distance")
    axis.set_title(title, loc="left")
    return axis
