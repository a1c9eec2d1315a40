"""Seed all random number generators."""

from __future__ import annotations

import random


def require_deterministic_kernels() -> None:
    """Enable deterministic kernels of TensorFlow for the rest of this process.

    Example:
        >>> require_deterministic_kernels()  # doctest: +SKIP
    """
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


def seed_everything(seed: int) -> None:
    """Seed the random number generators of Python, NumPy, TensorFlow and Keras.

    Args:
        seed: Any integer from 0 to 2**32 - 1.

    Example:
        >>> seed_everything(0)
    """
    random.seed(seed)
    import keras  # imported late, since it takes seconds

    keras.utils.set_random_seed(seed)
