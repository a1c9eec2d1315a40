"""Self-contained HTML pages."""

from __future__ import annotations

import html
import io
from typing import Any

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
