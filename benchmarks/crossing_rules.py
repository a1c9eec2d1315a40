"""Rules for the traffic light of TrafficLight-v0: their parameters, chosen by a grid, and what planning gains on them.

Chosen is the greatest mean return over episodes whose seeds neither select nor test agents. The chosen rules are then
scored on other episodes, next to random actions and to a planner, which shows how far from the best possible they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from _processes import import_tensorflow
from _results import Results, mean_and_deviation, read_arguments

GRID_SEEDS, SCORED_SEEDS = range(4_000_000, 4_000_060), range(5_000_000, 5_000_020)
GRIDS: dict[str, dict[str, tuple[float, ...]]] = {
    "webster": {"factor": (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25)},
    "longest_queue": {"threshold": (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20)},
    "actuated": {"gap": (0, 1, 2, 3, 4, 5, 6), "maximum": (20, 30, 40, 50, 60, 80, 100)},
}
SAMPLES, HORIZON = 12, 24  # of the planner: imagined futures of a decision, and their steps

Policy = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    import_tensorflow()
    grid, scored = (list(seeds)[: 2 if options.quick else None] for seeds in (GRID_SEEDS, SCORED_SEEDS))
    settings = {
        "grid_seeds": [grid[0], len(grid)],
        "scored_seeds": [scored[0], len(scored)],
        "samples": SAMPLES,
        "horizon": HORIZON,
    }
    results = Results(__file__, options, settings)
    for rule, parameters in list_candidates()[:: 20 if options.quick else 1]:
        key = f"grid {rule} {describe(parameters)}"
        policy = create_policy(rule, parameters)
        results.measure(key, lambda p=policy, r=rule, v=parameters: {"rule": r, "parameters": v, **score(p, grid)})
    for rule, parameters in choose(results).items():
        policy = create_policy(rule, parameters)
        results.measure(name_scored(rule, parameters), lambda p=policy: score(p, scored))
    rng = np.random.default_rng(0)
    results.measure(name_scored("random", {}), lambda: score(lambda seen: rng.integers(0, 2, len(seen)), scored))
    actuated = choose(results)["actuated"]
    results.measure(name_scored("planner", actuated), lambda: plan_episodes(actuated, scored, rng))
    report(results)


def list_candidates() -> list[tuple[str, dict[str, float]]]:
    """Return each rule with each point of its grid."""
    candidates = []
    for rule, grid in GRIDS.items():
        points: list[dict[str, float]] = [{}]
        for name, values in grid.items():
            points = [{**point, name: value} for point in points for value in values]
        candidates += [(rule, point) for point in points]
    return candidates


def create_policy(rule: str, parameters: dict[str, float]) -> Policy:
    """Return a rule with parameters, for an environment with its defaults."""
    from zoo.tasks.rl._crossing import _rules as rules

    if rule == "webster":
        return partial(rules.follow_webster, demand=1.0, clearance=5, **parameters)
    if rule == "longest_queue":
        return partial(rules.serve_longest_queue, **parameters)
    return partial(rules.extend_green, clearance=5, **parameters)


def score(policy: Policy, seeds: Sequence[int]) -> dict[str, Any]:
    """Return the returns of episodes that are played together, and the mean waiting time of their vehicles."""
    from zoo.tasks.rl._crossing import TrafficLight

    crossings = [TrafficLight() for _ in seeds]
    seen = np.array([crossing.reset(seed=seed)[0] for crossing, seed in zip(crossings, seeds, strict=True)])
    returns, truncated = np.zeros(len(seeds)), False
    while not truncated:
        actions = policy(seen)
        for row, crossing in enumerate(crossings):
            seen[row], reward, _, truncated, _ = crossing.step(actions[row])
            returns[row] += reward
    return summarize(returns.tolist(), crossings)


def summarize(returns: list[float], crossings: Sequence[Any]) -> dict[str, Any]:
    """Return the returns and waiting times of episodes, and their means."""
    waiting = [crossing.waiting_s / crossing.vehicles for crossing in crossings]
    means = {"return_mean": float(np.mean(returns)), "waiting_mean_s": float(np.mean(waiting))}
    return {**means, "returns": returns, "waiting_s": waiting}


def plan_episodes(parameters: dict[str, float], seeds: Sequence[int], rng: np.random.Generator) -> dict[str, Any]:
    """Return the scores of a planner by rollouts (Bertsekas et al. 1997), which improves on actuated control.

    It compares both actions, each followed by actuated control, over imagined futures: the vehicles that the detectors
    see, and after these random arrivals. It knows their rates and when platoons begin, which an agent can learn and
    see, but no arrival that the observation does not show.
    """
    from zoo.tasks.rl._crossing import TrafficLight

    crossings, returns = [TrafficLight() for _ in seeds], []
    for crossing, seed in zip(crossings, seeds, strict=True):
        crossing.reset(seed=seed)
        total, truncated = 0.0, False
        while not truncated:
            _, reward, _, truncated, _ = crossing.step(plan_action(crossing, parameters, rng))
            total += reward
        returns.append(total)
    return summarize(returns, crossings)


def plan_action(crossing: Any, parameters: dict[str, float], rng: np.random.Generator) -> int:
    """Return the action with the better imagined futures."""
    from zoo.tasks.rl._crossing._traffic import STEP_S
    from zoo.tasks.rl._crossing._traffic_light import EPISODE_S, FAR_S

    if not crossing.may_switch:
        return int(crossing.phase)
    steps = min(HORIZON, (EPISODE_S - crossing.time_s) // STEP_S)
    seen_s = crossing.time_s + FAR_S
    rates, past_and_seen = crossing.rates[seen_s : seen_s + steps * STEP_S], crossing.arrivals[:seen_s]
    totals = [0.0, 0.0]
    for _ in range(SAMPLES):
        arrivals = past_and_seen + rng.poisson(rates).tolist()
        for action in (0, 1):
            future = imagine(crossing, arrivals)
            totals[action] += future.step(action)[1]
            for _ in range(steps - 1):
                totals[action] += future.step(extend_green(future, **parameters))[1]
    return int(totals[1] > totals[0])


def imagine(crossing: Any, arrivals: list[list[int]]) -> Any:
    """Return a copy of a crossing with other arrivals to come, whose steps return rewards alone."""
    from zoo.tasks.rl._crossing import TrafficLight

    class Imagined(TrafficLight):
        def _observe(self) -> Any:
            return None

        _describe = _observe

    future = object.__new__(Imagined)
    lists = {name: list(getattr(crossing, name)) for name in ("queues", "crosses_from_s")}
    future.__dict__.update({**crossing.__dict__, **lists, "arrivals": arrivals})
    return future


def extend_green(crossing: Any, *, gap: float, maximum: float) -> int:
    """Return the action of actuated control, as the rule for arrays of observations does."""
    from zoo.tasks.rl._crossing._traffic import PHASES
    from zoo.tasks.rl._crossing._traffic_light import NEAR_S

    green, red = PHASES[crossing.phase], PHASES[1 - crossing.phase]
    if not any(crossing.queues[approach] for approach in red):
        return int(crossing.phase)
    seen = crossing.arrivals[crossing.time_s : crossing.time_s + NEAR_S]
    is_gap = not any(crossing.queues[approach] for approach in green) and (
        sum(second[approach] for second in seen for approach in green) <= gap
    )
    return 1 - crossing.phase if is_gap or crossing.time_s - crossing.green_from_s >= maximum else crossing.phase


def choose(results: Results) -> dict[str, dict[str, float]]:
    """Return the parameters with the greatest mean return of each rule."""
    rows = [row for key, row in results.rows.items() if key.startswith("grid ")]
    rules = dict.fromkeys(row["rule"] for row in rows)
    best = {
        rule: max((row for row in rows if row["rule"] == rule), key=lambda row: row["return_mean"]) for rule in rules
    }
    return {rule: row["parameters"] for rule, row in best.items()}


def name_scored(policy: str, parameters: dict[str, float]) -> str:
    """Return the key of a policy's scores."""
    return f"scored {policy} {describe(parameters)}".rstrip()


