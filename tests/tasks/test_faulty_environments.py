"""An environment that does not keep to Gymnasium's interface is named, with what it returned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from command import Answer
from gymnasium import spaces
from zoo.tasks.rl._environments import check_steps, make_environment

from zoo.errors import DataError, UsageError
from zoo.tracking.store import Store

BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)


class Faulty(gymnasium.Env):
    """Returns what it is told from ``reset`` and, after ``good`` steps, from ``step``."""

    def __init__(
        self, space: Any = BOX, first: Any = ([0.0, 0.0], {}), step: Any = None, good: int = 3, fails: bool = False
    ) -> None:
        if fails:
            raise RuntimeError("no display")
        self.observation_space, self.action_space = space, spaces.Discrete(2)
        self.first, self.returned, self.good = first, step, good

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return self.first

    def step(self, action: Any) -> Any:
        self.steps += 1
        if self.returned is None or self.steps <= self.good:
            return self.first[0], 0.0, self.steps > 5, False, {}
        if isinstance(self.returned, BaseException):
            raise self.returned
        return self.returned


class OldReset(Faulty):
    def reset(self) -> Any:  # type: ignore[override]
        return [0.0, 0.0]


gymnasium.register("Faulty-v0", Faulty, max_episode_steps=10)
gymnasium.register("OldReset-v0", OldReset, max_episode_steps=10)
gymnasium.register("FaultyWrapper-v0", lambda: gymnasium.wrappers.RescaleObservation(Faulty(), np.nan, np.nan))
GOOD = [0.0, 0.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first": GOOD}, "its reset() returned [0.0, 0.0]; expected (observation, info); that of the old Gym"),
        ({"first": (GOOD, None)}, "expected (observation, info)"),
        ({"first": ([0.0, np.nan], {})}, "its reset() returned an observation that is not in its observation_space: "
         "expected finite numbers; received [0.0, nan]"),
        ({"first": ([0.0], {})}, "expected finite numbers of shape (2,); received shape (1,)"),
        ({"space": spaces.Discrete(3), "first": (3, {})}, "expected an integer from 0 to 2; received 3"),
        ({"space": spaces.Dict(a=BOX), "first": ({"b": GOOD}, {})}, "'a' is missing"),
        ({"step": (GOOD, 0.0, False, {})}, "its step() returned 4 values; expected (observation, reward, terminated, "
         "truncated, info); that of the old Gym is not supported, and the package shimmy converts"),
        ({"step": 1}, "its step() returned a int; expected"),
        ({"step": (GOOD, np.inf, False, False, {})}, "its step() returned the reward inf; expected a finite number"),
        ({"step": (GOOD, np.nan, False, False, {})}, "its step() returned the reward nan"),
        ({"step": (GOOD, None, False, False, {})}, "its step() returned the reward None"),
        ({"step": (GOOD, [1.0, 2.0], False, False, {})}, "its step() returned the reward [1.0, 2.0]"),
        ({"step": ([np.inf, 0.0], 0.0, False, False, {})}, "its step() returned an observation that is not in"),
        ({"step": (GOOD, 0.0, None, False, {})}, "its step() returned None for terminated; expected True or False"),
        ({"step": (GOOD, 0.0, False, False, None)}, "its step() returned None for info; expected a dict"),
        ({"step": ValueError("invalid action")}, "raised ValueError: invalid action (step 4, seed 0)"),
        ({"step": SystemExit("closed")}, "raised SystemExit: closed (step 4, seed 0)"),
        ({"first": GOOD}, "the package shimmy converts such an environment (seed 0)"),
    ],
)  # fmt: skip
def test_a_mistake_of_reset_or_step(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        check_steps(make_environment("Faulty-v0", options), "Faulty-v0")
    assert message in str(caught.value)
    assert caught.value.where == "Faulty-v0"


def test_the_old_reset_takes_no_seed() -> None:
    with pytest.raises(
        DataError, match=r"OldReset-v0: its reset\(seed=…\) raised TypeError: .*'seed'; that of the old"
    ):
        check_steps(make_environment("OldReset-v0", {}), "OldReset-v0")


def test_a_wrapper_makes_numbers_that_are_none() -> None:
    with pytest.raises(UsageError, match="FaultyWrapper-v0"):
        check_steps(make_environment("FaultyWrapper-v0", {}), "FaultyWrapper-v0")


@pytest.mark.parametrize(
    "space", [spaces.Text(5), spaces.Sequence(BOX), spaces.Dict(a=spaces.Graph(BOX, None)), None, "box"]
)
def test_spaces_that_agents_cannot_see(space: Any) -> None:
    with pytest.raises(UsageError, match=r"observations have the part|observation_space is not a space") as caught:
        make_environment("Faulty-v0", {"space": space})
    assert caught.value.where == "Faulty-v0"


def test_good_environments_pass() -> None:
    for name in ("CartPole-v1", "FrozenLake-v1", "Blackjack-v1", "Acrobot-v1", "MountainCar-v0", "Pendulum-v1"):
        check_steps(make_environment(name, {}), name)
    for space, first in ((spaces.Box(0, 1, (2, 2)), np.ones((2, 2))), (spaces.MultiDiscrete([2, 3]), [1, 2])):
        check_steps(make_environment("Faulty-v0", {"space": space, "first": (first, {})}), "Faulty-v0")
    check_steps(
        make_environment("Faulty-v0", {"first": ([9.0, -9.0], {})}), "Faulty-v0"
    )  # outside its bounds, as sensors are


def test_a_constructor_that_raises() -> None:
    gymnasium.register("NoDisplay-v0", lambda: Faulty(fails=True))
    with pytest.raises(UsageError, match="NoDisplay-v0: the environment's constructor raised RuntimeError: no display"):
        make_environment("NoDisplay-v0", {})


def test_what_a_module_lacks(workspace: Path, command: Callable[..., Answer]) -> None:
    Path("needing_env.py").write_text("import no_such_package\n")
    Path("reaching_env.py").write_text("import gymnasium\n\n\nclass Reach(gymnasium.Env):\n    pass\n")
    for source, message in (
        ("needing_env:Reach", "the environment's module needing_env imports no_such_package, which is not installed"),
        ("absent_env:Reach", "module is missing: No module named 'absent_env'; it is looked up in the working folder"),
        ("reaching_env:Read", "; its module has reaching_env:Reach (did you mean 'reaching_env:Reach'?)"),
    ):
        answer = command("train", "rl/ppo", source)
        assert (answer.status, message in answer.err) == (2, True), answer.err


def test_play_says_in_which_step_an_environment_fails(workspace: Path, command: Callable[..., Answer]) -> None:
    class Later(Faulty):
        fails = False

        def step(self, action: Any) -> Any:
            answer = super().step(action)
            return (GOOD, None, *answer[2:]) if Later.fails else answer

    gymnasium.register("Later-v0", Later)
    small = ["--set", "period=64", "--set", "rollout=16", "--baselines", "none", "--no-figures"]
    trained = command("train", "rl/ppo", "Later-v0", "--epochs", 1, *small, "--json")
    assert trained.status == 0, trained.err
    Later.fails = True
    played = command("play", trained.json["run_id"], "--seed", 7)
    assert played.status == 2
    assert "Later-v0: its step() returned the reward None; expected a finite number (step 1, seed 7)" in played.err


def test_no_run_is_created(workspace: Path, command: Callable[..., Answer]) -> None:
    gymnasium.register("NaN-v0", lambda: Faulty(step=([np.nan, 0.0], 0.0, False, False, {})))
    answer = command("train", "rl/dqn", "NaN-v0", "--epochs", "1")
    assert answer.status == 2
    assert "NaN-v0: its step() returned an observation" in answer.err
    assert "learning rate" not in answer.err
    assert Store().search("") == []


def test_a_fault_late_in_training_names_the_environment(workspace: Path, command: Callable[..., Answer]) -> None:
    class Late(Faulty):
        taken = 0

        def step(self, action: Any) -> Any:
            Late.taken += 1
            return (GOOD, np.nan if Late.taken > 500 else 0.0, Late.taken % 9 == 0, False, {})

    gymnasium.register("Late-v0", Late)
    answer = command("train", "rl/dqn", "Late-v0", "--epochs", "9", "--baselines", "none")
    assert answer.status == 2
    assert "Late-v0: its step() returned the reward nan" in answer.err
