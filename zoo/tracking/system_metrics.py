"""Use of the machine during training, under MLflow's names for system metrics."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

SAMPLE_S = 3.0


class SystemMetrics:
    """Use of CPU, memory, disk and network, and of GPUs if ``nvidia-ml-py`` is installed.

    MLflow's own monitor logs from a separate thread, which fails when the server is away. Here its readings are
    taken between epochs and logged with their scores. ``MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false`` turns them off.
    """

    def __init__(self) -> None:
        self._monitors: list[Any] = _monitors()
        self._sampled = 0.0
        self._read()  # CPU use is measured since the previous reading

    def sample(self) -> dict[str, float]:
        """Return the current readings, such as ``system/cpu_utilization_percentage``; empty if the last are recent."""
        if time.monotonic() - self._sampled < SAMPLE_S:
            return {}
        self._sampled = time.monotonic()
        return self._read()

    def _read(self) -> dict[str, float]:
        values: dict[str, float] = {}
        for monitor in list(self._monitors):
            try:
                monitor.collect_metrics()
                values |= {f"system/{name}": float(value) for name, value in monitor.aggregate_metrics().items()}
                monitor.clear_metrics()
            except Exception:  # a failed reading must not end a training
                self._monitors.remove(monitor)
        return values


def _monitors() -> list[Any]:
    from mlflow.environment_variables import MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING as SWITCH
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    if SWITCH.is_set() and not SWITCH.get():
        return []
    monitors: list[Any] = []
    for kind in (CPUMonitor, DiskMonitor, NetworkMonitor, GPUMonitor):
        with suppress(Exception):  # no GPU, no package that reads it, or no network
            monitors.append(kind())
    return monitors
