"""Release the graphs that TensorFlow keeps for custom gradients."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
_blocks = 0
_before: frozenset[str] = frozenset()


@contextmanager
def release_custom_gradients() -> Iterator[None]:
    """Remove, at the end of the block, the custom gradients that were registered inside it.

    Tracing an operation with a custom gradient, such as ``swish`` or an all-reduce of optimizers, registers a function
    in a registry of TensorFlow that is never emptied. The function holds the whole graph, some megabytes for each
    training. It is only needed while gradients through that graph are traced, which is over when the block ends.

    Blocks may overlap in several threads; the gradients are removed when the last one ends.
    """
    global _blocks, _before
    with _lock:
        if _blocks == 0:
            _before = frozenset(_get_registry())
        _blocks += 1
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            if _blocks == 0:
                registry = _get_registry()
                for name in set(registry) - _before:
                    if name.startswith("CustomGradient"):
                        del registry[name]


def _get_registry() -> dict[str, Any]:
    """Return TensorFlow's registry of gradients by name; an empty one if this version has another."""
    from tensorflow.python.framework import ops

    return getattr(getattr(ops, "gradient_registry", None), "_registry", {})
