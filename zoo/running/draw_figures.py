"""Draw the figures of a run in the background."""

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
    """Figures and the folder of their image files.

    Args:
        figures: Matplotlib figures by name.
        folder: Folder that contains ``<name>.png`` for each figure.
    """

    figures: Mapping[str, Any]
    folder: Path


@contextmanager
def painting(draw: Callable[[], Mapping[str, Any]]) -> Iterator[Callable[[], Painted]]:
    """Draw figures in a separate thread while TensorFlow evaluates and files are written.

    Args:
        draw: Function that returns figures by name.

    Yields:
        A function that waits for the figures; their folder is deleted when the context exits.
    """
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder, ThreadPoolExecutor(1, "zoo-painter") as painter:
        yield painter.submit(_paint, draw, Path(folder)).result


def _paint(draw: Callable[[], Mapping[str, Any]], folder: Path) -> Painted:
    figures = draw()
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", pil_kwargs={"compress_level": 1})  # files 10 % larger, saved 10 % faster
    return Painted(figures, folder)
