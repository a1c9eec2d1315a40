"""CPU-seconds until a policy holds CartPole-v1: zoo's `rl/dqn` with its defaults against Stable-Baselines3's DQN.

The rival has RL Zoo's hyperparameters for this environment. Both are held to one criterion: after every
2,560 steps of the environment the greedy policy plays the same 20 episodes, and where their mean return is
475 or more, 100 others; if these hold 475 too, the clock stops. It counts the CPU time (user and system) of
the process and its threads from the first moment of training on, checks and confirmations included; imports
and building the network are over by then. Each training runs in a fresh process with one thread, the sides
in turn. When the clock stands, one judge plays 100 further episodes with the policy that came out.

Stable-Baselines3 is installed once, with pip, into an environment of its own in the user's cache folder;
where `SB3_PYTHON` names an interpreter that has it, that one is taken instead.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from _processes import CHILD, child_payload, import_tensorflow, tell_parent, working_folder
from _results import Results, alternated, judged, read_arguments, say, spread

MODEL, ENVIRONMENT, GOAL = "rl/dqn", "CartPole-v1", 475.0
AIM = 1.0
SEEDS, QUICK_SEEDS = (0, 1, 2), (0,)
PERIODS, QUICK_PERIODS = 40, 4
STEPS_A_PERIOD = 2_560
# The episodes by which zoo judges a policy, and then confirms it; the last are for the judge of both sides.
CHECK_SEEDS, CONFIRMATION_SEEDS = range(1_000_000, 1_000_020), range(2_000_000, 2_000_100)
JUDGE_SEEDS = range(4_000_000, 4_000_100)
MOST_TOGETHER = 50
SIDES = {"zoo": "zoo", "stock": "Stable-Baselines3"}

STOCK_PACKAGES = {"stable-baselines3": "2.9.2", "torch": "2.13.0"}
# RL Zoo, hyperparams/dqn.yml; there a training has 50,000 steps, and exploration falls over a share of them.
STOCK_SETTINGS = {
    "learning_rate": 2.3e-3,
    "batch_size": 64,
    "buffer_size": 100_000,
    "learning_starts": 1_000,
    "gamma": 0.99,
    "target_update_interval": 10,
    "train_freq": 256,
    "gradient_steps": 128,
    "exploration_final_eps": 0.04,
    "policy_kwargs": {"net_arch": [256, 256]},
}
STOCK_EXPLORATION_STEPS = 0.16 * 50_000
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
    "1",
)

Policy = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Measure and report; in a child, train one agent."""
    payload = child_payload()
    if payload is not None:
        train = {"zoo": _zoo_training, "stock": _stock_training}[payload["side"]]
        return tell_parent(train(payload["seed"], payload["periods"]))
    options = read_arguments(__doc__ or "")
    seeds, periods = (QUICK_SEEDS, QUICK_PERIODS) if options.quick else (SEEDS, PERIODS)
    interpreters = {"zoo": sys.executable, "stock": _stock_interpreter()}
    settings = {"seeds": seeds, "steps": periods * STEPS_A_PERIOD, "stock": _versions(interpreters["stock"])}
    results = Results(__file__, options, settings)
    for number, seed in enumerate(seeds):
        for side in alternated(list(SIDES), number):
            payload = {"side": side, "seed": seed, "periods": periods}
            results.measure(_key(side, seed), partial(_trained, interpreters[side], payload))
    return _report(results)


def _key(side: str, seed: int) -> str:
    return f"{side}, seed {seed}"


