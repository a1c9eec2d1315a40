"""Findings on agents that have learned little: hardly better than random, still exploring, losses that diverge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.reporting.check_inputs import WARNING, Finding
from zoo.text import format_fraction

LITTLE = 0.1  # fraction of the way from a random agent to the threshold
MOST_RANDOM = 0.3  # fraction of actions that are random in the end
NEARLY_UNIFORM = 0.9  # fraction of the entropy of a random policy
RISE, FALL = 10.0, 0.5  # of the loss, and of what the best policy had gained
LOSSES = ("value_loss", "critic_loss", "loss")


def diagnose_agent(
    history: Mapping[str, Sequence[float]],
    random_returns: np.ndarray,
    *,
    threshold: float | None,
    actions: int,
    hyperparameters: Mapping[str, Any],
) -> list[Finding]:
    """Return what is wrong with an agent's training; nothing if its best policy solves the environment.

    Without a threshold, only values that diverge are reported of an agent that is better than a random one.

    Args:
        history: What was tracked after each evaluation interval, by name.
        random_returns: Returns of the validation episodes by a random agent (E,).
        threshold: Mean return at which the environment counts as solved, or None.
        actions: Number of discrete actions; 0 for numbers.
        hyperparameters: Those of the agent.

    Example:
        >>> history = {"val_return_mean": [-499.0, -480.0], "steps": [1e3, 2e3], "exploration": [0.9, 0.8]}
        >>> findings = diagnose_agent(history, np.full(20, -500.0), threshold=-100.0, actions=3, hyperparameters={})
        >>> [finding.topic for finding in findings]
        ['hardly better than random', 'still exploring']
    """
    returns = np.asarray(history["val_return_mean"], float)
    best, chance = float(np.nanmax(returns)), float(random_returns.mean())
    noise = 2 * float(random_returns.std()) / math.sqrt(len(random_returns))
    if threshold is not None and best >= threshold:
        return []
    diverges = _find_divergence(history, returns, chance, hyperparameters)
    if threshold is None and best > chance + noise:
        return diverges  # how good a return is is not known
    longer = _advise_longer(len(returns), hyperparameters)
    return [
        *_find_little_learned(best, chance, noise, threshold, longer),
        *_find_exploration(history, actions, hyperparameters, longer),
        *diverges,
    ]


def _advise_longer(epochs: int, hyperparameters: Mapping[str, Any]) -> str:
    if epochs < hyperparameters.get("epochs", epochs) and "patience" in hyperparameters:
        return f"--set patience={4 * epochs}"  # it stopped early
    return f"--epochs {4 * epochs}"


def _find_little_learned(
    best: float, chance: float, noise: float, threshold: float | None, longer: str
) -> list[Finding]:
    if threshold is None or best <= chance + noise or (best - chance) >= LITTLE * (threshold - chance):
        return []  # a return like that of chance is found wherever there is a baseline of chance
    text = f"val_return_mean is {best:.4g} at best; a random agent has {chance:.4g}, and {threshold:g} counts as solved"
    return [Finding("hardly better than random", WARNING, text, f"{longer}, another agent of zoo list rl, or zoo tune")]


def _find_exploration(
    history: Mapping[str, Sequence[float]], actions: int, hyperparameters: Mapping[str, Any], longer: str
) -> list[Finding]:
    explored, entropy = _last(history, "exploration"), _last(history, "entropy")
    steps = int(_last(history, "steps"))
    if explored > MOST_RANDOM:
        text = f"{format_fraction(explored)} of the actions were random at the end of training"
        over = hyperparameters.get("exploration_steps", 0)
        if over <= steps:
            return [Finding("still exploring", WARNING, text, "a lower --set exploration")]
        text += f"; exploration falls over {over:,} steps, and training had {steps:,}"
        return [Finding("still exploring", WARNING, text, f"{longer}, or --set exploration_steps={max(1, steps // 2)}")]
    if actions > 1 and entropy > NEARLY_UNIFORM * math.log(actions):
        text = f"the policy is nearly random: its entropy is {entropy:.3g}, of at most {math.log(actions):.3g}"
        lower = ", or a lower --set entropy" if hyperparameters.get("entropy") else ""
        return [Finding("still exploring", WARNING, text, f"{longer}, or a higher --set learning_rate{lower}")]
    return []


def _find_divergence(
    history: Mapping[str, Sequence[float]], returns: np.ndarray, chance: float, hyperparameters: Mapping[str, Any]
) -> list[Finding]:
    """Report a loss that has risen while the return fell: values that chase each other."""
    gained, name = float(np.nanmax(returns)) - chance, next((name for name in LOSSES if name in history), "")
    losses = np.asarray(history.get(name, ()), float)
    losses = losses[np.isfinite(losses)]
    if len(losses) < 4 or gained <= 0 or returns[-1] > chance + (1 - FALL) * gained:
        return []
    before = float(np.median(losses[: len(losses) // 2]))
    if not losses[-1] > RISE * before:
        return []
    text = f"{name} rose from {before:.3g} to {losses[-1]:.3g}, while the return fell"
    clip = ", or --set clip_norm=1" if "clip_norm" in hyperparameters else ""
    rate = "learning_rate" if "learning_rate" in hyperparameters else "least_rate"
    return [Finding("values diverge", WARNING, text, f"a lower --set {rate}{clip}")]


def _last(history: Mapping[str, Sequence[float]], name: str) -> float:
    values = [value for value in history.get(name, ()) if math.isfinite(value)]
    return float(values[-1]) if values else 0.0
