"""Returns of agents by their defaults on Gymnasium's classic control and toy text, with the CPU time of the command.

Each agent plays 100 test episodes, whose seeds chose nothing, with the policy that was best on 20 evaluation episodes.
An environment counts as learned at the mean return of its threshold below.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _results import Results, mean_and_deviation, read_arguments, say

ROOT = Path(__file__).parent.parent
SEEDS = 5
THRESHOLDS = {
    "CartPole-v1": 475.0, "Acrobot-v1": -100.0, "Pendulum-v1": -200.0, "MountainCar-v0": -115.0,
    "MountainCarContinuous-v0": 90.0, "LunarLander-v3": 200.0,
    "FrozenLake-v1": 0.7, "Taxi-v4": 7.0, "CliffWalking-v1": -13.0,
}  # fmt: skip
PAIRS = (
    ("rl/ppo", "CartPole-v1"),
    ("rl/ppo", "Acrobot-v1"),
    ("rl/ppo", "Pendulum-v1"),
    ("rl/ppo", "LunarLander-v3"),
    ("rl/dqn", "CartPole-v1"),
    ("rl/dqn", "Acrobot-v1"),
    ("rl/dqn", "MountainCar-v0"),
    ("rl/pqn", "CartPole-v1"),
    ("rl/pqn", "Acrobot-v1"),
    ("rl/sac", "Pendulum-v1"),
    ("rl/sac", "MountainCarContinuous-v0"),
    ("rl/q_table", "FrozenLake-v1"),
    ("rl/q_table", "Taxi-v4"),
    ("rl/q_table", "CliffWalking-v1"),
)


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    seeds = 1 if options.quick else SEEDS
    results = Results(__file__, options, {"seeds": seeds})
    for seed in range(seeds):
        for model, environment in PAIRS:
            if environment == "LunarLander-v3" and importlib.util.find_spec("Box2D") is None:
                continue
            key = f"{model} on {environment}, seed {seed}"
            say(f"agents: {key}")
            more = ["--epochs", "2"] if options.quick else []
            words = [model, environment, "--seed", str(seed), *more]
            results.measure(key, lambda w=words: _train(w))
    _report(results)


def _train(words: list[str]) -> dict[str, Any]:
    """Return the returns of one run of the command line, its steps and its CPU time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "zoo", "train", *words, "--json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = json.loads(done.stdout)
    return {
        "return": run["metrics"]["test_return_mean"],
        "random": run["baselines"]["random"]["test_return_mean"],
        "steps_to_solve": run["metrics"].get("val_steps_to_solve"),
        "seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }


def _report(results: Results) -> None:
    lines = []
    for model, environment in PAIRS:
        rows = [row for key, row in results.rows.items() if key.startswith(f"{model} on {environment},")]
        if not rows:
            continue
        returns, threshold = [row["return"] for row in rows], THRESHOLDS[environment]
        learned = sum(value >= threshold for value in returns)
        lines.append(
            (
                model,
                environment,
                mean_and_deviation(returns, ".1f"),
                f"{min(returns):.1f}",
                f"{threshold:g}",
                f"{learned} of {len(rows)}",
                f"{statistics.mean(row['random'] for row in rows):.1f}",
                f"{statistics.mean(row['seconds'] for row in rows):.0f}",
            )
        )
    header = (
        "agent",
        "environment",
        "return, test",
        "least",
        "threshold",
        "learned",
        "random agent",
        "CPU seconds, all",
    )
    notes = ["Mean and standard deviation over seeds. CPU seconds include imports, evaluation, baselines and figures."]
    results.report("Returns of agents by their defaults", header, lines, notes)


if __name__ == "__main__":
    main()
