"""Waiting time at the crossing TrafficLight-v0: an agent trained by its defaults, against rules of traffic engineering.

Both are scored on 20 episodes whose seeds tuned neither the rules nor the agent. The agent is trained once for each
seed of training.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _processes import import_tensorflow, working_folder
from _results import Results, mean_and_deviation, read_arguments, say
from crossing_rules import SCORED_SEEDS, score

MODEL, ENVIRONMENT, SEEDS, AIM = "rl/ppo", "TrafficLight-v0", 3, 0.9


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    import_tensorflow()
    from zoo.tasks.rl._crossing import TrafficLight

    seeds, episodes = (1, list(SCORED_SEEDS)[:2]) if options.quick else (SEEDS, list(SCORED_SEEDS))
    results = Results(__file__, options, {"seeds": seeds, "episodes": [episodes[0], len(episodes)]})
    for rule, create_policy in TrafficLight().baseline_policies().items():
        results.measure(rule, lambda p=create_policy: score(p(), episodes))
    for seed in range(seeds):
        say(f"crossing_agent: seed {seed}")
        epochs = 1 if options.quick else None
        results.measure(f"{MODEL}, seed {seed}", lambda s=seed, e=epochs: _train(s, e, episodes))
    _report(results)


def _train(seed: int, epochs: int | None, episodes: list[int]) -> dict[str, Any]:
    """Return the scores of an agent that is trained by its defaults, and the CPU time of training."""
    import zoo

    began = time.process_time()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, working_folder(Path(folder)):
        run = zoo.train(MODEL, ENVIRONMENT, seed=seed, epochs=epochs, baselines="none", figures=False, quiet=True)
        seconds = time.process_time() - began

        def policy(seen: np.ndarray) -> np.ndarray:
            return run.model.predict({"observation": seen})["prediction"].to_numpy()

        return {**score(policy, episodes), "seconds": seconds}


def _report(results: Results) -> None:
    rules = {key: row for key, row in results.rows.items() if not key.startswith(MODEL)}
    best = min(row["waiting_mean_s"] for row in rules.values())
    lines = []
    for key, row in results.rows.items():
        ratio = row["waiting_mean_s"] / best
        met = "" if key in rules else "yes" if ratio <= AIM else "no"
        cells = (mean_and_deviation(row["waiting_s"], ".2f"), mean_and_deviation(row["returns"], ".1f"))
        lines.append((key, *cells, f"{ratio:.2f}", met, "" if key in rules else f"{row['seconds']:.0f}"))
    header = ("policy", "waiting, s a vehicle", "return", "times the best rule", f"met: at most {AIM:g}", "CPU seconds")
    notes = ["Mean and standard deviation over the episodes, which differ by the time of day."]
    results.report("An agent at the crossing TrafficLight-v0", header, lines, notes)


if __name__ == "__main__":
    main()
