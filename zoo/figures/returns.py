"""Figures of an agent: return by environment steps, and the distribution of returns over episodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from zoo.figures.style import BLUE, GREEN, GREY, SKY, add_legend_beside, create_figure


def return_curve(
    steps: Sequence[float], mean: Sequence[float], std: Sequence[float] | None = None, *, best: int | None = None,
    threshold: float | None = None, exploring: Sequence[float] | None = None,
) -> Figure:  # fmt: skip
    """Draw the mean return of evaluation episodes by environment steps, or by epochs if there are no steps.

    Args:
        steps: Environment steps until each evaluation (P,), which are 0 if the agent does not learn from steps.
        mean: Mean return of each evaluation (P,).
        std: Standard deviation over episodes (P,), drawn as a band.
        best: Evaluation whose policy was kept, counted from 1.
        threshold: Mean return from which the environment counts as solved.
        exploring: Mean return of the training episodes before each evaluation (P,), in which the agent explores.

    Example:
        >>> return_curve([10, 20], [1.0, 3.0], best=2).axes[0].get_xlabel()
        'environment steps'
    """
    y = np.asarray(mean, float)
    x = np.asarray(steps, float) if np.any(steps) else np.arange(1.0, len(y) + 1)
    figure, (axis,) = create_figure(width=7.4, height=4.2)
    if std is not None:
        spread = np.asarray(std, float)
        axis.fill_between(x, y - spread, y + spread, color=SKY, alpha=0.35, linewidth=0, label="standard deviation")
    axis.plot(x, y, color=BLUE, marker="o", markersize=3.5, label="mean return")
    if exploring is not None and len(exploring) == len(x):
        axis.plot(x, exploring, color=GREY, linewidth=1.2, label="training episodes")
    if threshold is not None:
        axis.axhline(threshold, color=GREY, linestyle="--", linewidth=1, label=f"solved: {threshold:g}")
    if best is not None and 1 <= best <= len(x):
        axis.plot(x[best - 1], y[best - 1], "o", color=GREEN, markersize=9, label="kept policy")
    axis.set_xlabel("environment steps" if np.any(steps) else "epochs")
    axis.set_ylabel("return of evaluation episodes")
    axis.set_title("Return during training", loc="left")
    add_legend_beside(axis)
    return figure


def episode_returns(returns: np.ndarray, *, threshold: float | None = None) -> Figure:
    """Draw a histogram of the returns of episodes.

    Args:
        returns: (E,) return of each episode.
        threshold: Mean return from which the environment counts as solved.

    Example:
        >>> episode_returns(np.array([1.0, 2.0])).axes[0].get_ylabel()
        'episodes'
    """
    figure, (axis,) = create_figure(width=7.4, height=4.0)
    shown = [*returns, *([] if threshold is None else [threshold])]
    low, high = float(np.min(shown)), float(np.max(shown))
    if low == high:  # a visible bar
        low, high = low - 0.5, high + 0.5
    axis.hist(returns, bins=min(30, max(5, len(returns) // 3)), range=(low, high), color=SKY, edgecolor="white")
    mean = float(np.mean(returns))
    axis.axvline(mean, color=BLUE, label=f"mean {mean:,.6g}")
    if threshold is not None:
        axis.axvline(threshold, color=GREY, linestyle="--", linewidth=1, label=f"solved: {threshold:g}")
    axis.set_xlabel("return of an episode")
    axis.set_ylabel("episodes")
    axis.set_title(f"Returns of {len(returns)} episodes", loc="left")
    add_legend_beside(axis)
    return figure
