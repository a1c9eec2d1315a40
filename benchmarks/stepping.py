"""How long a step of all environments takes: in one process, in two, and by EnvPool where it is installed.

Actions are random, and episodes begin again as in training. An environment that only spends time shows from which step
time on processes are worth it; the number that zoo takes without a setting is shown.
"""

from __future__ import annotations

import importlib.util
import time
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from _processes import import_tensorflow
from _results import Results, read_arguments, spread

SECONDS, QUICK_SECONDS, ROUNDS, QUICK_ROUNDS = 3.0, 0.2, 3, 1
WAYS: dict[str, dict[str, Any]] = {
    "one process": {"processes": 1},
    "two processes": {"processes": 2},
    "EnvPool": {"envpool": True},
}
CASES: list[tuple[str, dict[str, Any], int]] = [
    ("CartPole-v1", {}, 8),
    ("Acrobot-v1", {}, 16),
    ("Pendulum-v1", {}, 8),
    ("LunarLander-v3", {}, 16),
    ("TrafficLight-v0", {}, 8),
    ("Busy-v0", {"step_s": 0.0002}, 8),
    ("Busy-v0", {"step_s": 0.001}, 8),
]


class Busy(gymnasium.Env):
    """An environment whose step takes a given time of computing."""

    observation_space, action_space = gymnasium.spaces.Box(0, 1, (8,), np.float32), gymnasium.spaces.Discrete(2)

    def __init__(self, step_s: float) -> None:
        self.step_s = step_s

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return np.zeros(8, np.float32), {}

    def step(self, action: Any) -> Any:
        began = time.thread_time()
        while time.thread_time() - began < self.step_s:
            pass
        return np.zeros(8, np.float32), 0.0, False, False, {}


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    import_tensorflow()
    gymnasium.register("Busy-v0", Busy, max_episode_steps=200)
    seconds, rounds = (QUICK_SECONDS, QUICK_ROUNDS) if options.quick else (SECONDS, ROUNDS)
    results = Results(__file__, options, {"seconds": seconds, "rounds": rounds})
    for name, environment_options, count in CASES:
        if name == "LunarLander-v3" and importlib.util.find_spec("Box2D") is None:
            continue
        for number in range(rounds):
            for way, how in WAYS.items():
                if way != "EnvPool" or _is_in_envpool(name):
                    measure = partial(_measure, name, environment_options, count, how, seconds)
                    results.measure(f"{_name(name, environment_options)}, {count}, {way}, {number}", measure)
    _report(results)


def _name(name: str, options: dict[str, Any]) -> str:
    return f"a step of {1000 * options['step_s']:g} ms" if options else name


def _is_in_envpool(name: str) -> bool:
    if importlib.util.find_spec("envpool") is None:
        return False
    import envpool

    return name in envpool.list_all_envs()


def _measure(name: str, options: dict[str, Any], count: int, how: dict[str, Any], seconds: float) -> dict[str, float]:
    from zoo.tasks.rl._environments import Episodes

    chosen = Episodes(name, options, count)
    processes = chosen.stepper.processes
    chosen.close()
    episodes, rng = Episodes(name, options, count, **how), np.random.default_rng(0)
    episodes.begin(range(count), list(range(count)))
    space = episodes.action_space
    discrete = isinstance(space, gymnasium.spaces.Discrete)
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        actions = rng.integers(space.n, size=count) if discrete else rng.uniform(-1, 1, (count, *space.shape))
        episodes.step(actions, actions, rng)
        steps += 1
    spent = time.perf_counter() - began
    episodes.close()
    return {"ms": 1000 * spent / steps, "processes": float(processes)}


def _report(results: Results) -> None:
    cases: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for key, row in results.rows.items():
        name, count, way, _ = key.split(", ")
        cases.setdefault(f"{count} of {name}", {}).setdefault(way, []).append(row)
    lines = []
    for case, ways in cases.items():
        taken = f"{ways['one process'][-1]['processes']:.0f}"
        cells = [spread([row["ms"] for row in ways[way]], ".2f") if way in ways else "–" for way in WAYS]
        lines.append((case, *cells, taken))
    header = ("environments", *(f"{way}, ms" for way in WAYS), "processes by default")
    notes = [
        "Median (least to greatest) of the wall-clock time of a step of all environments. "
        "EnvPool's columns are for environments that it has; it steps them by one thread, and draws the seeds itself.",
    ]
    results.report("Steps of environments", header, lines, notes)


if __name__ == "__main__":
    main()
