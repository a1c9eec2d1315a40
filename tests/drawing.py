"""What tests of figures share."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.figure import Figure


def assert_draws(figure: Any, dpi: float | None = 40) -> None:
    """It is a figure that can be saved as an image.

    Args:
        figure: What was drawn.
        dpi: Dots an inch, few for speed; None for the figure's own.
    """
    assert isinstance(figure, Figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi="figure" if dpi is None else dpi)
    assert buffer.getvalue().startswith(b"\x89PNG")
