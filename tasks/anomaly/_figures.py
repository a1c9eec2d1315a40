"""Figures of anomaly scores: their distribution, and the columns of the most anomalous rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.figures.style import BLACK, BLUE, RED, SHARES, add_legend_beside, create_figure, shorten

from ._layers import CONTRIBUTIONS, SCORE

_MOST_ROWS, _MOST_COLUMNS, _BINS = 15, 20, 40


def draw_figures(dataset: Dataset, split: str, output: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the figures of one split, by name.

    Args:
        dataset: The data, with the threshold and the names of the columns in the options of its spec.
        split: Name of the split.
        output: The model's outputs for the split's rows.
    """
    rows, options = dataset.splits[split], dataset.spec.options
    score = np.asarray(output[SCORE], float)[:, 0]
    return {
        "score_distribution": draw_scores(score, options.get("threshold"), rows.target),
        "anomalous_columns": draw_columns(score, output[CONTRIBUTIONS], options["columns"], rows.rows + 1),
    }


def draw_scores(score: np.ndarray, threshold: float | None, labels: np.ndarray | None = None) -> Any:
    """Draw the distribution of scores (N,) with the threshold, each group of rows as fractions of its own rows.

    Args:
        score: The scores.
        threshold: Score above which a row is called anomalous; None for none.
        labels: 1 for an anomaly, 0 for others, -1 for unknown; None without labels.

    Example:
        >>> figure = draw_scores(np.array([1.0, 2.0, 30.0]), 10.0, np.array([0, 0, 1]))
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['other rows: 2', 'anomalies: 1', 'threshold']
    """
    figure, (axis,) = create_figure(width=8.0)
    positive = score[score > 0]
    low, high = (positive.min(), positive.max()) if len(positive) else (0.1, 1.0)
    bins = np.geomspace(low, max(high, low * 1.01), _BINS).tolist()
    score = np.clip(score, bins[0], bins[-1])
    groups = [("rows", BLUE, score)]
    if labels is not None:
        groups = [("other rows", BLUE, score[labels != 1]), ("anomalies", RED, score[labels == 1])]
    for name, colour, values in groups:
        fractions = np.full(len(values), 1 / max(len(values), 1))
        axis.hist(values, bins=bins, weights=fractions, color=colour, alpha=0.6, label=f"{name}: {len(values):,}")
    if threshold is not None:
        axis.axvline(threshold, color=BLACK, linestyle="--", linewidth=1, label="threshold")
    axis.set_xscale("log")
    axis.set_xlabel("anomaly score")
    axis.set_ylabel("fraction of the rows")
    axis.set_title("Distribution of the anomaly scores", loc="left")
    add_legend_beside(axis)
    return figure


def draw_columns(score: np.ndarray, contributions: np.ndarray, columns: Any, rows: np.ndarray) -> Any:
    """Draw the fraction that columns contribute to the scores of the rows with the highest ones.

    Args:
        score: Scores (N,).
        contributions: What each column contributes (N, C).
        columns: Names of the columns (C,).
        rows: Number of each row in its source, counted from 1 (N,).

    Example:
        >>> figure = draw_columns(np.array([1.0, 4.0]), np.array([[1, 0], [1, 3]]), ["a", "b"], np.array([7, 9]))
        >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
        ['row 9: 4', 'row 7: 1']
    """
    highest = np.argsort(-score, kind="stable")[:_MOST_ROWS]
    fractions = contributions[highest] / np.maximum(score[highest, None], 1e-30)
    chosen = np.argsort(-fractions.sum(axis=0), kind="stable")[:_MOST_COLUMNS]
    size = (float(np.clip(3.5 + 0.35 * len(chosen), 5, 11)), float(np.clip(2 + 0.3 * len(highest), 3, 7)))
    figure, (axis,) = create_figure(width=size[0], height=size[1])
    drawn = axis.imshow(fractions[:, chosen], cmap=SHARES, vmin=0, vmax=1, aspect="auto")
    axis.grid(visible=False)
    names = [shorten(columns[index], 20) for index in chosen]
    axis.set_xticks(np.arange(len(chosen)), names, rotation=60, ha="right", fontsize=9)
    axis.set_yticks(np.arange(len(highest)), [f"row {rows[index]}: {score[index]:.3g}" for index in highest])
    figure.colorbar(drawn, ax=axis, label="fraction of the score")
    axis.set_title("Columns of the rows with the highest scores", loc="left")
    return figure
