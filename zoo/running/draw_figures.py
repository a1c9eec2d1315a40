"""Draw the figures of a run in the background."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.figures.style import save_figure
from zoo.saving.abandoned_files import open_temporary_folder
from zoo.tracking.tracked_run import import_model_format


@dataclass(frozen=True)
class DrawnFigures:
    """Figures and the folder of their image files.

    Args:
        figures: Matplotlib figures by name.
        folder: Folder that contains ``<name>.png`` for each figure.
    """

    figures: Mapping[str, Any]
    folder: Path


@contextmanager
def draw_in_background(draw: Callable[[], Mapping[str, Any]]) -> Iterator[Callable[[], DrawnFigures]]:
    """Draw figures in a separate thread while TensorFlow evaluates and files are written.

    Args:
        draw: Function that returns figures by name.

    Yields:
        A function that waits for the figures; their folder is deleted when the context exits.
    """
    import_model_format()
    with open_temporary_folder() as folder, ThreadPoolExecutor(1, "zoo-figures") as pool:
        yield pool.submit(_draw_and_save, draw, folder).result


def _draw_and_save(draw: Callable[[], Mapping[str, Any]], folder: Path) -> DrawnFigures:
    figures = draw()
    for name, figure in figures.items():
        save_figure(figure, folder / f"{name}.png")
    return DrawnFigures(figures, folder)
