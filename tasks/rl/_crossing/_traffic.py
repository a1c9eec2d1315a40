"""The traffic of the crossing: its approaches, phases, times, and how many vehicles arrive."""

from __future__ import annotations

import numpy as np

APPROACHES = ("north", "south", "east", "west")
PHASES = ((0, 1), (2, 3))  # the approaches that have green: north and south, or east and west
LANES = (2, 2, 1, 1)
STEP_S, DAY_H = 5, 24
HEADWAY_S = 2  # between two vehicles that cross from one lane: a saturation flow of 1,800 vehicles an hour
START_UP_S = 2  # from the begin of green to the first vehicle that crosses

# Vehicles an hour of each approach: at all times, from 6 to 20 h, and at the height of both peaks. In the morning most
# vehicles come from the north, in the evening from the south and the west.
_ALWAYS, _DAY = np.array([80, 80, 50, 40]), np.array([560, 520, 270, 220])
_MORNING, _EVENING = np.array([620, 90, 190, 50]), np.array([100, 560, 70, 290])
_MORNING_H, _EVENING_H, _PEAK_H = 8.0, 17.5, 1.1  # when the peaks are, and their standard deviation
# Traffic lights upstream have green for so long in each cycle; the rate is then higher by the factor, else lower.
_PLATOONS, CYCLE_S, _GREEN_S, _FACTOR = np.array([True, True, False, False]), 80, 25, 2.8


def compute_rates(hours: np.ndarray) -> np.ndarray:
    """Return the arrival rates (…, 4) at times of day (…), in vehicles a second.

    Example:
        >>> (3600 * compute_rates(np.array([3.0, 8.0]))).round().tolist()
        [[81.0, 81.0, 51.0, 41.0], [1250.0, 681.0, 505.0, 306.0]]
    """
    hours = np.asarray(hours, float)[..., None] % DAY_H
    day = 1 / (1 + np.exp(-2 * (hours - 6))) / (1 + np.exp(2 * (hours - 20)))
    morning, evening = (np.exp(-0.5 * ((hours - peak) / _PEAK_H) ** 2) for peak in (_MORNING_H, _EVENING_H))
    rates: np.ndarray = (_ALWAYS + _DAY * day + _MORNING * morning + _EVENING * evening) / 3600
    return rates


def compute_platoons(seconds: np.ndarray) -> np.ndarray:
    """Return the factors (4, …) of the arrival rates at seconds since a platoon began (4, …), 1 on average.

    Example:
        >>> compute_platoons(np.array([[20], [30], [0], [0]])).round(2).ravel().tolist()
        [2.8, 0.18, 1.0, 1.0]
    """
    share = _GREEN_S / CYCLE_S
    factors = np.where(seconds % CYCLE_S < _GREEN_S, _FACTOR, (1 - share * _FACTOR) / (1 - share))
    return np.where(_PLATOONS[:, None], factors, 1.0)
