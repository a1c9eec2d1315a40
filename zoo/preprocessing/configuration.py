"""What a layer's configuration says, and what goes without saying."""

from __future__ import annotations

from typing import Any


def plain_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a layer that fixes its own ``dtype`` and never trains, without both."""
    for name in ("dtype", "trainable"):
        config.pop(name, None)
    return config
