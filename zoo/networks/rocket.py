"""Random convolutional features of sequences: MiniRocket's kernels, and statistics of the values."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.preprocessing.configuration import simplify_config

TAPS, KERNELS = 9, 84
WIDTH = 3 * KERNELS  # features of one threshold of each kernel
MOST_DILATIONS = 32
MOST_CHANNELS = 9
_GOLDEN = (1 + 5**0.5) / 2


@keras.saving.register_keras_serializable("zoo")
class RocketFeatures(keras.layers.Layer):
    """Features of sequences by the 84 fixed kernels of MiniRocket, at many dilations and thresholds.

    Dempster et al. 2021, "MiniRocket: a very fast (almost) deterministic transform for time series classification",
    sections 3.1 and 3.2. For each kernel, dilation and threshold: the share of the steps at which the kernel's output
    is above the threshold, and, of MultiRocket (Tan et al. 2022, section 3.2), the mean position of those steps and
    the mean of how far they are above it. Kernels read a random choice of the channels. Padding has no effect.

    Thresholds and channels are weights that are not trained: :meth:`adapt` draws them from training sequences.

    Args:
        length: Number of steps of the longest sequence, which the largest dilation depends on.
        thresholds: Number of thresholds of each kernel, over all dilations.

    Call arguments:
        steps: (B, T, F).
        real: Mask of real steps (B, T).
    """

    def __init__(self, length: int, thresholds: int, **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.length, self.thresholds = length, thresholds
        self.dilations, self.counts = _spread(length, thresholds)

    def build(self, steps_shape: Any, real_shape: Any = None) -> None:
        """Make the weights: the channels of each kernel, and its thresholds by dilation."""
        self.channels = steps_shape[-1]
        every = keras.initializers.Ones() if self.channels == 1 else keras.initializers.Constant(1 / self.channels)
        self.chosen = self.add_weight(
            shape=(len(self.dilations), self.channels, KERNELS), initializer=every, trainable=False, name="channels"
        )
        self.limits = self.add_weight(
            shape=(sum(self.counts), KERNELS), initializer="zeros", trainable=False, name="thresholds"
        )

    def adapt(self, steps: np.ndarray, real: np.ndarray, seed: int) -> None:
        """Draw channels, and thresholds as quantiles of a random training sequence's outputs.

        Args:
            steps: (N, T, F).
            real: Mask of real steps (N, T).
            seed: Seed of the draws.
        """
        rng = np.random.default_rng(seed)
        self.chosen.assign(np.stack([_draw_channels(rng, self.channels) for _ in self.dilations]))
        quantiles = np.arange(1, KERNELS * sum(self.counts) + 1) * _GOLDEN % 1  # a sequence of low discrepancy
        limits, start = [], 0
        for index, count in enumerate(self.counts):
            shown = quantiles[start : start + KERNELS * count].reshape(KERNELS, count)
            start += KERNELS * count
            rows = rng.integers(len(steps), size=KERNELS)
            parts = [rows[first : first + KERNELS // 4] for first in range(0, KERNELS, KERNELS // 4)]
            outputs = np.concatenate([self._convolve(tf.constant(steps[part]), index).numpy() for part in parts])
            masks = np.concatenate([self._valid(tf.constant(real[part]), index).numpy() for part in parts])
            columns = [outputs[kernel, :, kernel][masks[kernel, :, kernel]] for kernel in range(KERNELS)]
            limits += [
                [np.quantile(column, shown[kernel, place]) for kernel, column in enumerate(columns)]
                for place in range(count)
            ]
        self.limits.assign(np.array(limits, np.float32))

    def call(self, steps: Any, real: Any) -> Any:
        """Return (B, 3 × 84 × thresholds)."""
        length = tf.maximum(tf.reduce_sum(tf.cast(real, tf.float32), axis=1), 1.0)
        position = (tf.cumsum(tf.cast(real, tf.float32), axis=1) - 1) / length[:, None]
        weights = tf.stack([tf.ones_like(position), position], axis=1)  # (B, 2, T)
        features, limit = [], 0
        for index, count in enumerate(self.counts):
            output, valid = self._convolve(steps, index), self._valid(real, index)
            number = tf.reduce_sum(tf.cast(valid, tf.float32), axis=1)[:, None]
            output = tf.where(valid, output, -np.inf)
            sums, excesses = [], []
            for _ in range(count):
                over = output - self.limits[limit]
                sums.append(tf.matmul(weights, tf.cast(over > 0, tf.float32)))
                excesses.append(tf.reduce_sum(tf.nn.relu(over), axis=1))
                limit += 1
            totals, places = tf.unstack(tf.stack(sums, axis=1), axis=2)
            some = tf.maximum(totals, 1.0)
            parts = tf.concat([totals / number, places / some, tf.stack(excesses, axis=1) / some], axis=1)
            features.append(tf.reshape(parts, [-1, 3 * count * KERNELS]))
        return tf.concat(features, axis=1)

    def compute_output_spec(self, steps: Any, real: Any) -> Any:
        """Return the spec of the output."""
        return keras.KerasTensor((steps.shape[0], WIDTH * self.thresholds), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**simplify_config(super().get_config()), "length": self.length, "thresholds": self.thresholds}

    def _convolve(self, steps: Any, index: int) -> Any:
        kernel, margin = _PATTERNS[:, None, :] * self.chosen[index][None], TAPS // 2 * self.dilations[index]
        padded = tf.pad(steps, [[0, 0], [margin, margin], [0, 0]])  # by hand: ONNX knows no padding with dilations
        return tf.nn.conv1d(padded, kernel, 1, "VALID", dilations=self.dilations[index])

    def _valid(self, real: Any, index: int) -> Any:
        """Return where a kernel's output counts (B, T, 84): every other kernel is used without padding."""
        margin = TAPS // 2 * self.dilations[index]
        padded = tf.pad(real, [[0, 0], [margin, margin]])
        steps = tf.shape(real)[1]
        inner = real & padded[:, :steps] & padded[:, 2 * margin :]
        inner = tf.where(tf.reduce_any(inner, axis=1, keepdims=True), inner, real)  # shorter than the kernel
        with_padding = (np.arange(KERNELS) + index) % 2 == 0
        return tf.where(with_padding[None, None], real[..., None], inner[..., None])


