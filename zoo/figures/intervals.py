"""Whether prediction sets and intervals hold the truth as often as they say, and how large they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from zoo.figures.style import BLUE, RED, SKY, legend_beside, new_figure


def interval_coverage(
    percents: Sequence[float], found: Sequence[float], sizes: Sequence[float], *, n_rows: int, size: str
) -> Figure:
    """Draw how many rows hold the truth over how many were asked for, and the mean size below.

    The band is where 95 of 100 sets of as many rows would lie if the coverage were as asked for.

    Args:
        percents: Coverages that were asked for, in percent.
        found: Share of rows whose set or interval held the truth, between 0 and 1.
        sizes: Mean size of a set, or width of an interval.
        n_rows: Number of rows that were looked at.
        size: What the size is, with its unit; it labels the axis.

    Returns:
        A figure with two panels, one above the other.

    Example:
        >>> figure = interval_coverage([50, 90], [0.55, 0.88], [1.2, 3.4], n_rows=100, size="width in EUR")
        >>> figure.axes[1].get_ylabel()
        'width in EUR'
    """
    figure, (above, below) = new_figure(2, width=7.0, height=6.4, shares=(2.0, 1.0))
    asked = np.asarray(percents, float)
    half = 196 * np.sqrt(asked / 100 * (1 - asked / 100) / max(n_rows, 1))
    above.fill_between(
        asked, np.clip(asked - half, 0, 100), np.clip(asked + half, 0, 100), color=SKY, alpha=0.35, linewidth=0,
        label=f"chance, of {n_rows:,} rows",
    )  # fmt: skip
    above.plot(asked, asked, color=RED, linestyle="--", linewidth=1.2, label="as asked for")
    sets = size.startswith("classes")
    label = "found: the likeliest class\nis in each set" if sets else "found"
    above.plot(asked, 100 * np.asarray(found, float), color=BLUE, marker="o", markersize=4, label=label)
    above.set_ylabel("rows that hold the truth, %")
    above.set_title("Coverage of prediction sets" if sets else "Coverage of intervals", loc="left")
    legend_beside(above)
    below.plot(asked, np.asarray(sizes, float), color=BLUE, marker="o", markersize=4)
    below.set_ylabel(size)
    below.set_xlabel("coverage that was asked for, %")
    below.set_ylim(bottom=0)
    return figure
