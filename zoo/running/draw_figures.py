"""Figures of a run are drawn while other work goes on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Painted:
    """Figures, and the folder in which each is a file.

    Args:
        figures: matplotlib's figures by name.
        folder: Where ``<name>.png`` lie.
    """

    figures: Mapping[str, Any]
    folder: Path


@contextmanager
def painting(draw: Callable[[], Mapping[str, Any]]) -> Iterator[Callable[[], Painted]]:
    """Draw in a thread of its own, while TensorFlow scores and files are written.

    Args:
        draw: Returns figures by name.

    Yields:
        A function that waits for the figures; their folder is gone with the context.
    """
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder, ThreadPoolExecutor(1, "zoo-painter") as painter:
        yield painter.submit(_paint, draw, Path(folder)).result


def _paint(draw: Callable[[], Mapping[str, Any]], folder: Path) -> Painted:
    figures = draw()
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", pil_kwargs={"compress_level": 1})  # a tenth larger, a tenth sooner
    return Painted(figures, folder)
