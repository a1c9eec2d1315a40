"""Memory does not grow with the number of trainings in one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow.python.framework import ops

from zoo.training.custom_gradients import release_custom_gradients

SCRIPT = """
import gc, psutil, zoo
sizes = []
for _ in range(40):
    zoo.train("classification/mlp", "wine", epochs=2, quiet=True)
    gc.collect()
    sizes.append(psutil.Process().memory_info().rss / 1e6)
print((sizes[-1] - sizes[9]) / 30)
"""


@pytest.mark.slow
def test_it_is_flat(workspace: Path) -> None:
    answer = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert float(answer.stdout.split()[-1]) < 1  # MB for each training; a graph that is kept has several


def test_custom_gradients_are_released() -> None:
    def trace() -> None:
        tf.function(tf.nn.silu)(tf.constant(1.0))

    registry = ops.gradient_registry._registry
    trace()
    before = set(registry)
    with release_custom_gradients():
        trace()
        with release_custom_gradients():
            trace()
        assert len(registry) == len(before) + 2  # until the outermost block ends
    assert set(registry) == before
