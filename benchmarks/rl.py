"""CPU time until agents reach a mean return: zoo's and Stable-Baselines3's.

zoo's agents have their defaults and, in trainings of their own, the hyperparameters that RL Zoo has for their
algorithm; Stable-Baselines3's have the latter.

Both sides are held to one criterion: after each evaluation interval the greedy policy plays the same 20 episodes, and
where their mean return reaches the threshold, 100 others; if these reach it too, the clock stops. It counts the CPU
time (user and system) of the process and its threads from the first moment of training on, checks and confirmations
included; imports and building the network are over by then. Each training runs in a fresh process with one thread, the
sides in turn. When the clock stands, one judge plays 100 further episodes with the policy that came out.

One more training of each side, without a threshold, tells where its time goes. ``--only ppo/CartPole-v1`` measures one
pair. Stable-Baselines3 is installed once, with pip, into an environment of its own in the user's cache folder; where
``SB3_PYTHON`` names an interpreter that has it, that one is taken instead.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import gymnasium
import numpy as np
from _processes import CHILD, child_payload, import_tensorflow, tell_parent, working_folder
from _results import Results, alternated, judged, read_arguments, say, spread, table
from _rl_episodes import (
    CHECK_SEEDS,
    CONFIRMATION_SEEDS,
    JUDGE_SEEDS,
    MOST_TOGETHER,
    Stopwatch,
    make_environment,
    play_episodes,
)
from _rl_rivals import find_rival_interpreter, read_versions, train_rival
from _rl_settings import translate_settings

ROOT = Path(__file__).resolve().parent.parent
SEEDS, QUICK_SEEDS = (0, 1, 2, 3, 4), (0,)
# A training that tells where the time goes has no threshold, and at most so many steps.
PROFILE, PROFILE_STEPS, OUT_OF_REACH = "profile", 100_000, 1e9
BY_DEFAULTS = ", by defaults"
BY_RL_ZOO = ", as RL Zoo"  # ends the name of a model of zoo that has RL Zoo's hyperparameters
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
    "1",
)


@dataclass(frozen=True)
class Pair:
    """Agents of zoo and their rival in an environment.

    Args:
        rival: Stable-Baselines3's algorithm.
        ours: Models of zoo with the environment steps of their evaluation interval; the first one's is the rival's. The
            first is the rival's algorithm, and is also trained with RL Zoo's hyperparameters.
        environment: Environment id.
        goal: The mean return to reach.
        budget: Environment steps of a training, which are rounded to whole intervals.
        needs: Module that the environment needs, or empty.
        seeds: How many of the seeds are used, from the first on.
    """

    rival: str
    ours: Mapping[str, int]
    environment: str
    goal: float
    budget: int
    needs: str = ""
    seeds: int = len(SEEDS)

    @property
    def name(self) -> str:
        """What ``--only`` takes, and keys of measurements begin with."""
        return f"{self.rival.lower()}/{self.environment}"

    @property
    def first(self) -> str:
        """The model of zoo that has the rival's algorithm."""
        return next(iter(self.ours))

    @property
    def sides(self) -> tuple[str, ...]:
        """All agents, by their names."""
        return (*self.ours, self.first + BY_RL_ZOO, self.rival)

    def describe(self, side: str, seed: int, *, quick: bool, profile: bool) -> dict[str, Any]:
        """Return what the child that trains an agent is told."""
        period = self.ours.get(side, self.ours[self.first])
        settings: dict[str, Any] = {}
        if side.endswith(BY_RL_ZOO):
            settings = translate_settings(self.rival, self.environment) | {"period": period}
        budget = min(self.budget, PROFILE_STEPS) if profile else self.budget
        return {
            "model": side.removesuffix(BY_RL_ZOO),
            "hyperparameters": settings,
            "environment": self.environment,
            "goal": OUT_OF_REACH if profile else self.goal,
            "steps": period * (1 if quick else max(1, round(budget / period))),
            "period": period,
            "seed": seed,
            "profile": profile,
        }


