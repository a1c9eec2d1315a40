"""What KerasTuner needs to run as it is."""

from __future__ import annotations

import sys
import types


def stand_in_for_tensorboard() -> None:
    """Let KerasTuner import a package that it needs in every trial and uses only for a callback that is not given.

    TensorFlow no longer brings tensorboard along. Where it is not installed, empty modules stand in for it,
    which also spares the rival the time and memory of the real one.
    """
    names = ("tensorboard", "tensorboard.plugins", "tensorboard.plugins.hparams", "tensorboard.plugins.hparams.api")
    for name in names:
        module = sys.modules.setdefault(name, types.ModuleType(name))
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