def _trained(interpreter: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Train an agent in a fresh process with one thread and return what the process tells."""
    say(f"rl: {SIDES[payload['side']]}, seed {payload['seed']}")
    command = [interpreter, str(Path(__file__).resolve()), CHILD, json.dumps(payload)]
    # The rival's environment has no zoo, whose light modules this file imports.
    paths = {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    done = subprocess.run(command, env={**os.environ, **ONE_THREAD, **paths}, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"a part of the benchmark ended with status {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _stock_interpreter() -> str:
    """Return a Python that has Stable-Baselines3: the user's own, or that of an environment made once."""
    if "SB3_PYTHON" in os.environ:
        return os.environ["SB3_PYTHON"]
    pins = [f"{name}=={number}" for name, number in STOCK_PACKAGES.items()]
    pins += [f"{name}=={version(name)}" for name in ("gymnasium", "numpy")]  # both sides step the same environment
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zoo-benchmarks" / "_".join(pins)
    interpreter, complete = folder / "bin" / "python", folder / ".done"
    if not complete.exists():
        say(f"rl: installing {', '.join(pins)} into {folder}")
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([interpreter, "-m", "pip", "install", "--quiet", *pins], check=True)
        complete.touch()
    return str(interpreter)


def _versions(interpreter: str) -> dict[str, str]:
    """Return the versions of the rival's packages."""
    names = [*STOCK_PACKAGES, "gymnasium", "numpy"]
    code = f"import json; from importlib.metadata import version; print(json.dumps([version(n) for n in {names}]))"
    done = subprocess.run([interpreter, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    return dict(zip(names, json.loads(done.stdout), strict=True))


# --- in a child ---


def _zoo_training(seed: int, periods: int) -> dict[str, Any]:
    """Train by ``zoo.train``, tracked; the clock runs while the task fits the network."""
    import_tensorflow()
    import zoo
    from zoo.fitting.model_builder import create_model_builder

    task = create_model_builder(MODEL).task
    fit, results_ = task.fit, {}

    def clocked(built_model: Any, dataset: Any, plan: Any) -> Any:
        assert dataset.splits["validation"].rows.tolist() == list(CHECK_SEEDS)
        began = time.process_time()
        result = fit(built_model, dataset, plan)
        results_["cpu_s"] = time.process_time() - began
        results_["steps"], results_["solved"] = int(result.history["steps"][-1]), result.stopped == "solved"
        return result

    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, working_folder(Path(folder)):
        began = time.process_time()
        with patch.object(task, "fit", clocked):
            run = zoo.train(MODEL, ENVIRONMENT, solved=GOAL, epochs=periods, seed=seed, baselines="none", quiet=True)
        whole_cpu_s = time.process_time() - began
        assert run.hyperparameters["period"] == STEPS_A_PERIOD
        judged_returns = _episode_returns(lambda seen: run.model.predict(seen)["prediction"].to_numpy(), JUDGE_SEEDS)
    return {**results_, "whole_cpu_s": whole_cpu_s, "return_mean": float(judged_returns.mean())}


def _stock_training(seed: int, periods: int) -> dict[str, Any]:
    """Train by Stable-Baselines3's ``learn``, with a callback that checks the policy as zoo does."""
    import gymnasium
    import torch  # type: ignore[import-not-found]  # it is in the rival's environment alone
    from stable_baselines3 import DQN  # type: ignore[import-not-found]
    from stable_baselines3.common.callbacks import BaseCallback  # type: ignore[import-not-found]

    torch.set_num_threads(1)
    steps = periods * STEPS_A_PERIOD
    agent = DQN(
        "MlpPolicy",
        gymnasium.make(ENVIRONMENT),
        exploration_fraction=min(1.0, STOCK_EXPLORATION_STEPS / steps),
        seed=seed,
        device="cpu",
        **STOCK_SETTINGS,
    )

    def policy(seen: np.ndarray) -> np.ndarray:
        chosen: np.ndarray = agent.predict(seen, deterministic=True)[0]
        return chosen

    class Checks(BaseCallback):
        """Checks the policy after each period, when the updates of its last steps are done."""

        solved, cpu_s, steps = False, math.nan, 0

        def _on_rollout_start(self) -> None:
            self._check()

        def _on_training_end(self) -> None:
            self._check()

        def _on_step(self) -> bool:
            return not self.solved

        def _check(self) -> None:
            if self.num_timesteps == 0 or self.num_timesteps % STEPS_A_PERIOD:
                return
            self.solved = all(
                _episode_returns(policy, seeds).mean() >= GOAL for seeds in (CHECK_SEEDS, CONFIRMATION_SEEDS)
            )
            self.cpu_s, self.steps = time.process_time() - began, self.num_timesteps

    checks = Checks()
    began = time.process_time()
    agent.learn(steps, callback=checks)
    return {
        "cpu_s": checks.cpu_s,
        "steps": checks.steps,
        "solved": checks.solved,
        "return_mean": float(_episode_returns(policy, JUDGE_SEEDS).mean()),
    }


def _episode_returns(policy: Policy, seeds: Sequence[int]) -> np.ndarray:
    """Return the sum of rewards of one episode for each seed (E,); many are played together, as zoo does."""
    returns = [
        _returns_together(policy, seeds[start : start + MOST_TOGETHER]) for start in range(0, len(seeds), MOST_TOGETHER)
    ]
    return np.concatenate(returns)


def _returns_together(policy: Policy, seeds: Sequence[int]) -> np.ndarray:
    import gymnasium

    environments = [gymnasium.make(ENVIRONMENT) for _ in seeds]
    seen = np.array([environment.reset(seed=seed)[0] for environment, seed in zip(environments, seeds, strict=True)])
    returns, playing = np.zeros(len(seeds)), list(range(len(seeds)))
    while playing:
        actions, left = policy(seen), []
        for row in playing:
            seen[row], reward, ended, cut, _ = environments[row].step(int(actions[row]))
            returns[row] += float(reward)
            if not (ended or cut):
                left.append(row)
        playing = left
    return returns


# --- in the parent ---


def _report(results: Results) -> None:
    seeds = results.settings["seeds"]
    row_of = {side: [results.rows[_key(side, seed)] for seed in seeds] for side in SIDES}
    seconds = {side: [row["cpu_s"] if row["solved"] else math.inf for row in rows] for side, rows in row_of.items()}
    middle = {side: statistics.median(values) for side, values in seconds.items()}
    lines: list[tuple[str, ...]] = [
        (
            name,
            str(seed),
            f"{row['cpu_s']:.1f} s" if row["solved"] else f"not reached in {row['cpu_s']:.1f} s",
            f"{row['steps']:,}",
            f"{1000 * row['cpu_s'] / row['steps']:.3f} ms",
            f"{row['return_mean']:.1f}",
            "",
            "",
        )
        for side, name in SIDES.items()
        for seed, row in zip(seeds, row_of[side], strict=True)
    ]
    for side, name in SIDES.items():
        rows = row_of[side]
        ratio = middle[side] / middle["stock"]
        lines.append(
            (
                name,
                "all",
                _over_seeds(seconds[side]),
                spread([row["steps"] for row in rows], ",.0f"),
                spread([1000 * row["cpu_s"] / row["steps"] for row in rows], ".3f", " ms"),
                spread([row["return_mean"] for row in rows], ".1f"),
                "–" if math.isnan(ratio) else f"{ratio:.2f}",
                judged([ratio], AIM) if side != "stock" else "",
            )
        )
    header = (
        "agent", "seed", "CPU time until it holds 475", "steps", "CPU time a step", "judged return",
        "times Stable-Baselines3", f"met: at most {AIM:g}",
    )  # fmt: skip
    results.report(f"Agents: {ENVIRONMENT} until a mean return of {GOAL:g} is held", header, lines, _notes(results))


def _over_seeds(seconds: list[float]) -> str:
    held = [value for value in seconds if math.isfinite(value)]
    text = f"{spread(held, '.1f', ' s')}, mean {statistics.mean(held):.1f} s" if held else "–"
    return text if len(held) == len(seconds) else f"reached by {len(held)} of {len(seconds)}: {text}"


def _notes(results: Results) -> list[str]:
    settings = results.settings
    versions = ", ".join(f"{name} {number}" for name, number in settings["stock"].items())
    whole = spread(results.column("whole_cpu_s", "zoo"), ".1f", " s")
    return [
        "*All* is the median (least to greatest) over the seeds, *times* the ratio of the medians. A training that has "
        f"not reached {GOAL:g} after {settings['steps']:,} steps ends, and counts as infinite.",
        f"Both policies are checked every {STEPS_A_PERIOD:,} steps by {len(CHECK_SEEDS)} episodes and, where these "
        f"reach {GOAL:g}, confirmed by {len(CONFIRMATION_SEEDS)} others: the same episodes on both sides, up to "
        f"{MOST_TOGETHER} played together. Each check and each confirmation counts once, also one that fails. *Judged "
        f"return* is the mean of {len(JUDGE_SEEDS)} episodes that neither side has seen, played by the same judge "
        "after the clock has stopped.",
        "CPU time is that of the process and its threads, one thread for computing, without imports and without "
        "building the network. zoo trains by `zoo.train`, tracked: its figure is the fit, with TensorFlow's tracing, "
        "the curves in MLflow and the checkpoints; with what comes before and after it (lazy imports, the run in "
        f"MLflow, test episodes, figures, the saved model) `zoo.train` took {whole}. Stable-Baselines3's figure is "
        "`learn`, with RL Zoo's hyperparameters, exploration falling over 8,000 steps as there.",
        f"The rival: {versions}.",
    ]


if __name__ == "__main__":
    main()