PPO, VALUES, SAC = {"rl/ppo": 8_192}, {"rl/dqn": 2_560, "rl/pqn": 8_192}, {"rl/sac": 2_000}
PAIRS = (
    Pair("PPO", PPO, "CartPole-v1", 475.0, 100_000),
    Pair("PPO", PPO, "Acrobot-v1", -100.0, 100_000),
    Pair("PPO", PPO, "Pendulum-v1", -200.0, 100_000),
    Pair("PPO", {"rl/ppo": 32_768}, "LunarLander-v3", 200.0, 1_000_000, needs="Box2D", seeds=3),
    Pair("DQN", VALUES, "CartPole-v1", 475.0, 50_000),
    Pair("DQN", VALUES, "Acrobot-v1", -100.0, 100_000),
    Pair("DQN", VALUES, "MountainCar-v0", -115.0, 120_000),
    Pair("SAC", SAC, "Pendulum-v1", -200.0, 20_000),
)
# The geometric mean of the ratios: at most this, and what is hoped for.
AIMS = {"PPO": (0.33, 0.33), "DQN": (0.6, 0.4), "SAC": (0.65, 0.4)}
OUTSIDE_PAIR, OUTSIDE_AIM = PAIRS[0], 0.4
PARTS = ("environment", "acting", "storing", "learning", "compiling", "evaluation")


def main() -> None:
    """Measure and report; in a child, train one agent."""
    work = child_payload()
    if work is not None:
        return tell_parent(train_ours(work) if work["model"].startswith("rl/") else train_rival(work))
    options = read_arguments(__doc__ or "", [pair.name for pair in PAIRS])
    seeds, rival = QUICK_SEEDS if options.quick else SEEDS, find_rival_interpreter()
    settings = {"seeds": seeds, "pairs": [asdict(pair) for pair in PAIRS], "stock": read_versions(rival)}
    results = Results(__file__, options, settings)
    left_out = []
    for pair in PAIRS:
        if options.only not in (None, pair.name):
            continue
        if pair.needs and not all(_can_import(pair.needs, python) for python in (sys.executable, rival)):
            say(f"rl: {pair.name} is left out: {pair.needs} must be importable on both sides")
            left_out.append(pair)
            continue
        for number, seed in enumerate([*seeds[: pair.seeds], PROFILE]):
            for side in alternated(list(pair.sides), number):
                profile = seed == PROFILE
                work = pair.describe(side, 0 if profile else int(seed), quick=options.quick, profile=profile)
                interpreter = rival if side == pair.rival else sys.executable
                results.measure(_key(pair, side, seed), partial(train_in_child, interpreter, work))
    return _report(results, left_out)


def _key(pair: Pair, side: str, seed: int | str) -> str:
    return f"{pair.name}, {side}, {seed}"


def _child_environment() -> dict[str, str]:
    """Return the variables of a child: one thread, and zoo's light modules, which the rival's environment lacks."""
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, **ONE_THREAD, "PYTHONPATH": paths}


def _can_import(module: str, interpreter: str) -> bool:
    command = [interpreter, "-c", f"import {module}"]
    return subprocess.run(command, env=_child_environment(), stderr=subprocess.DEVNULL).returncode == 0


