"""Kernels set by hand: what they answer to."""

from __future__ import annotations

import numpy as np
from zoo.tasks.sequence._fixed_kernels import FixedKernels, _list_kernels


def test_kernels_are_those_of_the_paper() -> None:
    kernels = [kernel.tolist() for group in _list_kernels(8) for kernel in group]
    assert [-1.0, 1.0] in kernels
    assert [1.0, -1.0, 1.0, -1.0] in kernels
    peak = [-1.0, -1.0, 2.0, 2.0, -1.0, -1.0]
    assert peak in kernels
    assert max(map(len, kernels)) == 8


def test_a_rise_and_a_peak_are_found_in_each_column() -> None:
    steps = np.zeros((1, 12, 2), np.float32)
    steps[0, 6:, 0] = 1.0
    output = np.asarray(FixedKernels(6)(steps))
    assert output.shape == (1, 12, 2 * 5)
    first, second = output[0, :, :2], output[0, :, 2:4]  # the kernels of two steps, for each column
    assert first[:, 0].max() == 1.0  # (-1, 1) at the rise
    assert np.abs(second).max() == 0.0
