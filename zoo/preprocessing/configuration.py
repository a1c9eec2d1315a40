"""Configuration of layers without redundant entries."""

from __future__ import annotations

from typing import Any


def simplify_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return a layer's configuration without ``dtype`` and ``trainable``, which the layer fixes itself."""
    for name in ("dtype", "trainable"):
        config.pop(name, None)
    return config
