"""The image of a crossing: roads, lights, the vehicles that wait, the time and totals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ._traffic import APPROACHES, LANES, PHASES

if TYPE_CHECKING:
    from PIL import ImageDraw

SIZE = 480
_MIDDLE, _LANE, _ROAD, _LENGTH, _SPACE = SIZE // 2, 16, 40, 10, 14  # pixels; vehicles are one each _SPACE
_MOST_DRAWN = (_MIDDLE - _ROAD - 8) // _SPACE  # in a lane; the number of all is written
_GRASS, _ASPHALT, _LINE, _TEXT = (206, 222, 197), (84, 88, 94), (236, 236, 230), (30, 34, 40)
_VEHICLES = ((58, 110, 165), (196, 120, 48), (110, 82, 148), (60, 140, 130))
_GREEN, _YELLOW, _RED = (60, 190, 90), (240, 200, 40), (214, 60, 50)
_LABELS = ((160, 16), (292, 436), (436, 164), (16, 292))
# Of each approach: the way from the crossing outwards, and the way across from the middle line to its lanes.
_OUTWARDS, _ACROSS = ((0, -1), (0, 1), (1, 0), (-1, 0)), ((-1, 0), (1, 0), (0, -1), (0, 1))


def draw_crossing(queues: Sequence[int], phase: int, *, cleared: bool, lines: Sequence[str]) -> np.ndarray:
    """Return an image (480, 480, 3).

    Args:
        queues: Vehicles that wait on each approach.
        phase: The phase that has green, or that comes after the clearance.
        cleared: Whether the crossing is being cleared.
        lines: Text in the upper left corner.
    """
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (SIZE, SIZE), _GRASS)
    draw = ImageDraw.Draw(image)
    low, high = _MIDDLE - _ROAD, _MIDDLE + _ROAD
    draw.rectangle((low, 0, high, SIZE), _ASPHALT)
    draw.rectangle((0, low, SIZE, high), _ASPHALT)
    for begin, end in ((0, low), (high, SIZE)):
        draw.line((_MIDDLE, begin, _MIDDLE, end), _LINE)
        draw.line((begin, _MIDDLE, end, _MIDDLE), _LINE)
    for approach, waiting in enumerate(queues):
        has_phase = approach in PHASES[phase]
        light = _RED if has_phase == cleared else _YELLOW if cleared else _GREEN
        _draw_approach(draw, approach, waiting, light)
    draw.multiline_text((12, 12), "\n".join(lines), _TEXT)
    return np.asarray(image)


def _draw_approach(draw: ImageDraw.ImageDraw, approach: int, waiting: int, light: tuple[int, int, int]) -> None:
    outwards, across = np.array(_OUTWARDS[approach]), np.array(_ACROSS[approach])
    for number in range(min(waiting, _MOST_DRAWN * LANES[approach])):
        row, lane = divmod(number, LANES[approach])
        middle = _MIDDLE + outwards * (_ROAD + 8 + row * _SPACE + _LENGTH // 2) + across * (lane + 0.7) * _LANE
        half = np.abs(outwards) * _LENGTH / 2 + np.abs(across) * 4
        draw.rectangle((*(middle - half), *(middle + half)), _VEHICLES[approach])
    bar = _MIDDLE + outwards * (_ROAD + 2)
    ends = np.sort([bar, bar + across * _ROAD], axis=0)
    draw.rectangle((*(ends[0] - 2), *(ends[1] + 2)), light)
    draw.text(_LABELS[approach], f"{APPROACHES[approach]}\n{waiting}", _TEXT)
