"""Figures of language models: the tree of the tokens that come next, and bits by length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.data.dataset import Split
from zoo.data.examples.describe_examples import CHARACTER, split_into_tokens
from zoo.figures.style import BLUE, GREY, create_figure, shorten
from zoo.spec import Spec, TextInput

from ._generate import Branch, Generator
from ._texts import END_NAME, get_texts

# Tokens that are drawn after a prompt, and after each of them; and of the prompt itself.
WIDTHS, MOST_SHOWN = (5, 2), 8
MOST_BINS = 8


def draw_figures(model: Any, rows: Split, spec: Spec, sizes: np.ndarray, bits: np.ndarray) -> Mapping[str, Any]:
    """Return the figures of one split, by name.

    Args:
        model: The full model.
        rows: The split.
        spec: Describes its texts.
        sizes: Number of characters and of tokens of each text (N, 2).
        bits: Bits of each text (N,).
    """
    generator = Generator(model, spec)
    prompt = generator.encode(_choose_prompt(get_texts(rows, spec), generator, spec.only(TextInput).unit))
    return {
        "next_tokens": draw_tree(generator.trace(prompt), generator.grow(prompt, WIDTHS)),
        "bits_by_length": draw_bits_by_length(sizes[:, 1], bits, spec.only(TextInput).unit),
    }


def _choose_prompt(texts: Sequence[str], generator: Generator, unit: str) -> str:
    """Return the most frequent beginning of texts: three characters or a word."""
    tokens = (split_into_tokens(text, unit)[: 3 if unit == CHARACTER else 1] for text in texts)
    begun = Counter(tuple(few) for few in tokens if few and all(token in generator.code_of for token in few))
    return "".join(begun.most_common(1)[0][0]) if begun else ""


def draw_tree(prompt: Sequence[Branch], branches: Sequence[Branch]) -> Any:
    """Draw a prompt's tokens and the most probable ones after it as a tree, with the probability of each.

    Args:
        prompt: Tokens of the prompt; only the last eight are drawn.
        branches: What may follow it.

    Example:
        >>> figure = draw_tree([Branch("f", 0.1)], [Branch("r", 0.5), Branch("a", 0.3)])
        >>> figure.axes[0].get_title(loc="left")
        'Most probable next tokens after “f”'
    """
    height = max(2.6, 0.8 + 0.34 * sum(max(1, len(branch.branches)) for branch in branches))
    figure, (axis,) = create_figure(width=9.0, height=height)
    axis.grid(False)
    axis.set_axis_off()
    shown = prompt[-MOST_SHOWN:]
    start = ("" if len(shown) == len(prompt) else "…", *(_name(branch.token) for branch in shown))
    places: list[float] = []
    leaf = 0.0
    for branch in branches:
        leaves = [leaf + number for number in range(max(1, len(branch.branches)))]
        leaf += len(leaves)
        places.append(float(np.mean(leaves)))
        for child, place in zip(branch.branches, leaves, strict=False):
            _connect(axis, (len(shown) + 1, places[-1]), (len(shown) + 2, place), child)
    middle = float(np.mean(places)) if places else 0.0
    for number, branch in enumerate(shown, 1):
        _connect(axis, (number - 1, middle), (number, middle), branch, GREY)
    for branch, place in zip(branches, places, strict=True):
        _connect(axis, (len(shown), middle), (len(shown) + 1, place), branch)
    axis.text(0, middle, start[0] or "•", ha="center", va="center", backgroundcolor="white")
    axis.set_xlim(-0.3, len(shown) + 2.7)
    axis.set_ylim(leaf - 0.4, -0.8)
    title = shorten("".join(start) if all(len(branch.token) == 1 for branch in shown) else " ".join(start), 50)
    axis.set_title(f"Most probable next tokens after “{title.strip()}”", loc="left")
    return figure


def _connect(
    axis: Any, start: tuple[float, float], end: tuple[float, float], branch: Branch, colour: str = BLUE
) -> None:
    """Draw an edge, as wide as its token is probable, and the token at its end."""
    share = float(np.nan_to_num(branch.probability))
    axis.plot(*zip(start, end, strict=True), color=colour, linewidth=0.5 + 5 * share, alpha=0.5, zorder=1)
    text = f"{_name(branch.token)}  {100 * share:.3g} %"
    box = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none"}
    axis.text(*end, text, ha="center", va="center", fontsize=9, zorder=2, bbox=box)


def _name(token: str) -> str:
    return {" ": "␣", END_NAME: "end"}.get(token, shorten(token, 16))


def draw_bits_by_length(tokens: np.ndarray, bits: np.ndarray, unit: str) -> Any:
    """Draw the bits per token by the length of texts, in up to eight bins of equal mass.

    Args:
        tokens: Number of tokens of each text, its end included (N,).
        bits: Bits of each text (N,).
        unit: What a token is.

    Example:
        >>> draw_bits_by_length(np.array([3, 9]), np.array([6.0, 9.0]), "word").axes[0].get_xlabel()
        'words of the text, its end included'
    """
    figure, (axis,) = create_figure(width=7.0, height=3.8)
    ends = np.unique(np.quantile(tokens, np.linspace(0, 1, MOST_BINS + 1)[1:], method="higher"))
    member = np.searchsorted(ends, tokens)
    counts, sums = np.bincount(member), np.bincount(member, tokens)
    filled = counts > 0
    rates = np.bincount(member, bits)[filled] / sums[filled]
    axis.plot(sums[filled] / counts[filled], rates, color=BLUE, marker="o", markersize=5)
    axis.axhline(bits.sum() / tokens.sum(), color=GREY, linestyle="--", linewidth=1)
    axis.set_ylim(bottom=0)
    axis.set_xlabel(f"{unit}s of the text, its end included")
    axis.set_ylabel(f"bits per {unit}")
    axis.set_title(f"Bits by length, {len(tokens):,} texts; dashed: all", loc="left")
    return figure
