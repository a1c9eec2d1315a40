"""How agents act: policies, from which actions are drawn or the best one is taken, noise, and fast outputs."""

from ._fast_output import FastOutput
from ._noise import PinkNoise
from ._policies import (
    CategoricalPolicy,
    EpsilonGreedy,
    GaussianPolicy,
    JoinDuelling,
    KeepDeviation,
    SquashedGaussianPolicy,
    TakeMean,
    create_greedy_policy,
    mask_tensor,
)
from ._sampling import DEVIATION, DISTRIBUTION, LOGITS, create_sampling_policy

__all__ = [
    "DEVIATION",
    "DISTRIBUTION",
    "LOGITS",
    "CategoricalPolicy",
    "EpsilonGreedy",
    "FastOutput",
    "GaussianPolicy",
    "JoinDuelling",
    "KeepDeviation",
    "PinkNoise",
    "SquashedGaussianPolicy",
    "TakeMean",
    "create_greedy_policy",
    "create_sampling_policy",
    "mask_tensor",
]
