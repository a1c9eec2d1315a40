"""What an agent learns from: transitions, their advantages and returns, replay and batches."""

from ._batches import draw_minibatches, train_on_batches
from ._replay import Replay, convert_batches
from ._transitions import RewardScale, Transitions, compute_advantages, compute_returns, stack_steps

__all__ = [
    "Replay",
    "RewardScale",
    "Transitions",
    "compute_advantages",
    "compute_returns",
    "convert_batches",
    "draw_minibatches",
    "stack_steps",
    "train_on_batches",
]
