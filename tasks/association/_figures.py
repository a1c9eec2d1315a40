"""Figures of association: rules by support, confidence and lift, and how often hidden items are found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.figures.style import BLUE, DENSITY, GREY, create_figure, shorten
from zoo.spec import TextInput

from ._hidden import encode_baskets
from ._network import MOST_RANKED
from ._rules import Rules

SHOWN_RULES, GROUPS = 15, 5


def draw_figures(rules: Rules, ranks: np.ndarray, hidden: np.ndarray, dataset: Dataset) -> Mapping[str, Any]:
    """Return the figures of one split, by name.

    Args:
        rules: The rules of the training baskets.
        ranks: Rank of each hidden item (N,).
        hidden: Its code (N,), 0 for unknown.
        dataset: The data.
    """
    baskets = encode_baskets(dataset.splits["train"], dataset.spec)
    counts = np.bincount(np.concatenate(baskets), minlength=len(dataset.spec.only(TextInput).vocabulary) + 1)
    return {
        "rules": draw_rules(rules),
        "strongest_rules": draw_strongest(rules),
        "hit_rates": draw_hit_rates(ranks),
        "hit_rate_by_frequency": draw_by_frequency(ranks, hidden, counts),
    }


def draw_rules(rules: Rules) -> Any:
    """Draw each rule by support and confidence, with its lift as colour.

    Example:
        >>> import pandas as pd
        >>> columns = {"if": ["beer"], "then": ["crisps"], "count": [4], "support": [0.4], "confidence": [0.8]}
        >>> figure = draw_rules(Rules(pd.DataFrame(), pd.DataFrame({**columns, "lift": [2.0]}), 0.1, 0.1))
        >>> figure.axes[0].get_title(loc="left")
        '1 rules with support from 0.1 and confidence from 0.1'
    """
    figure, (axis,) = create_figure(width=8.0, height=5.0)
    table = rules.rules.iloc[::-1]  # the highest lift on top
    title = f"{len(table):,} rules with support from {rules.support:.3g} and confidence from {rules.confidence:.3g}"
    axis.set_title(title, loc="left")
    axis.set_xlabel("support")
    axis.set_ylabel("confidence")
    if table.empty:
        axis.text(0.5, 0.5, "no rule", ha="center", transform=axis.transAxes)
        return figure
    drawn = axis.scatter(table["support"], table["confidence"], c=table["lift"], cmap=DENSITY, s=18)
    axis.set_xscale("log")
    figure.colorbar(drawn, ax=axis, label="lift")
    return figure


def draw_strongest(rules: Rules) -> Any:
    """Draw the rules with the highest lift, with support and confidence.

    Example:
        >>> import pandas as pd
        >>> columns = {"if": ["beer"], "then": ["crisps"], "count": [4], "support": [0.4], "confidence": [0.8]}
        >>> figure = draw_strongest(Rules(pd.DataFrame(), pd.DataFrame({**columns, "lift": [2.0]}), 0.1, 0.1))
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['beer → crisps']
    """
    shown = rules.rules.head(SHOWN_RULES).iloc[::-1]
    figure, (axis,) = create_figure(width=9.0, height=1.6 + 0.3 * max(len(shown), 3))
    pairs = zip(shown["if"], shown["then"], strict=True)
    names = [f"{shorten(first, 36)} → {shorten(then, 28)}" for first, then in pairs]
    bars = axis.barh(np.arange(len(shown)), shown["lift"], color=BLUE)
    pairs = zip(shown["confidence"], shown["support"], strict=True)
    axis.bar_label(
        bars, [f"{100 * share:.0f} % of baskets, {100 * support:.3g} % of all" for share, support in pairs], fontsize=8
    )
    axis.set_yticks(np.arange(len(shown)), names, fontsize=8)
    axis.margins(x=0.45)  # room for the labels
    axis.set_xlabel("lift")
    axis.set_title("Rules with the highest lift, with confidence and support", loc="left")
    return figure


def draw_hit_rates(ranks: np.ndarray) -> Any:
    """Draw the fraction of hidden items that are among the first k, by k.

    Example:
        >>> draw_hit_rates(np.array([1, 3, 10**9])).axes[0].get_xlabel()
        'items that are shown'
    """
    figure, (axis,) = create_figure(width=7.0, height=3.8)
    counts = np.arange(1, MOST_RANKED + 1)
    axis.plot(counts, [(ranks <= count).mean() for count in counts], color=BLUE)
    axis.axvline(10, color=GREY, linestyle="--", linewidth=1)
    axis.set_xscale("log")
    axis.set_xticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
    axis.set_ylim(0, 1)
    axis.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axis.set_xlabel("items that are shown")
    axis.set_ylabel("baskets whose hidden item is shown")
    axis.set_title(f"Hit rate by the number of items, {len(ranks):,} baskets", loc="left")
    return figure


def draw_by_frequency(ranks: np.ndarray, hidden: np.ndarray, counts: np.ndarray) -> Any:
    """Draw the hit rate among the first ten by how frequent the hidden item is in training.

    Args:
        ranks: Rank of each hidden item (N,).
        hidden: Its code (N,), 0 for unknown.
        counts: Number of training baskets of each code, from 0 (I + 1,).

    Example:
        >>> figure = draw_by_frequency(np.array([1, 30]), np.array([1, 2]), np.array([0, 9, 2]))
        >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
        ['2 to 2', '9 to 9']
    """
    figure, (axis,) = create_figure(width=7.0, height=3.8)
    frequency = counts[hidden]
    ends = np.unique(np.quantile(frequency, np.linspace(0, 1, GROUPS + 1)[1:], method="inverted_cdf"))
    member = np.searchsorted(ends, frequency)
    present = np.unique(member)
    rates = [float((ranks[member == group] <= 10).mean()) for group in present]
    names = [f"{frequency[member == group].min():,} to {frequency[member == group].max():,}" for group in present]
    axis.bar(np.arange(len(present)), rates, color=BLUE)
    axis.set_xticks(np.arange(len(present)), names, fontsize=9)
    axis.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axis.set_xlabel("training baskets with the hidden item")
    axis.set_ylabel("hit rate at 10")
    axis.set_title("Hit rate by the frequency of the hidden item", loc="left")
    return figure
