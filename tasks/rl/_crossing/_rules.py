"""Rules of traffic engineering for ``TrafficLight-v0``, with parameters that were tuned by their return.

Each is a function from observations (B, F) to the phases that should have green (B,). What it needs from earlier steps,
such as the seconds since the last switch, is part of the observation. A switch that is not allowed yet has no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from ._traffic import DAY_H, HEADWAY_S, LANES, PHASES, START_UP_S, STEP_S, compute_rates

# Chosen by `python benchmarks/crossing_rules.py`, on seeds that neither select nor test agents.
CYCLE_FACTOR = 1.0  # of Webster's cycle length
QUEUE_THRESHOLD = 10  # vehicles
GAP_VEHICLES, MAXIMUM_GREEN_S = 2, 50
SHORTEST_CYCLE_S, LONGEST_CYCLE_S, MOST_SATURATED = 30.0, 120.0, 0.9  # limits of Webster's formula


Rule = Callable[[np.ndarray], np.ndarray]


def create_rules(*, demand: float, clearance: float) -> Mapping[str, Callable[[], Rule]]:
    """Return a function for each rule, by name, that creates it.

    Args:
        demand: Factor of the arrival rates.
        clearance: Seconds of clearance after a switch.
    """
    webster = partial(follow_webster, demand=demand, clearance=clearance)
    actuated = partial(extend_green, clearance=clearance)
    return {"webster": lambda: webster, "longest_queue": lambda: serve_longest_queue, "actuated": lambda: actuated}


def compute_greens(hours: np.ndarray, *, demand: float, clearance: float, factor: float = CYCLE_FACTOR) -> np.ndarray:
    """Return the seconds of green (B, 2) of both phases at times of day (B,), by Webster 1958.

    With a lost time of L seconds in a cycle and Y, the sum over phases of the greatest ratio of arrivals to saturation
    flow, the cycle of least delay is (1.5 L + 5) / (1 - Y). Green is split in proportion to these ratios.

    Args:
        hours: Times of day.
        demand: Factor of the arrival rates.
        clearance: Seconds of clearance after a switch.
        factor: Factor of the cycle length.

    Example:
        >>> compute_greens(np.array([3.0, 8.0]), demand=1.0, clearance=5).round().tolist()
        [[9.0, 11.0], [33.0, 27.0]]
    """
    loads = demand * compute_rates(hours) * HEADWAY_S / np.array(LANES)  # (B, 4)
    critical = np.stack([loads[..., list(phase)].max(axis=-1) for phase in PHASES], axis=-1)  # (B, 2)
    total, lost_s = np.maximum(critical.sum(axis=-1), 1e-9), len(PHASES) * (clearance + START_UP_S)
    cycle_s = factor * (1.5 * lost_s + 5) / (1 - np.minimum(total, MOST_SATURATED))
    cycle_s = np.clip(cycle_s, SHORTEST_CYCLE_S, LONGEST_CYCLE_S)
    greens: np.ndarray = (cycle_s - lost_s)[..., None] * critical / total[..., None] + START_UP_S
    return greens


def follow_webster(
    observations: np.ndarray, *, demand: float, clearance: float, factor: float = CYCLE_FACTOR
) -> np.ndarray:
    """Return the phases of fixed times, which depend on the time of day alone."""
    hours = np.arctan2(observations[:, 15], observations[:, 16]) * DAY_H / (2 * np.pi) % DAY_H
    phases = observations[:, 12].astype(int)
    greens = compute_greens(hours, demand=demand, clearance=clearance, factor=factor)[np.arange(len(phases)), phases]
    ends = observations[:, 13] - clearance >= greens - STEP_S / 2  # to the nearest step
    return np.where(ends, 1 - phases, phases)


def serve_longest_queue(observations: np.ndarray, *, threshold: float = QUEUE_THRESHOLD) -> np.ndarray:
    """Return the other phase where more vehicles wait for it, by more than a threshold or with no one at green."""
    phases, green, red = _count_waiting(observations)
    return np.where(red > green + threshold * (green > 0), 1 - phases, phases)


def extend_green(
    observations: np.ndarray,
    *,
    clearance: float,
    gap: float = GAP_VEHICLES,
    maximum: float = MAXIMUM_GREEN_S,
) -> np.ndarray:
    """Return the phases of actuated control: green is extended until a gap in the arrivals, or for a maximum.

    Args:
        observations: Observations (B, F).
        clearance: Seconds of clearance after a switch.
        gap: A gap is a time without a queue when at most so many vehicles arrive within 10 seconds.
        maximum: Seconds of green after which it ends if a vehicle waits for the other phase.
    """
    phases, green, red = _count_waiting(observations)
    arriving = _sum_over_phase(observations[:, 4:8], phases)
    ends = ((green == 0) & (arriving <= gap)) | (observations[:, 13] - clearance >= maximum)
    return np.where(ends & (red > 0), 1 - phases, phases)


def _count_waiting(observations: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the phases (B,), and the vehicles that wait for the present and for the other one."""
    phases = observations[:, 12].astype(int)
    return phases, _sum_over_phase(observations[:, :4], phases), _sum_over_phase(observations[:, :4], 1 - phases)


def _sum_over_phase(values: np.ndarray, phases: np.ndarray) -> np.ndarray:
    sums = np.stack([values[:, list(phase)].sum(axis=1) for phase in PHASES], axis=1)  # (B, 2)
    return sums[np.arange(len(phases)), phases]
