"""The crossing TrafficLight-v0: Gymnasium's checks, its rules of traffic, its image, and rules as baselines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from command import Answer
from gymnasium.utils.env_checker import check_env
from zoo.tasks.rl._crossing._traffic import STEP_S, compute_platoons, compute_rates
from zoo.tasks.rl._crossing._traffic_light import EPISODE_S, TrafficLight
from zoo.tasks.rl._environments import make_random_policy, play_baseline, play_episodes

import zoo
from zoo.errors import UsageError
from zoo.spec import Target

FROZEN = [-624.7666666666664, -486.8]
STEPS = EPISODE_S // STEP_S
RULES = ("webster", "longest_queue", "actuated")
QUICK: dict[str, Any] = {
    "epochs": 1,
    "hyperparameters": {"period": 128, "rollout": 16},
    "quiet": True,
    "figures": False,
}


def play(crossing: TrafficLight, seed: int, choose: Callable[[int], int]) -> list[tuple[Any, ...]]:
    """Return all steps of an episode, with actions by the number of the step."""
    crossing.reset(seed=seed)
    return [crossing.step(choose(number)) for number in range(STEPS)]


def alternate(number: int) -> int:
    return number // 6 % 2


def test_gymnasium_finds_nothing_wrong() -> None:
    check_env(gymnasium.make("zoo.tasks.rl:TrafficLight-v0", render_mode="rgb_array").unwrapped)


def test_a_seed_says_the_whole_episode() -> None:
    first, again, other = (play(TrafficLight(), seed, alternate) for seed in (3, 3, 4))
    rewards = [[step[1] for step in steps] for steps in (first, again, other)]
    assert rewards[0] == rewards[1] != rewards[2]
    np.testing.assert_array_equal([step[0] for step in first], [step[0] for step in again])


def test_the_numbers_of_v0_are_frozen() -> None:
    returns = [sum(step[1] for step in play(TrafficLight(), seed, alternate)) for seed in (0, 1)]
    assert returns == pytest.approx(FROZEN)


def test_the_mask_holds_clearance_and_minimum_green() -> None:
    crossing = TrafficLight(minimum_green=20, clearance=5)
    crossing.reset(seed=0)
    phases, cleared = [], []
    for _ in range(60):  # always wants the other phase
        observation, _, _, _, info = crossing.step(1 - crossing.phase)
        phases.append(observation[12])
        cleared.append(observation[14])
        assert info["action_mask"].dtype == np.int8
        assert info["action_mask"][crossing.phase] == 1
        assert info["action_mask"].all() == (observation[13] >= 5 + 20)
    switches = np.flatnonzero(np.diff(phases))
    assert set(np.diff(switches)) == {(5 + 20) // STEP_S}
    assert not any(cleared)  # five seconds of clearance are over with the step


def test_no_vehicle_crosses_during_clearance() -> None:
    crossing = TrafficLight(clearance=20, demand=3.0)
    crossing.reset(seed=0)
    crossing.step(crossing.phase)
    crossing.step(crossing.phase)
    before = crossing._describe()["departed"]
    steps = [crossing.step(1 - crossing.phase) for _ in range(4)]
    assert [step[0][14] for step in steps] == [1, 1, 1, 0]
    assert steps[-1][4]["departed"] == before
    assert crossing.step(crossing.phase)[4]["departed"] > before


def test_vehicles_arrive_wait_and_leave_and_the_reward_is_what_they_wait() -> None:
    crossing = TrafficLight(switch_penalty=7.0)
    _, first = crossing.reset(seed=1)
    arrivals, waited, phase, before = np.array(crossing.arrivals[:EPISODE_S]), 0.0, crossing.phase, 0.0
    for number in range(STEPS):
        observation, reward, terminated, truncated, info = crossing.step(alternate(number))
        assert info["vehicles"] == info["departed"] + info["queue"]
        assert info["queue"] >= observation[:4].sum()
        waited = info["waiting_seconds"] * info["vehicles"]
        assert reward == pytest.approx(-(waited - before) / 60 - 7.0 * (crossing.phase != phase))
        before, phase = waited, crossing.phase
        assert not terminated
        assert truncated == (number == STEPS - 1)
    assert info["vehicles"] == first["vehicles"] + arrivals.sum()


def test_vehicles_are_seen_before_they_arrive() -> None:
    crossing = TrafficLight()
    observation, _ = crossing.reset(seed=2)
    for number in range(100):
        expected = np.array(crossing.arrivals)[crossing.time_s : crossing.time_s + 20].reshape(2, 10, 4).sum(axis=1)
        np.testing.assert_array_equal(observation[4:12].reshape(2, 4), expected)
        observation = crossing.step(alternate(number))[0]


def test_demand_follows_the_day_and_platoons_do_not_change_it() -> None:
    night, morning, evening = compute_rates(np.array([3.0, 8.0, 17.5]))
    assert (morning > 3 * night).all()
    assert morning[0] > 1.5 * morning[1]
    assert evening[1] > 1.5 * evening[0]
    np.testing.assert_allclose(compute_platoons(np.arange(4 * 80).reshape(4, 80) % 80).mean(axis=1), 1)


def test_an_argument_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="clearance is -1; expected a number that is not negative"):
        TrafficLight(clearance=-1)
    with pytest.raises(ValueError, match="expected 'rgb_array' or None"):
        TrafficLight(render_mode="human")


def test_the_image_shows_lights_and_vehicles() -> None:
    crossing = TrafficLight(render_mode="rgb_array")
    crossing.reset(seed=5)
    first = crossing.render()
    crossing.step(crossing.phase)
    second = crossing.render()
    assert first is not None
    assert first.shape == (480, 480, 3)
    assert first.dtype == np.uint8
    assert (first != second).any()
    crossing.phase = 1 - crossing.phase
    assert (second != crossing.render()).any()
    assert TrafficLight().render() is None


def test_rules_are_better_than_chance_and_actuated_control_is_best() -> None:
    seeds = range(6_000_000, 6_000_008)
    target = Target("action", "class", classes=("0", "1"))
    chance = play_episodes("TrafficLight-v0", {}, make_random_policy(target, 0), seeds).returns.mean()
    returns = {rule: play_baseline("TrafficLight-v0", {}, rule, seeds).returns.mean() for rule in RULES}
    assert min(returns.values()) > chance
    assert max(returns, key=lambda rule: returns[rule]) == "actuated"


def test_the_command_names_the_rules_as_baselines(
    command: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VALIDATION_SEEDS", "TEST_SEEDS"):  # fewer episodes
        monkeypatch.setattr(f"zoo.tasks.rl.{name}", range(3))
    words = ("train", "rl/dqn", "TrafficLight-v0", "--epochs", 1, "--set", "period=64", "--no-figures", "--json")
    answer = command(*words)
    assert answer.status == 0, answer.err
    assert set(answer.json["baselines"]) == {"random", *RULES}


def test_a_near_miss_of_the_name_suggests_it(command: Callable[..., Answer]) -> None:
    answer = command("train", "rl/dqn", "TraficLight-v0")
    assert answer.status == 2
    assert "did you mean 'TrafficLight-v0'?" in answer.err


class Count(gymnasium.Env):
    """The reward is 1 where the action is 5 plus the number of earlier steps, of which there are three."""

    observation_space = gymnasium.spaces.Box(0.0, 9.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(3, start=5)
    policies: Any = None

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: int) -> Any:
        reward = float(action == 5 + self.steps)
        self.steps += 1
        return np.zeros(1, np.float32), reward, self.steps == 3, False, {}

    def baseline_policies(self) -> Any:
        return {"counting": create_counting_policy} if self.policies is None else self.policies


def create_counting_policy() -> Callable[[np.ndarray], np.ndarray]:
    """Return a policy with a state, which is right in the first episodes that it plays."""
    steps = iter(range(3))
    return lambda observations: np.full(len(observations), 5 + next(steps))


def test_an_environment_of_ones_own_brings_baselines_with_a_state(workspace: Any) -> None:
    run = zoo.train("rl/dqn", Count, baselines="quick", **{**QUICK, "hyperparameters": {"period": 64}})
    assert run.baselines["counting"]["test_return_mean"] == 3
    assert set(run.baselines) == {"random", "counting"}


@pytest.mark.parametrize(
    ("policies", "message"),
    [([1], "must return a dict of names and functions"), ({"random": print}, "has the name 'random'")],
)
def test_wrong_baselines_are_refused(
    policies: Any, message: str, workspace: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Count, "policies", policies)
    with pytest.raises(UsageError, match=message):
        zoo.train("rl/dqn", Count, **QUICK)


def test_runs_have_the_waiting_time_of_agent_and_rules(workspace: Path, command: Callable[..., Answer]) -> None:
    run = zoo.train("rl/ppo", "TrafficLight-v0", **QUICK)
    waiting = [scores["test_waiting_seconds"] for scores in (run.metrics, *run.baselines.values())]
    assert 0 < min(waiting) < max(waiting) < EPISODE_S
    assert run.baselines["actuated"]["test_waiting_seconds"] < run.baselines["webster"]["test_waiting_seconds"]
    shown = command("show", run.run_id)
    assert "test_waiting_seconds" in shown.out


class Counted(gymnasium.Env):
    """An environment with a metric of its own, which it may declare or report wrongly."""

    observation_space, action_space = gymnasium.spaces.Discrete(2), gymnasium.spaces.Discrete(2)

    def __init__(self, metrics: Any = None, value: Any = 1.0) -> None:
        self.metadata = {"metrics": {"wrong_moves": "min"} if metrics is None else metrics}
        self.value = value

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return 0, {}

    def step(self, action: Any) -> Any:
        return 0, float(action), True, False, {"wrong_moves": self.value}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ["wrong_moves"]}, r"the metrics \['wrong_moves'\]; expected a dict"),
        ({"metrics": {"return_mean": "max"}}, "none of return_mean"),
        (
            {"value": "many"},
            r"its info\['wrong_moves'\] is 'many' at the end of an episode \(step 1, seed 0\); expected a number",
        ),
        ({"metrics": {"absent": "max"}}, r"its info\['absent'\] is missing"),
    ],
)
def test_metrics_that_are_declared_wrongly(options: dict[str, Any], message: str, workspace: Path) -> None:
    with pytest.raises(UsageError, match=message):
        zoo.train("rl/ppo", Counted, options={"env": options}, **QUICK)


class Endless(Counted):
    """An environment whose episodes do not end."""

    def step(self, action: Any) -> Any:
        return 0, float(action), False, False, {"wrong_moves": self.value}


def test_a_run_says_that_episodes_were_truncated(workspace: Path) -> None:
    runs = [
        zoo.train("rl/ppo", Endless, options={"env": options}, baselines="none", **QUICK)
        for options in ({}, {"max_episode_steps": 20})
    ]
    said = "100 % of the validation episodes were truncated after 1,000 steps"
    assert [said in " ".join(run.notes) for run in runs] == [True, False]


def test_settings_that_are_chosen_are_not_said(workspace: Path) -> None:
    run = zoo.train("rl/ppo", "TrafficLight-v0", **QUICK, baselines="none")
    assert not any("epochs" in note for note in run.notes if "takes other defaults" in note)
