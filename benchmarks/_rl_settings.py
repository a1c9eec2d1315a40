"""RL Zoo's hyperparameters: for Stable-Baselines3 as they stand, and for zoo's agents by the names that these have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Settings:
    """What RL Zoo sets for an algorithm and an environment.

    Args:
        agent: Arguments of the agent.
        steps: Number of steps of a training, of which ``exploration_fraction`` is a share.
        environments: Number of parallel environments.
        normalize: Whether observations and rewards are normalised by running statistics.
    """

    agent: dict[str, Any]
    steps: int
    environments: int = 1
    normalize: bool = False


@dataclass(frozen=True)
class Falling:
    """RL Zoo's ``lin_…``: a value that falls linearly to 0 over a training.

    Args:
        start: Value at its start.
    """

    start: float

    def __call__(self, left: float) -> float:
        """Return the value where a share of the training is left."""
        return left * self.start


_WIDE = {"net_arch": [256, 256]}
# RL Zoo, hyperparams/ppo.yml, dqn.yml and sac.yml; LunarLander-v3 takes those of LunarLander-v2.
SETTINGS = {
    ("PPO", "CartPole-v1"): Settings(
        {
            "n_steps": 32, "batch_size": 256, "gae_lambda": 0.8, "gamma": 0.98, "n_epochs": 20, "ent_coef": 0.0,
            "learning_rate": Falling(0.001), "clip_range": Falling(0.2),
        },
        steps=100_000,
        environments=8,
    ),
    ("PPO", "Acrobot-v1"): Settings(
        {"n_steps": 256, "gae_lambda": 0.94, "gamma": 0.99, "n_epochs": 4, "ent_coef": 0.0},
        steps=1_000_000,
        environments=16,
        normalize=True,
    ),
    ("PPO", "Pendulum-v1"): Settings(
        {
            "n_steps": 1024, "gae_lambda": 0.95, "gamma": 0.9, "n_epochs": 10, "ent_coef": 0.0,
            "learning_rate": 1e-3, "clip_range": 0.2, "use_sde": True, "sde_sample_freq": 4,
        },
        steps=100_000,
        environments=4,
    ),
    ("PPO", "LunarLander-v3"): Settings(
        {"n_steps": 1024, "batch_size": 64, "gae_lambda": 0.98, "gamma": 0.999, "n_epochs": 4, "ent_coef": 0.01},
        steps=1_000_000,
        environments=16,
    ),
    ("DQN", "CartPole-v1"): Settings(
        {
            "learning_rate": 2.3e-3, "batch_size": 64, "buffer_size": 100_000, "learning_starts": 1_000,
            "gamma": 0.99, "target_update_interval": 10, "train_freq": 256, "gradient_steps": 128,
            "exploration_fraction": 0.16, "exploration_final_eps": 0.04, "policy_kwargs": _WIDE,
        },
        steps=50_000,
    ),
    ("DQN", "Acrobot-v1"): Settings(
        {
            "learning_rate": 6.3e-4, "batch_size": 128, "buffer_size": 50_000, "learning_starts": 0,
            "gamma": 0.99, "target_update_interval": 250, "train_freq": 4, "gradient_steps": -1,
            "exploration_fraction": 0.12, "exploration_final_eps": 0.1, "policy_kwargs": _WIDE,
        },
        steps=100_000,
    ),
    ("DQN", "MountainCar-v0"): Settings(
        {
            "learning_rate": 4e-3, "batch_size": 128, "buffer_size": 10_000, "learning_starts": 1_000,
            "gamma": 0.98, "target_update_interval": 600, "train_freq": 16, "gradient_steps": 8,
            "exploration_fraction": 0.2, "exploration_final_eps": 0.07, "policy_kwargs": _WIDE,
        },
        steps=120_000,
    ),
    ("SAC", "Pendulum-v1"): Settings({"learning_rate": 1e-3}, steps=20_000),
}  # fmt: skip

# What Stable-Baselines3 sets where RL Zoo says nothing, and zoo's agents set otherwise.
_DEFAULTS = {
    "PPO": {"learning_rate": 3e-4, "n_steps": 2048, "batch_size": 64, "gae_lambda": 0.95, "n_epochs": 10},
    "DQN": {},
    "SAC": {
        "buffer_size": 1_000_000, "learning_starts": 100, "batch_size": 256, "train_freq": 1, "gradient_steps": 1,
        "policy_kwargs": _WIDE,
    },
}  # fmt: skip
_NAMES = {
    "n_steps": "rollout", "gae_lambda": "trace", "n_epochs": "passes", "ent_coef": "entropy", "clip_range": "clip",
    "buffer_size": "replay", "train_freq": "train_every", "gradient_steps": "updates",
    "exploration_final_eps": "exploration",
}  # fmt: skip
_SAME = ("learning_rate", "batch_size", "gamma", "learning_starts")


def translate_settings(algorithm: str, environment: str) -> dict[str, Any]:
    """Return RL Zoo's hyperparameters by the names of zoo's agent of the same algorithm.

    What zoo's agents lack is left out: PPO's clip range that falls (it keeps its first value), exploration that depends
    on the state (``use_sde``), DQN without repeated random actions, and PPO without normalised observations and
    rewards where RL Zoo normalises, which zoo does in its own way.

    Args:
        algorithm: ``PPO``, ``DQN`` or ``SAC``.
        environment: Environment id.
    """
    settings = SETTINGS[algorithm, environment]
    given = _DEFAULTS[algorithm] | settings.agent
    values = {_NAMES.get(name, name): value for name, value in given.items() if name in _NAMES or name in _SAME}
    values["environments"] = settings.environments
    if algorithm == "PPO":
        values |= {"schedule": "constant", "normalize": settings.normalize}
    else:
        values |= {"units": _WIDE["net_arch"][0], "layers": len(_WIDE["net_arch"])}
    if algorithm == "DQN":
        every = values["train_every"]
        updates = every if values["updates"] == -1 else values["updates"]
        target_every = max(1, round(given["target_update_interval"] / every))
        values |= {"updates": updates, "target_every": target_every, "double": False, "steps": 1}
        values["exploration_steps"] = round(given["exploration_fraction"] * settings.steps)
    if isinstance(values["learning_rate"], Falling):
        values |= {"schedule": "linear", "learning_rate": values["learning_rate"].start}
    return {name: value.start if isinstance(value, Falling) else value for name, value in values.items()}
