"""Returns of agents after the whole budget of RL Zoo: zoo's by their defaults, Stable-Baselines3's rerun here.

Neither side stops at a threshold, and both are judged by the same 100 episodes, which neither has seen. zoo keeps the
policy with the best validation episodes, Stable-Baselines3 the last one, as its ``learn`` does. Seeds are summarised by
their interquartile mean with a bootstrap interval of 95 % (Agarwal et al. 2021, "Deep Reinforcement Learning at the
Edge of the Statistical Precipice"). The children are those of ``rl.py``.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import numpy as np
from _results import Results, alternated, read_arguments
from _rl_rivals import find_rival_interpreter, read_versions
from rl import OUT_OF_REACH, PAIRS, QUICK_SEEDS, SEEDS, Pair, train_in_child
from scipy import stats

MOST_STEPS = 120_000
# RL Zoo, benchmark.md: mean return of one trained agent each.
PUBLISHED = {
    "ppo/CartPole-v1": 500.0, "ppo/Acrobot-v1": -73.5, "ppo/Pendulum-v1": -172.0, "dqn/CartPole-v1": 500.0,
    "dqn/Acrobot-v1": -76.6, "dqn/MountainCar-v0": -100.8, "sac/Pendulum-v1": -157.0,
}  # fmt: skip


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "", [pair.name for pair in PAIRS])
    seeds, rival = QUICK_SEEDS if options.quick else SEEDS, find_rival_interpreter()
    results = Results(__file__, options, {"seeds": seeds, "stock": read_versions(rival)})
    for pair in PAIRS:
        if options.only not in (None, pair.name) or pair.budget > MOST_STEPS:
            continue
        for number, seed in enumerate(seeds):
            for side in alternated(_sides_of(pair), number):
                work = pair.describe(side, seed, quick=options.quick, profile=False) | {"goal": OUT_OF_REACH}
                interpreter = rival if side == pair.rival else sys.executable
                results.measure(f"{pair.name}, {side}, {seed}", partial(train_in_child, interpreter, work))
    _report(results)


def interquartile_mean(values: np.ndarray, axis: int = -1) -> Any:
    """Return the mean of the middle half."""
    return stats.trim_mean(values, 0.25, axis=axis)


def _report(results: Results) -> None:
    lines = []
    for pair in PAIRS:
        sides = {side: _returns_of(results, pair.name, side) for side in _sides_of(pair)}
        if not all(len(returns) for returns in sides.values()):
            continue
        least = _interval(sides[pair.rival])[0]
        for side, returns in sides.items():
            low, high = _interval(returns)
            middle = float(interquartile_mean(returns))
            verdict = "" if side == pair.rival else "yes" if middle >= least else "no"
            published = f"{PUBLISHED[pair.name]:g}" if side == pair.rival else ""
            shown = f"{middle:.1f} [{low:.1f}, {high:.1f}]"
            lines.append((pair.environment, side, shown, str(len(returns)), published, verdict))
    header = ("environment", "agent", "return", "seeds", "published by RL Zoo", "not below the rival's interval")
    budgets = "; ".join(f"{pair.name} {pair.budget:,}" for pair in PAIRS if pair.budget <= MOST_STEPS)
    notes = [
        "Interquartile mean over the seeds [95 % interval by bootstrap].",
        f"Budgets: {budgets} steps. RL Zoo publishes the PPO of Acrobot after a million steps, and one run of each.",
    ]
    results.report("Agents: returns after the whole budget", header, lines, notes)


def _sides_of(pair: Pair) -> list[str]:
    return [*pair.ours, pair.rival]


def _returns_of(results: Results, pair: str, side: str) -> np.ndarray:
    rows = [row for key, row in results.rows.items() if key.startswith(f"{pair}, {side}, ")]
    return np.array([row["return_mean"] for row in rows])


def _interval(returns: np.ndarray) -> tuple[float, float]:
    if len(np.unique(returns)) < 2:
        return float(returns.min()), float(returns.max())
    drawn = stats.bootstrap((returns,), interquartile_mean, method="percentile", rng=0).confidence_interval
    return float(drawn.low), float(drawn.high)


if __name__ == "__main__":
    main()
