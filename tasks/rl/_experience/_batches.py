"""Learning from batches, all of them in one compiled graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf


def draw_minibatches(rng: np.random.Generator, size: int, batch_size: int | None, passes: int) -> Any:
    """Return the rows of minibatches of several passes over a rollout, in random order (M, B).

    Args:
        rng: Random generator.
        size: Number of rows of the rollout.
        batch_size: Rows of a minibatch; those left over wait for the next pass. None takes all rows.
        passes: Number of passes.
    """
    batch = min(batch_size or size, size)
    order = [rng.permutation(size)[: size // batch * batch] for _ in range(passes)]
    return tf.constant(np.concatenate(order).reshape(-1, batch), tf.int32)


def train_on_batches(learn: Callable[..., Any], tensors: Sequence[Any], order: Any, facts: int) -> list[Any]:
    """Learn from one batch after another; return the means of the facts.

    Args:
        learn: Function from the rows of each tensor to a vector of facts.
        tensors: Tensors (N, …), or None.
        order: Rows of each batch (M, B); or, of tensors that are batches (M, B, …) already, their numbers (M,).
        facts: Number of facts.
    """

    def step(place: Any, total: Any) -> Any:
        batch = [None if each is None else tf.gather(each, order[place]) for each in tensors]
        return place + 1, total + learn(*batch)

    count = tf.shape(order)[0]
    start = (tf.constant(0), tf.zeros(facts))
    _, total = tf.while_loop(lambda place, _: place < count, step, start, parallel_iterations=1)
    means: list[Any] = tf.unstack(total / tf.cast(count, tf.float32))
    return means
