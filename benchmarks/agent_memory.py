"""Memory of agents: a replay of a million transitions, and what 100,000 environment steps of training leave behind.

The replay is filled with observations like those of CartPole, and with images of 84 × 84 pixels and 4 frames as bytes,
of which fewer are stored and the memory is that of a million. What a buffer with two copies of each observation would
need is next to it. A training is watched after each evaluation interval.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import psutil
from _processes import import_tensorflow, working_folder
from _results import Results, judged, read_arguments

MILLION, IMAGES = 1_000_000, 20_000
SHAPES = {"4 numbers": ((4,), np.float32, MILLION), "84 × 84 × 4 bytes": ((84, 84, 4), np.uint8, IMAGES)}
COLUMNS = 8
# Evaluation intervals until the first look, when all is compiled, and the environment steps after it.
WARM_STEPS, STEPS, AIM_MIB = 20_000, 100_000, 20
AGENTS = {
    "rl/dqn": ("CartPole-v1", 2_560), "rl/pqn": ("CartPole-v1", 8_192), "rl/ppo": ("CartPole-v1", 8_192),
    "rl/sac": ("Pendulum-v1", 2_000),
}  # fmt: skip


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    import_tensorflow()
    scale = 20 if options.quick else 1
    results = Results(__file__, options, {"steps": STEPS // scale})
    for name, (shape, kind, count) in SHAPES.items():
        results.measure(f"replay, {name}", partial(_fill, shape, kind, count // scale))
    for agent, (environment, period) in AGENTS.items():
        results.measure(f"training, {agent}", partial(_train, agent, environment, period, scale))
    _report(results)


def _fill(shape: tuple[int, ...], kind: Any, count: int) -> dict[str, float]:
    """Return the memory of a replay with so many transitions, in MiB for a million."""
    from zoo.tasks.rl._experience import Replay, Transitions

    before, rng, replay = psutil.Process().memory_info().rss, np.random.default_rng(0), Replay(count)
    seen = rng.integers(0, 255, (COLUMNS, *shape)).astype(kind)
    for number in range(count // COLUMNS):
        following = seen.copy()
        following.reshape(COLUMNS, -1)[:, 0] = number % 255
        ends = np.full(COLUMNS, number % 200 == 199)
        replay.add(Transitions(seen, np.zeros(COLUMNS, int), np.ones(COLUMNS), following, np.zeros_like(ends), ends))
        seen = following
    used = (psutil.Process().memory_info().rss - before) / 2**20
    copies = count * (2 * seen[0].nbytes + 8 + 4 + 1) / 2**20
    return {"mib": used * MILLION / count, "copies_mib": copies * MILLION / count}


def _train(agent: str, environment: str, period: int, scale: int) -> dict[str, float]:
    """Return the memory of the process after the first steps, and after all of them, in MiB."""
    from zoo.tasks.rl._training_state import AgentState

    import zoo

    after, watched = AgentState.after_evaluation, list[tuple[int, float]]()

    def watch(state: Any, *arguments: Any, **options: Any) -> None:
        after(state, *arguments, **options)
        watched.append((state.steps, psutil.Process().memory_info().rss / 2**20))

    epochs = -(-(WARM_STEPS + STEPS) // scale // period) + 1
    settings = {"patience": epochs, "period": period}
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
        working_folder(Path(folder)),
        patch.object(AgentState, "after_evaluation", watch),
    ):
        zoo.train(
            agent, environment, epochs=epochs, hyperparameters=settings, baselines="none", figures=False, quiet=True
        )
    first = next(mib for steps, mib in watched if steps >= WARM_STEPS // scale)
    return {"mib": first, "end_mib": watched[-1][1], "steps": float(watched[-1][0])}


def _report(results: Results) -> None:
    lines = []
    for key, row in results.rows.items():
        what, name = key.split(", ", 1)
        if what == "replay":
            lines.append((f"a million transitions of {name}", f"{row['mib']:,.0f}", f"{row['copies_mib']:,.0f}", ""))
        else:
            growth = row["end_mib"] - row["mib"]
            met = judged([growth], AIM_MIB)
            lines.append((f"{name}, {row['steps']:,.0f} steps", f"{row['mib']:,.0f}", f"{row['end_mib']:,.0f}", met))
    header = ("memory", "MiB", "with copies, at the end, MiB", f"grows by at most {AIM_MIB} MiB")
    notes = [
        f"A training: the memory of the process after {WARM_STEPS:,} steps, when all is compiled, and at the end.",
        f"A replay of images: {IMAGES:,} stored; with copies: two of each observation, computed.",
    ]
    results.report("Memory of agents", header, lines, notes)


if __name__ == "__main__":
    main()
