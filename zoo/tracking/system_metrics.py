"""What the machine does during a training, under MLflow's own names: its pages show them as system metrics."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

SAMPLE_S = 3.0


class SystemMetrics:
    """Use of CPU, memory, disk and network, and of GPUs where ``nvidia-ml-py`` is installed.

    MLflow's own monitor writes from a thread of its own, which a server that dies would upset; its readings are taken
    here, and written with the scores of an epoch. ``MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false`` turns them off.
    """

    def __init__(self) -> None:
        self._monitors: list[Any] = _monitors()
        self._sampled = 0.0
        self._read()  # the use of a CPU counts from the reading before

    def sample(self) -> dict[str, float]:
        """Return what is read now, ``system/cpu_utilization_percentage`` and others; nothing some seconds long."""
        if time.monotonic() - self._sampled < SAMPLE_S:
            return {}
        self._sampled = time.monotonic()
        return self._read()

    def _read(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for monitor in list(self._monitors):
            try:
                monitor.collect_metrics()
                found |= {f"system/{name}": float(value) for name, value in monitor.aggregate_metrics().items()}
                monitor.clear_metrics()
            except Exception:  # what cannot be read here is no reason for a training to end
                self._monitors.remove(monitor)
        return found


def _monitors() -> list[Any]:
    from mlflow.environment_variables import MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING as SWITCH
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    if SWITCH.is_set() and not SWITCH.get():
        return []
    made: list[Any] = []
    for kind in (CPUMonitor, DiskMonitor, NetworkMonitor, GPUMonitor):
        with suppress(Exception):  # without a GPU, or what reads it; without a network
            made.append(kind())
    return made
