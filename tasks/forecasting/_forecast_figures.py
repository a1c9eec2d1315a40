"""Figures of forecasts: error by step, and history with forecast of the best, median and worst window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.data.dataset import Split
from zoo.figures.style import BLUE, GREY, ORANGE, add_legend_beside, create_figure, set_integer_ticks, shorten

from ._preprocessing import HISTORY

SHOWN_HORIZONS = 4  # of the history


def draw_errors_by_step(truth: np.ndarray, prediction: np.ndarray, naive: np.ndarray, *, name: str) -> Any:
    """Draw the mean error of each step of the horizon, beside that of the seasonal naive forecast.

    Args:
        truth: Values and presence in the first two of the last axis (N, H, C).
        prediction: Forecasts (N, H).
        naive: Seasonal naive forecasts (N, H).
        name: The target.
    """
    present = truth[..., 1]
    counts = np.maximum(present.sum(axis=0), 1)
    steps = np.arange(1, prediction.shape[1] + 1)
    figure, (axis,) = create_figure(width=7.0, height=3.8)
    for values, label, color in ((prediction, "model", BLUE), (naive, "seasonal naive", GREY)):
        errors = (np.abs(values - truth[..., 0]) * present).sum(axis=0) / counts
        axis.plot(steps, errors, marker="o", markersize=4, color=color, label=label)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("steps ahead")
    axis.set_ylabel(f"mean absolute error of {shorten(name)}")
    axis.set_title(f"Error by horizon, {len(truth):,} forecasts", loc="left")
    set_integer_ticks(axis)
    add_legend_beside(axis)
    return figure


def draw_windows(
    history: np.ndarray,
    truth: np.ndarray,
    prediction: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray, str],
    titles: Sequence[str],
    *,
    name: str,
) -> Any:
    """Draw history, truth and forecast of some windows, one below the other.

    Args:
        history: Values before the origin (W, L).
        truth: Values and presence of the horizon in the first two of the last axis (W, H, C).
        prediction: Forecasts (W, H).
        bounds: Lower and upper bounds of the forecasts (W, H), and what they are.
        titles: Title of each window.
        name: The target.
    """
    horizon = prediction.shape[1]
    shown = min(history.shape[1], SHOWN_HORIZONS * horizon)
    figure, axes = create_figure(len(titles), width=7.5, height=2.2 * len(titles))
    before, ahead = np.arange(-shown + 1, 1), np.arange(1, horizon + 1)
    for row, axis in enumerate(axes):
        values = np.where(truth[row, :, 1] > 0, truth[row, :, 0], np.nan)
        last = history[row, -1:]
        axis.plot(before, history[row, -shown:], color=GREY, label="history")
        axis.plot(np.append(0, ahead), np.append(last, values), color=GREY, linestyle=":", label="truth")
        axis.plot(np.append(0, ahead), np.append(last, prediction[row]), color=ORANGE, label="forecast")
        low, high = bounds[0][row], bounds[1][row]
        if (low < high).any():
            axis.fill_between(ahead, low, high, color=ORANGE, alpha=0.25, linewidth=0, label=bounds[2])
        axis.axvline(0, color=GREY, linewidth=0.6)
        axis.set_title(titles[row], loc="left")
        axis.set_ylabel(shorten(name))
        add_legend_beside(axis)
    axes[-1].set_xlabel("steps from the last value")
    return figure


def draw_best_and_worst(
    truth: np.ndarray, prediction: np.ndarray, bounds: tuple[np.ndarray, np.ndarray, str], split: Split, *, name: str
) -> Any:
    """Draw the windows with the least, the median and the greatest error, in errors of the naive forecast.

    Args:
        truth: As :meth:`ForecastRules.truth_of` returns it (N, H, 4).
        prediction: Forecasts (N, H).
        bounds: Lower and upper bounds of the forecasts (N, H), and what they are.
        split: The windows, with the series' names as groups.
        name: The target.
    """
    history = np.asarray(split.inputs[HISTORY])
    present = truth[..., 1]
    errors = (np.abs(truth[..., 0] - prediction) * present).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    naive = truth[:, 0, 2]
    errors = np.where(naive > 0, errors / np.where(naive > 0, naive, 1.0), np.inf)
    order = np.argsort(errors, kind="stable")[: max(1, int(np.isfinite(errors).sum()))]
    chosen = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    windows = dict(zip(chosen.values(), chosen, strict=True))  # one of several, if there are fewer
    titles = []
    for row, word in windows.items():
        series = "" if split.group is None else f" {shorten(str(split.group[row]))}"
        titles.append(f"{word}{series}: mase {errors[row]:.2f}")
    rows = list(windows)
    low, high, label = bounds
    return draw_windows(history[rows], truth[rows], prediction[rows], (low[rows], high[rows], label), titles, name=name)
