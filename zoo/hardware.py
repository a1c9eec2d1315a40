"""Precision and devices that networks are trained with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from zoo.errors import UsageError

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]


@dataclass(frozen=True)
class Hardware:
    """Precision and devices that a network is trained with.

    Mixed precision (Micikevicius et al. 2018, "Mixed Precision Training") computes in 16 bits and keeps weights in 32;
    with ``mixed_float16`` the loss is scaled, so that small gradients are not lost. It is faster on GPUs, and slower on
    most CPUs.

    On several devices (``tf.distribute.MirroredStrategy``), each has a copy of the network and trains on a part of each
    batch; their gradients are added up.

    Args:
        precision: Name of a Keras dtype policy.
        devices: Number of devices, or ``all``: GPUs where there are any, CPUs otherwise.

    Example:
        >>> import keras
        >>> with Hardware("mixed_bfloat16").apply():
        ...     keras.layers.Dense(1).compute_dtype
        'bfloat16'
    """

    precision: Precision = "float32"
    devices: int | Literal["all"] = 1

    @property
    def is_default(self) -> bool:
        """Whether networks are trained in 32 bits on one device."""
        return self == Hardware()

    @property
    def option(self) -> str:
        """The option that differs from its default, ``precision`` before ``devices``."""
        return "devices" if self.precision == "float32" else "precision"

    @contextmanager
    def apply(self) -> Iterator[None]:
        """Have networks that are built within the block use this precision and these devices.

        Raises:
            UsageError: If there are fewer devices.
        """
        import keras  # imported late, since it takes seconds

        before = keras.config.dtype_policy()
        with self._scope():
            keras.config.set_dtype_policy(self.precision if self.precision != "float32" else before)
            try:
                yield
            finally:
                keras.config.set_dtype_policy(before)

    def _scope(self) -> Any:
        if self.devices == 1:
            return nullcontext()
        names = _list_devices()
        number = len(names) if self.devices == "all" else self.devices
        if number > len(names):
            raise UsageError(f"received {number}, but there are {len(names)}: {', '.join(names)}", where="devices")
        return _create_strategy(tuple(names[:number])).scope() if number > 1 else nullcontext()


def find_inner_optimizer(optimizer: Any) -> Any:
    """Return the optimizer that has moments and averages, which with ``mixed_float16`` is inside another.

    Args:
        optimizer: Optimizer of a compiled network.
    """
    return getattr(optimizer, "inner_optimizer", optimizer)


def build_optimizer(network: Any) -> None:
    """Create the variables of a network's optimizer, unless it has them.

    Keras' optimizer for ``mixed_float16`` would create some of its variables again.

    Args:
        network: Compiled network.
    """
    if not network.optimizer.built:
        with network.distribute_strategy.scope():
            network.optimizer.build(network.trainable_variables)


def _list_devices() -> list[str]:
    """Return the names of the GPUs, or of the CPUs if there are none."""
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name.removeprefix("/device:") for device in devices]


@lru_cache
def _create_strategy(devices: tuple[str, ...]) -> Any:
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(devices)