@keras.saving.register_keras_serializable("zoo")
class SequenceStatistics(keras.layers.Layer):
    """Statistics of the values of sequences, which MiniRocket's kernels do not see, since their weights sum to zero.

    For each channel: mean, standard deviation, minimum, maximum, first and last value, and the share of the steps above
    each of a few quantiles of the training values; and the logarithm of the length. Padding has no effect.

    Args:
        levels: Number of quantiles, which are weights that are not trained: :meth:`adapt` takes them.

    Call arguments:
        steps: (B, T, F).
        real: Mask of real steps (B, T).
    """

    def __init__(self, levels: int = 0, **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, dtype="float32", **options)
        self.n_levels = levels

    def build(self, steps_shape: Any, real_shape: Any = None) -> None:
        """Make the weights: the quantiles of each channel."""
        if self.n_levels:
            shape = (self.n_levels, steps_shape[-1])
            self.levels = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="levels")

    def adapt(self, steps: np.ndarray, real: np.ndarray) -> None:
        """Take the quantiles of the real steps of training sequences (N, T, F)."""
        shares = (np.arange(self.n_levels) + 0.5) / self.n_levels
        self.levels.assign(np.quantile(steps[real], shares, axis=0).astype(np.float32))

    def call(self, steps: Any, real: Any) -> Any:
        """Return (B, (6 + levels) F + 1)."""
        shown, number = tf.cast(real, tf.float32)[..., None], tf.reduce_sum(tf.cast(real, tf.float32), axis=1)
        count = tf.maximum(number, 1.0)[:, None]
        mean = tf.reduce_sum(steps * shown, axis=1) / count
        variance = tf.reduce_sum(shown * (steps - mean[:, None]) ** 2, axis=1) / count
        varies = variance > 0  # the gradient of the root of zero is not finite
        deviation = tf.where(varies, tf.sqrt(tf.where(varies, variance, 1.0)), 0.0)
        low = tf.reduce_min(tf.where(real[..., None], steps, np.inf), axis=1)
        high = tf.reduce_max(tf.where(real[..., None], steps, -np.inf), axis=1)
        last = tf.gather(steps, tf.maximum(tf.cast(number, tf.int32) - 1, 0), axis=1, batch_dims=1)
        shares = [
            tf.reduce_sum(tf.cast(steps > self.levels[index], tf.float32) * shown, axis=1) / count
            for index in range(self.n_levels)
        ]
        parts = [mean, deviation, low, high, steps[:, 0], last, *shares, tf.math.log(count)]
        return tf.concat(parts, axis=1)

    def compute_output_spec(self, steps: Any, real: Any) -> Any:
        """Return the spec of the output."""
        return keras.KerasTensor((steps.shape[0], (6 + self.n_levels) * steps.shape[-1] + 1), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**simplify_config(super().get_config()), "levels": self.n_levels}


@keras.saving.register_keras_serializable("zoo")
class Differences(keras.layers.Layer):
    """Differences between each step and the one before it, 0 at the first step and in padding.

    Call arguments:
        steps: (B, T, F).
        real: Mask of real steps (B, T).
    """

    def call(self, steps: Any, real: Any) -> Any:
        """Return (B, T, F)."""
        earlier = tf.concat([steps[:, :1], steps[:, :-1]], axis=1)
        return tf.where(real[..., None], steps - earlier, 0.0)

    def compute_output_spec(self, steps: Any, real: Any) -> Any:
        """Return the spec of the output."""
        return keras.KerasTensor(steps.shape, dtype=steps.dtype)


def _list_patterns() -> np.ndarray:
    """Return the 84 kernels (9, 84): three of the nine weights are 2, the others −1."""
    patterns = -np.ones((TAPS, KERNELS), np.float32)
    for column, places in enumerate(itertools.combinations(range(TAPS), 3)):
        patterns[list(places), column] = 2
    return patterns


_PATTERNS = _list_patterns()


def _spread(length: int, thresholds: int) -> tuple[list[int], list[int]]:
    """Return the dilations for sequences of a length, and how many of the thresholds each of them has."""
    number = min(thresholds, MOST_DILATIONS)
    greatest = np.log2(max(length - 1, TAPS - 1) / (TAPS - 1))
    dilations, counts = np.unique(np.logspace(0, greatest, number, base=2).astype(int), return_counts=True)
    counts = (counts * (thresholds / number)).astype(int)
    for index in range(thresholds - int(counts.sum())):
        counts[index % len(counts)] += 1
    return dilations.tolist(), counts.tolist()


def _draw_channels(rng: np.random.Generator, channels: int) -> np.ndarray:
    """Return which channels each kernel reads (F, 84): one to nine of them, few more often."""
    chosen = np.zeros((channels, KERNELS), np.float32)
    for kernel in range(KERNELS):
        number = int(2 ** rng.uniform(0, np.log2(min(channels, MOST_CHANNELS) + 1)))
        chosen[rng.choice(channels, min(number, channels), replace=False), kernel] = 1
    return chosen
