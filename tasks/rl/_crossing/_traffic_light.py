"""A road crossing whose traffic light an agent switches: the environment ``TrafficLight-v0``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from ._traffic import (
    APPROACHES,
    CYCLE_S,
    DAY_H,
    HEADWAY_S,
    LANES,
    PHASES,
    START_UP_S,
    STEP_S,
    compute_platoons,
    compute_rates,
)

Policy = Callable[[np.ndarray], np.ndarray]  # from observations (B, F) to actions (B,)
EPISODE_S = 3600
NEAR_S, FAR_S = 10, 20  # detectors count the vehicles that arrive before these
MOST_QUEUE, MOST_ARRIVALS, MOST_SINCE_S = 40, 20, 120  # the observation ends here
EARLIER_S = 20  # those who arrived in these seconds wait when the episode begins


class TrafficLight(gymnasium.Env):
    """A crossing of two roads, whose traffic light is switched so that vehicles wait as little as possible.

    ## Description
    Vehicles come from the north and the south, on two lanes each, and from the east and the west, on one lane each. Two
    phases exclude each other: green for north and south, or green for east and west. Arrivals are random (Poisson),
    with rates that differ by approach and follow the time of day: a morning peak from the north at 8:00, an evening
    peak from the south and the west at 17:30, and little traffic at night. Those from the north and the south come in
    platoons, one each 80 seconds, from traffic lights upstream. Detectors see vehicles 20 seconds before they arrive.
    From a lane with green one vehicle crosses each 2 seconds, the first 2 seconds after the begin of green. After a
    switch no vehicle crosses during the clearance (yellow, then red for all). Green lasts a minimum time. The agent
    decides each 5 seconds; time within a step passes second by second.

    ## Action Space
    The action is an integer, the phase that should have green:

    - 0: north and south
    - 1: east and west

    The other phase than the present one begins with its clearance. During the clearance and the minimum green the
    present phase stays, whatever the action is: `info["action_mask"]` says which actions have an effect.

    ## Observation Space
    The observation is a `ndarray` with shape `(17,)`:

    | Num  | Observation                                                      | Min | Max |
    |------|------------------------------------------------------------------|-----|-----|
    | 0-3  | Vehicles that wait in the north, south, east and west            | 0   | 40  |
    | 4-7  | Vehicles that arrive there within 10 seconds                     | 0   | 20  |
    | 8-11 | Vehicles that arrive there after 10 and within 20 seconds        | 0   | 20  |
    | 12   | Phase (during the clearance that which comes)                    | 0   | 1   |
    | 13   | Seconds since the last switch, the clearance included            | 0   | 120 |
    | 14   | Whether the crossing is being cleared                            | 0   | 1   |
    | 15   | Sine of the time of day                                          | -1  | 1   |
    | 16   | Cosine of the time of day                                        | -1  | 1   |

    Higher values are shown as the maximum: detectors see the first 40 vehicles of a queue. Those behind them wait too,
    and count in full.

    ## Rewards
    The reward is minus the time that vehicles waited during the step, in vehicle-minutes, minus `switch_penalty` if the
    phase was switched. The return of an episode is thus minus the vehicle-minutes of an hour, and the penalties.

    ## Starting State
    The time of day is uniformly random, and so are the phase, whose green begins, and the times of the platoons.
    Vehicles that arrived in the last 20 seconds wait.

    ## Episode End
    The episode is truncated after 3,600 seconds, which are 720 steps. It never terminates.

    ## Information
    `step()` and `reset()` return a dict with the following keys:

    - "action_mask": 1 for actions that have an effect, 0 for others (int8).
    - "vehicles": number of vehicles that arrived so far, "departed": number of those that crossed, "queue": number of
      those that wait.
    - "waiting_seconds": mean waiting time of the vehicles that arrived so far, in seconds. Its mean over
      episodes is a metric of each run.

    ## Arguments
    ```python
    import gymnasium
    gymnasium.make("zoo.tasks.rl:TrafficLight-v0", demand=1.0, minimum_green=10, clearance=5, switch_penalty=0.2)
    ```
    `zoo train rl/dqn TrafficLight-v0 --env demand=0.8` passes the same keywords. The classical rules that the agent is
    compared with are in :meth:`baseline_policies`.

    Args:
        demand: Factor of all arrival rates.
        minimum_green: Seconds of green before the next switch.
        clearance: Seconds of yellow and red for all after a switch.
        switch_penalty: What each switch costs, in vehicle-minutes.
        render_mode: ``rgb_array``, or None if it is not drawn.

    ## Version History
    * v0: Initial version. Its numbers are frozen: a change of them is a new version.

    ## References
    - Webster 1958, "Traffic signal settings", Road Research Technical Paper 39.
    - Abdulhai, Pringle and Karakoulas 2003, "Reinforcement learning for true adaptive traffic signal control".
    - Varaiya 2013, "Max pressure control of a network of signalized intersections".
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10, "metrics": {"waiting_seconds": "min"}}  # noqa: RUF012

    def __init__(
        self, demand: float = 1.0, minimum_green: float = 10, clearance: float = 5, switch_penalty: float = 0.2,
        render_mode: str | None = None,
    ) -> None:  # fmt: skip
        self.demand, self.minimum_green, self.clearance = demand, minimum_green, clearance
        self.switch_penalty, self.render_mode = switch_penalty, render_mode
        for name in ("demand", "minimum_green", "clearance", "switch_penalty"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a number that is not negative")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode is {render_mode!r}; expected 'rgb_array' or None")
        low = np.array([0] * 15 + [-1, -1], np.float32)
        high = np.array([MOST_QUEUE] * 4 + [MOST_ARRIVALS] * 8 + [1, MOST_SINCE_S, 1, 1, 1], np.float32)
        self.observation_space = spaces.Box(low, high, dtype=np.float32)
        self.action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the first observation and info of an hour that begins at a random time of day."""
        super().reset(seed=seed)
        self.start_h = float(self.np_random.uniform(0, DAY_H))
        self.phase = int(self.np_random.integers(2))
        seconds = np.arange(EPISODE_S + FAR_S)
        rates = self.demand * compute_rates(self.start_h + seconds / 3600)  # (T, 4)
        self.rates = rates * compute_platoons(seconds + self.np_random.uniform(0, CYCLE_S, (len(APPROACHES), 1))).T
        arrivals = self.np_random.poisson(self.rates)
        self.arrivals: list[list[int]] = arrivals.tolist()
        self.queues: list[int] = self.np_random.poisson(EARLIER_S * rates[0]).tolist()
        self.time_s, self.green_from_s = 0, 0.0
        self.crosses_from_s: list[float] = [START_UP_S] * len(APPROACHES)  # when a vehicle may cross next
        self.vehicles, self.waiting_s = sum(self.queues), 0
        self._prepare_observations(arrivals)
        return self._observe(), self._describe()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Choose the phase, and let five seconds pass."""
        switches = int(action) != self.phase and self.may_switch
        if switches:
            self.phase = 1 - self.phase
            self.green_from_s = self.time_s + self.clearance
            self.crosses_from_s = [self.green_from_s + START_UP_S] * len(APPROACHES)
        queues, crosses_from_s, green, waiting_s = self.queues, self.crosses_from_s, PHASES[self.phase], 0
        for second in range(self.time_s, self.time_s + STEP_S):
            for approach, count in enumerate(self.arrivals[second]):
                queues[approach] += count
                self.vehicles += count
            for approach in green:
                if queues[approach] and second >= crosses_from_s[approach]:
                    crossing = min(queues[approach], LANES[approach])
                    queues[approach] -= crossing
                    # A vehicle on its own leaves the other lane free for the next second.
                    crosses_from_s[approach] = second + (HEADWAY_S if crossing == LANES[approach] else 1)
            waiting_s += sum(queues)
        self.time_s += STEP_S
        self.waiting_s += waiting_s
        reward = -waiting_s / 60 - self.switch_penalty * switches
        return self._observe(), reward, False, self.time_s >= EPISODE_S, self._describe()

    @property
    def may_switch(self) -> bool:
        """Whether clearance and minimum green are over."""
        return self.time_s >= self.green_from_s + self.minimum_green

    @property
    def hour(self) -> float:
        """The time of day in hours."""
        return (self.start_h + self.time_s / 3600) % DAY_H

    def render(self) -> np.ndarray | None:
        """Return an image of the crossing (H, W, 3) as bytes; None without ``render_mode``."""
        if self.render_mode is None:
            return None
        from ._drawing import draw_crossing

        minutes, totals = int(self.hour * 60), self._describe()
        lines = [
            f"{minutes // 60:02}:{minutes % 60:02}", f"{self.vehicles} vehicles", f"{totals['queue']} waiting",
            f"{self.waiting_s / 60:.0f} vehicle-minutes", f"{totals['waiting_seconds']:.1f} s each",
        ]  # fmt: skip
        return draw_crossing(self.queues, self.phase, cleared=self.time_s < self.green_from_s, lines=lines)

    def baseline_policies(self) -> Mapping[str, Callable[[], Policy]]:
        """Return the rules that agents are compared with: fixed times by Webster, longest queue, actuated control."""
        from ._rules import create_rules

        return create_rules(demand=self.demand, clearance=self.clearance)

    def _prepare_observations(self, arrivals: np.ndarray) -> None:
        """Fill in what all observations of the episode show of arrivals (T, 4) and time: it depends on no action."""
        total = np.concatenate([np.zeros((1, len(APPROACHES)), int), arrivals.cumsum(axis=0)])
        times = np.arange(0, EPISODE_S + 1, STEP_S)
        near, far = total[times + NEAR_S] - total[times], total[times + FAR_S] - total[times + NEAR_S]
        angles = 2 * np.pi * (self.start_h + times / 3600) / DAY_H
        self.observations = np.zeros((len(times), 17), np.float32)
        self.observations[:, 4:12] = np.minimum(np.hstack([near, far]), MOST_ARRIVALS)
        self.observations[:, 15], self.observations[:, 16] = np.sin(angles), np.cos(angles)

    def _observe(self) -> np.ndarray:
        observation: np.ndarray = self.observations[self.time_s // STEP_S].copy()
        observation[:4] = [min(queue, MOST_QUEUE) for queue in self.queues]
        since_s = min(self.time_s - self.green_from_s + self.clearance, MOST_SINCE_S)
        observation[12:15] = self.phase, since_s, self.time_s < self.green_from_s
        return observation

    def _describe(self) -> dict[str, Any]:
        mask = np.ones(2, np.int8)
        if not self.may_switch:
            mask[1 - self.phase] = 0
        queue = sum(self.queues)
        return {
            "action_mask": mask,
            "waiting_seconds": self.waiting_s / max(self.vehicles, 1),
            "vehicles": self.vehicles, "departed": self.vehicles - queue, "queue": queue,
        }  # fmt: skip
