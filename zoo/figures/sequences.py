"""Figures of sequences: accuracy by length, and contributions of steps and words to predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from zoo.figures.style import BLACK, BLUE, DPI, GREY, PALE, add_legend_beside, create_figure, set_integer_ticks, shorten

MOST_BINS = 8
MOST_CHANNELS = 4
# Light enough for black text and lines on them.
EVIDENCE = LinearSegmentedColormap.from_list("evidence", ["#4393C3", "#FFFFFF", "#E0604D"])
TEXT_WIDTH, LEAST_WIDTH, MOST_LINES = 84, 68, 7  # characters of a line, and lines of a text
LONGEST_TOKEN = 40  # characters
CHARACTER, LINE = 0.0836, 0.24  # inches: of the monospaced font of 10 points


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


def attributed_sequences(
    curves: Sequence[np.ndarray],
    attributions: Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    channels: Sequence[str],
    baseline: np.ndarray,
    classes: bool = True,
) -> Figure:
    """Draw sequences, a column for each, over the contribution of each step to the prediction as colour.

    The four channels with the greatest contributions have a row each. With more channels, the last row has the sum
    over all of them.

    Args:
        curves: Steps (T, F) of each of N sequences.
        attributions: Contributions of the steps (T, F).
        titles: Title of each sequence.
        channels: Names of the F channels.
        baseline: Value of each channel that the contributions are relative to (F,).
        classes: Whether a class is predicted rather than a number.

    Example:
        >>> steps = np.zeros((3, 2))
        >>> figure = attributed_sequences([steps], [steps], ["a"], channels=["x", "y"], baseline=np.zeros(2))
        >>> [axis.get_ylabel() for axis in figure.axes[:2]]
        ['x', 'y']
    """
    most = np.sum([np.abs(each).sum(axis=0) for each in attributions], axis=0)
    shown = np.argsort(-most, kind="stable")[:MOST_CHANNELS]
    has_sum = len(most) > len(shown)
    n_rows = len(shown) + has_sum
    lines = max(_break_title(title).count("\n") + 1 for title in titles)
    width, height = 2.6 * len(curves) + 1.2, 1.25 * n_rows + 0.17 * lines + 1.6
    # Placed by hand, since a layout engine would take longer than the rest of the drawing.
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    edges = {"left": 1.0 / width, "right": 1 - 0.15 / width, "bottom": 0.95 / height}
    grid = {**edges, "top": 1 - (0.6 + 0.17 * lines) / height, "hspace": 0.1, "wspace": 0.06}
    panels = figure.subplots(n_rows, len(curves), squeeze=False, sharex="col", sharey="row", gridspec_kw=grid)
    for column, (steps, parts, title) in enumerate(zip(curves, attributions, titles, strict=True)):
        limit = max(float(np.abs(parts[:, shown]).max(initial=0)), 1e-12)
        panels[0, column].set_title(_break_title(title), fontsize=9)
        for panel, channel in zip(panels[:, column], shown, strict=False):
            _draw_curve(panel, steps[:, channel], parts[:, channel] / limit, float(baseline[channel]))
        if has_sum:
            _draw_sums(panels[-1, column], parts.sum(axis=1))
        panels[-1, column].set_xlabel("step", fontsize=9)
        set_integer_ticks(panels[-1, column])
        panels[-1, column].locator_params(axis="x", nbins=6)
    for row, channel in enumerate(shown):
        values = np.concatenate([steps[:, channel] for steps in curves])
        values = values[np.isfinite(values)]
        low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
        margin = 0.08 * (high - low) or 1.0
        panels[row, 0].set_ylim(low - margin, high + margin)
        panels[row, 0].set_ylabel(shorten(channels[channel], 16), fontsize=9)
    if has_sum:
        panels[-1, 0].set_ylabel(f"all {len(most)} channels", fontsize=9)
    for panel in panels[:, 0]:
        panel.ticklabel_format(axis="y", scilimits=(-3, 5))
        panel.yaxis.set_label_coords(-0.27, 0.5)
    _add_scale(figure.add_axes((0.3, 0.3 / height, 0.4, 0.12 / height)), classes)
    topic, note = _name_topic("Steps", "the mean of the training data (dotted)", classes)
    figure.text(0.15 / width, 1 - 0.2 / height, topic, va="center", fontsize=11)
    figure.text(0.15 / width, 1 - 0.42 / height, note, va="center", fontsize=8, color=GREY)
    return figure


def attributed_texts(
    tokens: Sequence[Sequence[str]],
    attributions: Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    separator: str = " ",
    baseline: str = "a text without words",
    classes: bool = True,
) -> Figure:
    """Draw texts, with the contribution of each token to the prediction as the colour behind it.

    Of a long text, the lines with the greatest contributions are drawn.

    Args:
        tokens: Tokens of each of N texts.
        attributions: Contribution of each token (T,).
        titles: Title of each text.
        separator: Text between two tokens.
        baseline: What the contributions are relative to.
        classes: Whether a class is predicted rather than a number.

    Example:
        >>> figure = attributed_texts([["good", "film"]], [np.array([2.0, -0.5])], ["predicted positive"])
        >>> [text.get_text() for text in figure.axes[0].texts[:3]]
        ['predicted positive', 'good', 'film']
    """
    shown = [[_shorten_token(token) for token in row] for row in tokens]
    broken = [_break_lines(row, len(separator)) for row in shown]
    texts = [_select_lines(lines, values) for lines, values in zip(broken, attributions, strict=True)]
    rows = zip(shown, texts, strict=True)
    ends = [column + len(words[place]) for words, lines in rows for line in lines for place, column in line]
    width = max([LEAST_WIDTH, *ends]) * CHARACTER + 0.4
    height = sum(max(1, len(lines)) + 1.6 for lines in texts) * LINE + 1.35
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    axis = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))  # in inches, from the upper left corner
    axis.set_axis_off()
    top = 0.85
    for words, values, title, lines, whole in zip(shown, attributions, titles, texts, broken, strict=True):
        note = "" if words else "; no words" if separator else "; empty"
        note = note if len(lines) == len(whole) else f"; {len(lines)} of {len(whole)} lines"
        axis.text(0.2, top, shorten(f"{title}{note}", 90), fontsize=9, color=GREY, va="center")
        limit = max(float(np.abs(values).max(initial=0)), 1e-12)
        for line in lines:
            top += LINE
            for place, column in line:
                _draw_token(axis, words[place], 0.2 + column * CHARACTER, top, float(values[place]) / limit)
        top += (1.6 if lines else 2.6) * LINE
    _add_scale(figure.add_axes((0.25, 0.4 / height, 0.5, 0.12 / height)), classes)
    topic, note = _name_topic("Words" if separator else "Characters", baseline, classes)
    axis.text(0.2, 0.25, topic, fontsize=11, va="center")
    axis.text(0.2, 0.5, note, fontsize=8, color=GREY, va="center")
    return figure


def _draw_curve(panel: Axes, values: np.ndarray, parts: np.ndarray, baseline: float) -> None:
    """Draw one channel of one sequence over its contributions, which are fractions of the greatest."""
    steps = np.arange(1, len(values) + 1)
    edges = (0.5, len(values) + 0.5, 0, 1)
    panel.imshow(
        parts[None], cmap=EVIDENCE, vmin=-1, vmax=1, aspect="auto", extent=edges, interpolation="nearest",
        transform=panel.get_xaxis_transform(),
    )  # fmt: skip
    panel.axhline(baseline, color=GREY, linewidth=0.7, linestyle=":")
    panel.plot(steps, values, color=BLACK, linewidth=1.2, marker="o" if len(values) < 3 else None, markersize=3)
    panel.set_xlim(0.5, len(values) + 0.5)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8)


def _draw_sums(panel: Axes, sums: np.ndarray) -> None:
    colours = [EVIDENCE(1.0) if value > 0 else EVIDENCE(0.0) for value in sums]
    panel.bar(np.arange(1, len(sums) + 1), sums, width=1.0, color=colours)
    panel.axhline(0, color=GREY, linewidth=0.7)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color=PALE, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(labelsize=8)


def _draw_token(axis: Axes, token: str, left: float, middle: float, part: float) -> None:
    size = (len(token) * CHARACTER, 0.86 * LINE)
    axis.add_patch(Rectangle((left, middle - size[1] / 2), *size, facecolor=EVIDENCE((part + 1) / 2), linewidth=0))
    text = token.replace("$", r"\$")
    axis.text(left, middle, text, fontsize=10, family="monospace", va="center_baseline")


def _shorten_token(token: str) -> str:
    token = token if token.isprintable() else " " * len(token)
    half = LONGEST_TOKEN // 2
    return token if len(token) <= LONGEST_TOKEN else f"{token[:half]}…{token[-half:]}"


def _break_lines(tokens: Sequence[str], gap: int) -> list[list[tuple[int, int]]]:
    """Return lines of tokens, each token as its place in the text and its column in the line."""
    lines: list[list[tuple[int, int]]] = []
    column = TEXT_WIDTH
    for place, token in enumerate(tokens):
        if column + len(token) > TEXT_WIDTH:
            lines.append([])
            column = 0
        lines[-1].append((place, column))
        column += len(token) + gap
    return lines


def _select_lines(lines: list[list[tuple[int, int]]], values: np.ndarray) -> list[list[tuple[int, int]]]:
    """Return the successive lines with the greatest contributions, if there are more than fit."""
    sizes = [float(np.abs(values[[place for place, _ in line]]).sum()) for line in lines]
    sums = [sum(sizes[first : first + MOST_LINES]) for first in range(max(1, len(lines) - MOST_LINES + 1))]
    first = int(np.argmax(sums))
    return lines[first : first + MOST_LINES]


def _break_title(title: str) -> str:
    return "\n".join(shorten(line, 30) for line in title.replace(", truth", "\ntruth").replace("; ", "\n").split("\n"))


def _name_topic(parts: str, baseline: str, classes: bool) -> tuple[str, str]:
    """Return the title of a figure, and a note on how to read it."""
    kind = (
        "for (red) and against (blue) the predicted class"
        if classes
        else "that raise (red) or lower (blue) the prediction"
    )
    return (
        f"{parts} {kind}",
        f"Integrated gradients, relative to {baseline}. Each example has its own scale of colours.",
    )


def _add_scale(panel: Axes, classes: bool) -> None:
    """Draw the scale of the colours."""
    panel.imshow(np.linspace(-1, 1, 101)[None], cmap=EVIDENCE, aspect="auto", extent=(-1, 1, 0, 1))
    sides = ("most against", "most for") if classes else ("lowers most", "raises most")
    panel.set_xticks([-1, 0, 1], [sides[0], "none", sides[1]], fontsize=8)
    panel.set_yticks([])
    panel.spines[:].set_visible(False)


def _wilson(fraction: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's 95 % interval of each fraction (JASA 22, 1927)."""
    z2 = 1.959964**2
    centre = (fraction + z2 / (2 * counts)) / (1 + z2 / counts)
    half = np.sqrt(z2 * (fraction * (1 - fraction) / counts + z2 / (4 * counts**2))) / (1 + z2 / counts)
    return np.clip(centre - half, 0, fraction), np.clip(centre + half, fraction, 1)
