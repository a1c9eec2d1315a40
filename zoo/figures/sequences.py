"""Figures of sequence classifiers: accuracy by length."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from zoo.figures.style import BLUE, add_legend_beside, create_figure

MOST_BINS = 8


def accuracy_by_length(lengths: np.ndarray, right: np.ndarray) -> Figure:
    """Draw accuracy by the length of sequences, in up to eight bins of equal mass.

    Args:
        lengths: (N,) steps of each sequence.
        right: (N,) whether each prediction is correct.

    Example:
        >>> figure = accuracy_by_length(np.array([3, 9]), np.array([True, False]))
        >>> figure.axes[0].get_xlabel()
        'steps of the sequence'
    """
    lengths, right = np.asarray(lengths), np.asarray(right, float)
    figure, (axis,) = create_figure(width=7.0, height=3.8)
    bins = max(1, min(MOST_BINS, len(np.unique(lengths))))
    ends = np.unique(np.quantile(lengths, np.linspace(0, 1, bins + 1)[1:], method="higher"))
    member = np.searchsorted(ends, lengths)  # bins end with a length; a frequent length is a bin of its own
    counts = np.bincount(member)
    filled = counts > 0
    fraction = np.bincount(member, right)[filled] / counts[filled]
    middle = np.bincount(member, lengths)[filled] / counts[filled]
    low, high = _wilson(fraction, counts[filled])
    spread = np.stack([fraction - low, high - fraction])
    axis.errorbar(middle, fraction, yerr=spread, color=BLUE, marker="o", markersize=5, label="with 95 % interval")
    axis.set_ylim(min(0.0 if fraction.min() < 0.5 else 0.45, float(low.min())), 1.03)
    axis.set_xlabel("steps of the sequence")
    axis.set_ylabel("accuracy")
    axis.set_title(f"Accuracy by length, {len(lengths):,} sequences", loc="left")
    add_legend_beside(axis)
    return figure


def _wilson(fraction: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's 95 % interval of each fraction (JASA 22, 1927)."""
    z2 = 1.959964**2
    centre = (fraction + z2 / (2 * counts)) / (1 + z2 / counts)
    half = np.sqrt(z2 * (fraction * (1 - fraction) / counts + z2 / (4 * counts**2))) / (1 + z2 / counts)
    return np.clip(centre - half, 0, fraction), np.clip(centre + half, fraction, 1)
