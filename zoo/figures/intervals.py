"""Coverage and size of prediction sets and intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from zoo.figures.style import BLUE, RED, SKY, add_legend_beside, create_figure


def interval_coverage(
    percents: Sequence[float], coverages: Sequence[float], sizes: Sequence[float], *, n_rows: int, size: str
) -> Figure:
    """Draw the observed coverage over the nominal one, and the mean size below.

    The band contains 95 % of samples of the same size if the coverage equals the nominal one.

    Args:
        percents: Nominal coverages in per cent.
        coverages: Observed coverages, fractions between 0 and 1.
        sizes: Mean size of a set, or width of an interval.
        n_rows: Number of rows.
        size: Name and unit of the size, as label of the axis.

    Returns:
        A figure with two panels, one above the other.

    Example:
        >>> figure = interval_coverage([50, 90], [0.55, 0.88], [1.2, 3.4], n_rows=100, size="width in EUR")
        >>> figure.axes[1].get_ylabel()
        'width in EUR'
    """
    figure, (above, below) = create_figure(2, width=7.0, height=6.4, fractions=(2.0, 1.0))
    nominal = np.asarray(percents, float)
    half = 196 * np.sqrt(nominal / 100 * (1 - nominal / 100) / max(n_rows, 1))
    above.fill_between(
        nominal, np.clip(nominal - half, 0, 100), np.clip(nominal + half, 0, 100), color=SKY, alpha=0.35, linewidth=0,
        label=f"95 % of samples of {n_rows:,} rows",
    )  # fmt: skip
    above.plot(nominal, nominal, color=RED, linestyle="--", linewidth=1.2, label="nominal")
    sets = size.startswith("classes")
    label = "observed; each set has\nthe most likely class" if sets else "observed"
    above.plot(nominal, 100 * np.asarray(coverages, float), color=BLUE, marker="o", markersize=4, label=label)
    above.set_ylabel("observed coverage, %")
    above.set_title("Coverage of prediction sets" if sets else "Coverage of intervals", loc="left")
    add_legend_beside(above)
    below.plot(nominal, np.asarray(sizes, float), color=BLUE, marker="o", markersize=4)
    below.set_ylabel(size)
    below.set_xlabel("nominal coverage, %")
    below.set_ylim(bottom=0)
    return figure