def train_in_child(interpreter: str, work: dict[str, Any]) -> dict[str, Any]:
    """Train an agent in a fresh process with one thread and return what the process tells."""
    say(f"rl: {work['model']} on {work['environment']}, seed {work['seed']}{', profile' if work['profile'] else ''}")
    command = [interpreter, str(Path(__file__).resolve()), CHILD, json.dumps(work)]
    done = subprocess.run(command, env=_child_environment(), stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"a part of the benchmark ended with status {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


# --- in a child ---


def train_ours(work: dict[str, Any]) -> dict[str, Any]:
    """Train by ``zoo.train``, tracked; the clock runs while the task fits the network."""
    import_tensorflow()
    import zoo
    from zoo.fitting.model_builder import create_model_builder

    task = create_model_builder(work["model"]).task
    fit, measured = task.fit, dict[str, Any]()

    def clocked(built_model: Any, dataset: Any, plan: Any, **options: Any) -> Any:
        assert dataset.splits["validation"].rows.tolist() == list(CHECK_SEEDS)
        with _timed_parts(work["profile"]) as parts:
            began = time.process_time()
            result = fit(built_model, dataset, plan, **options)
            measured["cpu_s"] = time.process_time() - began
        measured["steps"], measured["solved"] = int(result.history["steps"][-1]), result.stopped == "solved"
        if parts:
            measured["parts"] = parts
        return result

    # All of the budget is used, as by the rival.
    epochs = work["steps"] // work["period"]
    options: dict[str, Any] = {
        "epochs": epochs,
        "hyperparameters": work["hyperparameters"] | {"patience": epochs},
        "solved": work["goal"],
        "seed": work["seed"],
        "processes": 1,
    }
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, working_folder(Path(folder)):
        began = time.process_time()
        with patch.object(task, "fit", clocked):
            run = zoo.train(work["model"], work["environment"], **options, baselines="none", quiet=True)
        whole_cpu_s = time.process_time() - began
        assert run.hyperparameters["period"] == work["period"]
        if work["profile"]:
            return measured
        returns = play_episodes(_policy_of(run.model, work["environment"]), work["environment"], JUDGE_SEEDS)
    return {**measured, "whole_cpu_s": whole_cpu_s, "return_mean": float(returns.mean())}


def _policy_of(model: Any, environment: str) -> Any:
    """Return the policy of a saved model: from observations (B, …) to actions."""
    shape = make_environment(environment).action_space.shape

    def policy(seen: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict(seen).filter(like="prediction")).reshape(len(seen), *(shape or ()))

    return policy


@contextmanager
def _timed_parts(wanted: bool) -> Iterator[dict[str, float]]:
    """Yield the CPU seconds of each part of a fit, which are there when the block is over; empty if not wanted."""
    from zoo.tasks.rl._agent_loop import Learner
    from zoo.tasks.rl._training_state import AgentState

    stopwatch, parts, make = Stopwatch(), dict[str, float](), gymnasium.make
    if not wanted:
        yield parts
        return
    calls = [(agent, *call) for agent in Learner.__subclasses__()
             for call in (("act", "acting"), ("store", "storing"), ("learn", "learning"))]  # fmt: skip
    with ExitStack() as stack:
        for owner, name, part in [*calls, (AgentState, "_returns", "evaluation")]:
            stack.enter_context(patch.object(owner, name, stopwatch.time_calls(part, getattr(owner, name))))
        stack.enter_context(patch.object(gymnasium, "make", lambda *a, **k: stopwatch.time_steps(make(*a, **k))))
        yield parts
    parts.update(stopwatch.seconds)
    parts["compiling"] = stopwatch.longest["learning"]  # the first call
    parts["learning"] -= parts["compiling"]


# --- in the parent ---


def _report(results: Results, left_out: list[Pair]) -> None:
    all_seeds = results.settings["seeds"]
    pairs = [
        pair for pair in PAIRS
        if all(_key(pair, *row) in results for row in product(pair.sides, [*all_seeds[: pair.seeds], PROFILE]))
    ]  # fmt: skip
    ratios: dict[tuple[str, str], list[float]] = {}
    lines, failures = [], []
    for pair in pairs:
        seeds = all_seeds[: pair.seeds]
        rows = {side: [results.rows[_key(pair, side, seed)] for seed in seeds] for side in pair.sides}
        middle = {side: statistics.median(row["cpu_s"] for row in rows[side]) for side in pair.sides}
        failed = {side: [seed for seed, row in zip(seeds, rows[side], strict=True) if not row["solved"]]
                  for side in pair.sides}  # fmt: skip
        # An agent that fails soon is not the better one.
        best = min((len(failed[side]), middle[side], side) for side in pair.ours)[-1]
        for way, side in ((BY_DEFAULTS, best), (BY_RL_ZOO, pair.first + BY_RL_ZOO)):
            ratios.setdefault((pair.rival, way), []).append(middle[side] / middle[pair.rival])
        for side in pair.sides:
            mark = " (better)" if side == best and len(pair.ours) > 1 else ""
            if failed[side]:
                failures.append(f"{_name(side)} on {pair.environment}: {', '.join(map(str, failed[side]))}")
            lines.append(
                (
                    pair.environment,
                    _name(side),
                    spread([row["cpu_s"] for row in rows[side]], ".1f", " s"),
                    spread([row["steps"] for row in rows[side]], ",.0f"),
                    f"{len(failed[side])} of {len(seeds)}",
                    spread([row["return_mean"] for row in rows[side]], ".1f"),
                    f"{middle[side] / middle[pair.rival]:.2f}{mark}",
                )
            )
    header = ("environment", "agent", "CPU time until the threshold", "steps", "not reached", "judged return",
              "times Stable-Baselines3")  # fmt: skip
    notes = [
        _aims(results, pairs, ratios),
        f"Seeds that did not reach the threshold: {'; '.join(failures) or 'none'}.",
        _parts(results, pairs),
        *_notes(results, left_out),
    ]
    results.report("Agents: CPU time until a mean return is reached", header, lines, notes)


def _name(side: str) -> str:
    return f"zoo {side}" if side.startswith("rl/") else f"Stable-Baselines3 {side}"


def _aims(results: Results, pairs: list[Pair], ratios: dict[tuple[str, str], list[float]]) -> str:
    """Return the table of what is judged."""
    lines = []
    for (rival, way), values in ratios.items():
        mean, (most, hoped) = statistics.geometric_mean(values), AIMS[rival]
        what = f"CPU time, times {rival}'s; geometric mean of {len(values)}{way}"
        lines.append((what, f"{mean:.2f}", f"{most:g}", judged([mean], most), f"{hoped:g}", judged([mean], hoped)))
    if OUTSIDE_PAIR in pairs:
        ours, rivals = (
            _outside_ms(results.rows[_key(OUTSIDE_PAIR, side, PROFILE)])
            for side in (OUTSIDE_PAIR.first, OUTSIDE_PAIR.rival)
        )
        what = f"time outside the environment a step on {OUTSIDE_PAIR.environment}, times {OUTSIDE_PAIR.rival}'s"
        met = judged([ours / rivals], OUTSIDE_AIM)
        lines.append((what, f"{ours / rivals:.2f}", f"{OUTSIDE_AIM:g}", met, f"{OUTSIDE_AIM:g}", met))
    return "What is judged:\n\n" + table(("what", "measured", "at most", "met", "aim", "met"), lines)


def _parts(results: Results, pairs: list[Pair]) -> str:
    """Return the table of where the CPU time of a training without a threshold goes."""
    lines = []
    for pair in pairs:
        for side in pair.sides:
            row = results.rows[_key(pair, side, PROFILE)]
            parts, rest = row["parts"], row["cpu_s"] - sum(row["parts"].values())
            shown = [f"{parts[part]:.2f}" if part in parts else "–" for part in PARTS]
            amounts = (f"{rest:.2f}", f"{row['cpu_s']:.2f}", f"{row['steps']:,}", f"{_outside_ms(row):.3f} ms")
            lines.append((pair.environment, _name(side), *shown, *amounts))
    header = ("environment", "agent", *PARTS, "rest", "all", "steps", "outside the environment, a step")
    return "Where the time goes, in CPU seconds:\n\n" + table(header, lines)


def _outside_ms(row: dict[str, Any]) -> float:
    """Return the CPU time of a training step that is neither the environment's nor evaluation, in milliseconds."""
    parts = row["parts"]
    return float(1000 * (row["cpu_s"] - parts["environment"] - parts["evaluation"]) / row["steps"])


def _notes(results: Results, left_out: list[Pair]) -> list[str]:
    versions = ", ".join(f"{name} {number}" for name, number in results.settings["stock"].items())
    more = [row["whole_cpu_s"] - row["cpu_s"] for row in results.rows.values() if "whole_cpu_s" in row]
    thresholds = "; ".join(
        f"{pair.name} {pair.goal:g} within {pair.budget:,} steps, checked every "
        + " / ".join(f"{period:,}" for period in pair.ours.values())
        for pair in PAIRS
    )
    notes = [
        "Median (least to greatest) over the seeds; *times* is the ratio of the medians. A training that does not "
        "reach the threshold counts with the CPU time of its whole budget. Of several agents of zoo, the ratio of "
        "the better one counts in the geometric mean: with fewer such seeds, then with less time.",
        f"Thresholds: {thresholds} steps. The rival is checked as often as zoo's first agent, after a whole rollout.",
        f"Both policies are checked by {len(CHECK_SEEDS)} episodes and, where these reach the threshold, confirmed by "
        f"{len(CONFIRMATION_SEEDS)} others: the same episodes on both sides, up to {MOST_TOGETHER} played together. "
        f"*Judged return* is the mean of {len(JUDGE_SEEDS)} episodes that neither side has seen, played by the same "
        "judge after the clock has stopped.",
        "CPU time is that of the process and its threads, one thread for computing, without imports and without "
        "building the network. zoo trains by `zoo.train`, tracked, with its defaults or, *as RL Zoo*, with RL Zoo's "
        "hyperparameters as far as it has them (`_rl_settings.py` says what it lacks), but not stopped before the "
        "budget for lack of improvement: its figure is the fit, with TensorFlow's tracing, the curves in MLflow and "
        "the checkpoints; what comes before and after it (lazy imports, "
        f"the run in MLflow, test episodes, figures, the saved model) took {spread(more, '.1f', ' s')} more. "
        "Stable-Baselines3's figure is `learn`, with RL Zoo's hyperparameters.",
        f"Where the time goes: one training of seed 0, of at most {PROFILE_STEPS:,} steps, without a threshold and "
        "with a CPU clock around the calls; *environment* is the steps and resets of training, *compiling* the longest "
        "round of learning, which is the first. Acting and storing of Stable-Baselines3 are in *rest*.",
        f"The rival: {versions}.",
    ]
    return notes + [f"Left out: {pair.name}, as {pair.needs} is not importable on both sides." for pair in left_out]


if __name__ == "__main__":
    main()
