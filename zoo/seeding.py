"""Seeds: one number decides everything that is drawn at random."""

from __future__ import annotations

import random


def only_deterministic_kernels() -> None:
    """Let TensorFlow use only kernels that give the same result each time, for the rest of this process.

    Example:
        >>> only_deterministic_kernels()  # doctest: +SKIP
    """
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy, TensorFlow and Keras, so that what is drawn next is drawn again next time.

    Args:
        seed: Any integer from 0 to 2**32 - 1.

    Example:
        >>> seed_everything(0)
    """
    random.seed(seed)
    import keras  # not before it is needed: importing it takes seconds

    keras.utils.set_random_seed(seed)
