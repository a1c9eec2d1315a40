"""Figures by decision threshold: ROC, precision-recall and cost curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoo.figures.style import BLACK, GREY, LINES, add_legend_beside, choose_line_style, create_figure, shorten

MOST_CLASSES = 10
MOST_POINTS = 500
RATIOS = (1, 5, 20)  # cost of a false negative relative to a false positive
MOST_COST = 2.0  # upper limit of the cost axis


def roc_and_precision_recall(truth: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw the ROC curve and the precision-recall curve of each class against the others.

    Of two classes only the second is drawn; of many, the ten most frequent.

    Args:
        truth: Class indices (N,).
        probabilities: Probabilities of the classes (N, K).
        classes: Names of the K classes.

    Returns:
        A figure with two panels: true against false positive rate with the diagonal of chance, and precision against
        recall with the frequency of the class as chance level.

    Example:
        >>> figure = roc_and_precision_recall(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), "ab")
        >>> [panel.get_xlabel() for panel in figure.axes]
        ['false positive rate', 'recall']
    """
    figure, (left, right) = create_figure(2, beside=True, width=10.5, height=4.6)
    for index, name in enumerate(_drawn(truth, classes)):
        colour, dash = choose_line_style(index)
        positive = truth == classes.index(name)
        false, true, precision = _rates(positive, probabilities[:, classes.index(name)])
        area = float(np.trapezoid(true, false))
        left.plot(false, true, color=colour, linestyle=dash)
        right.plot(true, precision, color=colour, linestyle=dash, label=f"{shorten(str(name))}, ROC area {area:.3f}")
        if len(classes) == 2:
            right.axhline(positive.mean(), color=GREY, linestyle=":", linewidth=1.2, label="chance")
    left.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1.2)
    left.set(xlabel="false positive rate", ylabel="true positive rate")
    left.set_title(f"ROC, {len(truth):,} rows", loc="left")
    right.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    right.yaxis.set_tick_params(labelleft=True)
    right.set_title("Precision and recall", loc="left")
    left.set_xlim(-0.02, 1.02)
    add_legend_beside(right)
    return figure


def threshold_cost(
    truth: np.ndarray, probability: np.ndarray, *, positive: str, threshold: float | None = None
) -> Figure:
    """Draw the cost of decisions by threshold.

    Args:
        truth: Whether each row is positive (N,).
        probability: Probability of the positive class (N,).
        positive: Name of the positive class.
        threshold: Threshold of the model; None for 0.5.

    Returns:
        A figure with one panel: the cost relative to always predicting the better single class, for several costs of
        a false negative, each with its minimum, and the threshold in use.

    Example:
        >>> figure = threshold_cost(np.array([0, 1, 1]), np.array([0.1, 0.8, 0.4]), positive="ill")
        >>> figure.axes[0].get_xlabel()
        'threshold on the probability of ill'
    """
    figure, (axis,) = create_figure(width=8.0, height=4.5)
    grid = np.linspace(0, 1, 201)
    positives = np.sort(probability[truth == 1])
    negatives = np.sort(probability[truth == 0])
    missed = np.searchsorted(positives, grid, side="left") / len(truth)
    alarms = (len(negatives) - np.searchsorted(negatives, grid, side="left")) / len(truth)
    for index, ratio in enumerate(RATIOS):
        cost = alarms + ratio * missed
        cost = cost / (min(alarms[0], ratio * len(positives) / len(truth)) or 1.0)
        least = int(np.argmin(cost))
        words = "as much as" if ratio == 1 else f"{ratio} times"
        label = f"false negative costs {words} a false positive: minimum at {grid[least]:.2g}"
        axis.plot(grid, cost, color=LINES[index], linestyle=choose_line_style(index * 7)[1], label=label)
        axis.plot(grid[least], cost[least], "o", color=LINES[index])
    used = 0.5 if threshold is None else threshold
    axis.axvline(used, color=BLACK, linestyle=":", linewidth=1.2, label=f"threshold in use: {used:.2g}")
    axis.set_xlabel(f"threshold on the probability of {shorten(positive)}")
    axis.set_ylabel("cost (1: best constant decision)")
    axis.set_ylim(0, MOST_COST)
    axis.set_title(f"Cost by threshold, {len(truth):,} rows", loc="left")
    _below(axis)
    return figure


def _drawn(truth: np.ndarray, classes: Sequence[str]) -> list[str]:
    if len(classes) == 2:
        return [classes[1]]
    counts = np.bincount(truth, minlength=len(classes))
    chosen = sorted(np.argsort(-counts, kind="stable")[:MOST_CLASSES])
    return [classes[index] for index in chosen if 0 < counts[index] < len(truth)]


def _rates(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return false and true positive rates and precision by decreasing threshold, starting at (0, 0), each (T,)."""
    order = np.argsort(-score, kind="stable")
    ends = np.append(
        np.flatnonzero(np.diff(score[order])), len(order) - 1
    )  # rows with equal scores are predicted together
    true, count = np.cumsum(positive[order])[ends], ends + 1
    false = count - true
    precision = true / count
    n_positive, n_negative = max(int(positive.sum()), 1), max(int((~positive).sum()), 1)
    points = np.unique(np.linspace(0, len(ends) - 1, min(MOST_POINTS, len(ends))).astype(int))
    rates = (false[points] / n_negative, true[points] / n_positive, precision[points])
    return np.append(0.0, rates[0]), np.append(0.0, rates[1]), np.append(rates[2][0], rates[2])


def _below(axis: Axes) -> None:
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, fontsize=9)
