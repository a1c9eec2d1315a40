"""Self-contained HTML pages."""

from __future__ import annotations

import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.figures.style import BLUE, RED

WIDTH, HEIGHT = 180, 36  # of small bars, in pixels
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0 2rem } th { background: #f4f6f8 }
th, td { text-align: left; padding: 0.3rem 0.7rem; vertical-align: top; border-bottom: 1px solid #ddd }
.warning { color: #b3261e; font-weight: 600 } .note { color: #8a5a00 } .ok { color: #2e7d32 }
.evidence { color: #666; margin: 0.2rem 0 0; padding-left: 1.2rem } code { background: #f4f6f8; padding: 0 0.3em }
svg { max-width: 100%; height: auto } .number { text-align: right; font-variant-numeric: tabular-nums }
"""


def format_page(title: str, body: str) -> str:
    """Return an HTML page with the common style.

    Args:
        title: Title, as text.
        body: Body, as HTML.

    Example:
        >>> format_page("A & B", "<p>…</p>").count("A &amp; B")
        1
    """
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style></head><body>{body}</body></html>"
    )


def format_figure(figure: Any, description: str) -> str:
    """Return a matplotlib figure as an SVG element.

    Args:
        figure: The figure.
        description: Text alternative for screen readers.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    drawing = buffer.getvalue()
    label = html.escape(description, quote=True)
    return drawing[drawing.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def format_bars(labels: Sequence[str], counts: Mapping[str, Sequence[int]], *, scale: float = 1.0) -> str:
    """Return bars of one split, and lines at the height of another, as a small SVG element.

    A page has hundreds of them, and every run writes a page, so they are not drawn by matplotlib, which takes 20 ms for
    each. A tooltip shows the counts.

    Args:
        labels: Name of each bar.
        counts: Number of rows of each bar, by split: of the training rows, or the first split, and of the test rows.
        scale: Factor of the size.

    Example:
        >>> format_bars(["no", "yes"], {"train": [3, 1]}).count("<rect")
        2
    """
    shown = ["train"] if "train" in counts else list(counts)[:1]
    shown += ["test"] if "test" in counts and "test" not in shown else []
    fractions = {split: [count / max(1, sum(counts[split])) for count in counts[split]] for split in shown}
    top = max((max(values, default=0) for values in fractions.values()), default=0) or 1
    step = WIDTH / max(1, len(labels))
    shapes = []
    for index, label in enumerate(labels):
        summary = ", ".join(f"{counts[split][index]:,} {split or 'rows'}".strip() for split in counts)
        shapes.append(f"<g><title>{html.escape(label)}: {summary}</title>")
        for place, split in enumerate(shown):
            height = (HEIGHT - 2) * fractions[split][index] / top
            box = f'x="{index * step + 0.5:.1f}" width="{step - 1:.1f}" y="{HEIGHT - height:.1f}"'
            height, colour = (height, BLUE) if place == 0 else (min(2.0, height), RED)
            shapes.append(f'<rect {box} height="{height:.1f}" fill="{colour}"/>')
        shapes.append("</g>")
    size = f'width="{WIDTH * scale:g}" height="{HEIGHT * scale:g}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    described = html.escape(f"bars of {len(labels)} ranges or categories", quote=True)
    return f'<svg role="img" aria-label="{described}" {size}>{"".join(shapes)}</svg>'
