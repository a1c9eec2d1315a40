"""Convolutions with kernels set by hand, which find rises, falls and peaks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

ALTERNATING, PEAKS = (2, 4, 8, 16, 32, 64), (4, 8, 16, 32, 64)


@keras.saving.register_keras_serializable("zoo")
class FixedKernels(keras.layers.Layer):
    """Convolves each column with kernels that are not learned.

    Ismail-Fawaz et al. 2022, "Deep learning for time series classification using new hand-crafted convolution filters",
    section III.

    Args:
        longest: Length of the longest kernel that peaks are found by.

    Call arguments:
        steps: (B, T, F).
    """

    def __init__(self, longest: int, **options: Any) -> None:
        super().__init__(**options)
        self.longest = longest
        self.built = True

    def call(self, steps: Any) -> Any:
        """Return (B, T, F kernels)."""
        columns = steps.shape[-1]
        parts = []
        for kernels in _list_kernels(self.longest):
            weights = np.repeat(np.stack(kernels, axis=-1)[:, None], columns, axis=1)  # (size, F, kernels)
            parts.append(ops.depthwise_conv(steps, ops.cast(weights, steps.dtype), padding="same"))
        return ops.concatenate(parts, axis=-1)

    def compute_output_spec(self, steps: Any) -> Any:
        """Return the spec of the output."""
        count = sum(map(len, _list_kernels(self.longest)))
        return keras.KerasTensor((*steps.shape[:2], steps.shape[-1] * count), dtype=steps.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "longest": self.longest}


def _list_kernels(longest: int) -> Iterator[list[np.ndarray]]:
    """Yield the kernels of each length: signs in turn, which find rises and falls, and a peak between two dips."""
    for size in ALTERNATING:
        if size <= longest:
            signs = np.where(np.arange(size) % 2, 1.0, -1.0)
            yield [signs, -signs]
    for size in PEAKS:
        if 3 * size // 2 <= longest:
            rise = (np.arange(1, size // 4 + 1) / (size // 4)) ** 2
            bump = np.concatenate([rise, rise[::-1]])
            yield [np.concatenate([-bump, 2 * bump, -bump])]