def describe(parameters: dict[str, float]) -> str:
    """Return parameters as text."""
    return ", ".join(f"{name} {value:g}" for name, value in parameters.items())


def report(results: Results) -> None:
    """Print the chosen parameters, returns and waiting times."""
    chosen = choose(results)
    policies = {**chosen, "random": {}, "planner": chosen["actuated"]}
    scored = {name: results.rows[name_scored(name, parameters)] for name, parameters in policies.items()}
    best = min(scored[rule]["waiting_mean_s"] for rule in chosen)
    lines = [
        (
            name,
            describe(policies[name]) or "–",
            mean_and_deviation(row["returns"], ".1f"),
            mean_and_deviation(row["waiting_s"], ".2f"),
            f"{100 * (row['waiting_mean_s'] / best - 1):+.0f} %",
        )
        for name, row in sorted(scored.items(), key=lambda item: -item[1]["return_mean"])
    ]
    header = ("policy", "chosen parameters", "return", "waiting, s a vehicle", "waiting against the best rule")
    notes = [
        f"Mean and standard deviation over {results.settings['scored_seeds'][1]} episodes, which differ by the time "
        f"of day; each policy plays the same. Parameters have the greatest mean return over "
        f"{results.settings['grid_seeds'][1]} other episodes, among {len(list_candidates())} candidates.",
        f"The planner compares both actions by {SAMPLES} imagined futures of {HORIZON * 5} s, in which it follows the "
        "actuated rule. It shows what an agent can gain; it is no bound.",
    ]
    results.report("Rules for TrafficLight-v0", header, lines, notes)


if __name__ == "__main__":
    main()
