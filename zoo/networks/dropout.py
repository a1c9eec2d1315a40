"""Dropout with a quarter of the random numbers."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

STEPS = 256


@keras.saving.register_keras_serializable("zoo")
class Dropout(keras.layers.Layer):
    """Sets values to 0 at random in training (Srivastava et al. 2014, section 4).

    Each random 32-bit word provides four 8-bit masks, so the rate is rounded to a multiple of 1/256, also in the
    scaling of the kept values. Compared to ``keras.layers.Dropout``, which draws a float for each value, an epoch of
    a network of 2 x 256 units on 32,561 rows took 0.18 s instead of 0.29 s with XLA, and the same time without.
    The masks are the same with XLA and without.

    Args:
        rate: Fraction of values set to 0, at least 0 and below 1.
        seed: Random seed; by default from Keras.

    Call arguments:
        inputs: Tensor of any shape.
        training: Whether to apply dropout.
    """

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.rate, self.seed = rate, seed
        self.cut = min(STEPS - 1, round(rate * STEPS))
        self.supports_masking = True
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the inputs; in training some of them 0 and the others scaled up."""
        if not training or not self.cut:
            return inputs
        static_shape = inputs.shape.is_fully_defined()
        size = math.prod(inputs.shape) if static_shape else tf.size(inputs)
        seed = tf.cast(self.seed_generator.next(), tf.int32)
        words = tf.random.stateless_uniform(
            [(size + 3) // 4], seed, minval=None, maxval=None, dtype=tf.uint32, alg="philox"
        )
        bits = tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:size]
        kept = tf.reshape(bits >= tf.constant(self.cut, tf.uint8), tf.shape(inputs))
        return tf.where(kept, inputs * (STEPS / (STEPS - self.cut)), tf.zeros_like(inputs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the inputs' shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
