"""An executor that runs trials on a Ray cluster, on any node with free resources."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.errors import JobError, UsageError, shorten_error
from zoo.tuning.execution.executor import Event, TrialExecutor
from zoo.tuning.execution.packed_call import pack_call
from zoo.tuning.execution.ray_worker import ERROR, RayWorker, list_node_versions
from zoo.tuning.storage.shared_storage import Storage

ANSWER_WAIT_S = 8.0
_POLL_S, _CLOSE_WAIT_S = 0.5, 5.0


@contextlib.contextmanager
def connect(address: str | None) -> Iterator[None]:
    """Connect to a cluster; without an address, or if this process is already connected, do nothing.

    Args:
        address: ``auto`` for the cluster that this machine belongs to, ``HOST:PORT`` of its head, or
            ``ray://HOST:PORT`` of its client server.

    Raises:
        UsageError: When Ray is not installed, or no cluster answers at the address.
    """
    if address is None:
        yield
        return
    try:
        import ray
    except ImportError:
        raise UsageError("a cluster needs Ray: pip install 'keras-task-zoo[ray]'", where="cluster") from None
    if ray.is_initialized():
        yield
        return
    if address != "auto":
        _check_answers(address)
    try:
        ray.init(address, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR)
    except Exception as error:
        raise UsageError(f"no Ray cluster at {address}: {shorten_error(error)}", where="cluster") from None
    _keep_standard_output()
    try:
        yield
    finally:
        ray.shutdown()


def count_room(needs: dict[str, float]) -> int:
    """Return how many trials with these resource needs (``CPU``, ``GPU``, ``memory``) fit on the connected cluster."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    wanted = {name: amount for name, amount in needs.items() if amount}
    return sum(min(int(node.get(name, 0) // amount) for name, amount in wanted.items()) for node in nodes)


def _keep_standard_output() -> None:
    """Suppress the nodes' messages: Ray prints them to standard output and has no option to turn that off."""
    worker: Any = sys.modules.get("ray._private.worker")
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *positional, **named: None


def _check_answers(address: str) -> None:
    """Raise an error unless a gRPC server, such as Ray's, answers in time."""
    import grpc

    target = address.removeprefix("ray://")
    host, _, port = target.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=ANSWER_WAIT_S):
            pass
    except OSError as error:
        raise UsageError(f"no Ray cluster at {address}: {error}", where="cluster") from None
    if os.environ.get("RAY_USE_TLS", "0") != "0":
        return  # Ray itself has the certificates
    channel = grpc.insecure_channel(target)
    try:
        grpc.channel_ready_future(channel).result(timeout=ANSWER_WAIT_S)
    except grpc.FutureTimeoutError:
        raise UsageError(
            f"no Ray cluster at {address}: another kind of server answers there", where="cluster"
        ) from None
    finally:
        channel.close()


@dataclass
class _Call:
    """A trial, its Ray worker, the request that starts it, and the pending answer of the worker."""

    key: str
    worker: Any
    begin: dict[str, Any]
    answer: Any
    begun: bool = False
    requests: list[dict[str, Any]] = field(default_factory=list)
    killed: bool = False


class RayExecutor(TrialExecutor):
    """An executor on a cluster, with the methods of :class:`zoo.tuning.execution.worker_processes.WorkerProcesses`.

    A call waits while the cluster has no free resources. A call whose node is lost ends with a "died" event, signal
    SIGKILL and ``lost``. Use it within :func:`connect`.

    Args:
        max_workers: Maximum number of calls that run at the same time.
        folder: The search's folder; in payloads, paths below it are relative to it.
        storage: The storage that nodes share with the driver; None if they share the folder itself.
        needs: Resources of a call: ``CPU``, ``GPU`` and ``memory`` in bytes.
        preload: Modules that every call needs.
    """

    def __init__(
        self,
        max_workers: int,
        *,
        folder: Path,
        storage: Storage | None,
        needs: dict[str, float],
        preload: Sequence[str],
    ) -> None:
        import ray

        super().__init__(max_workers)
        self.folder = folder
        self._calls: dict[str, _Call] = {}
        self._idle: list[Any] = []
        kind = ray.remote(RayWorker).options(
            num_cpus=needs.get("CPU", 1),
            num_gpus=needs.get("GPU", 0),
            memory=needs.get("memory") or None,
            scheduling_strategy="SPREAD",
        )
        token = uuid.uuid4().hex[:12]
        self._new_worker: Callable[[], Any] = lambda: kind.remote(
            str(folder), storage, token, list_node_versions(), tuple(preload)
        )

    def start(
        self, key: str, function: Callable[..., Any], payload: dict[str, Any], *, memory_bytes: int | None = None
    ) -> None:
        """Run ``function(channel, payload)`` on a node; the call writes to ``payload["folder"]``."""
        payload = _relative(payload, f"{self.folder}/")
        packed = pack_call(function, payload)
        worker = self._idle.pop() if self._idle else self._new_worker()
        request = {"key": key, "call": packed, "folder": payload["folder"], "memory_bytes": memory_bytes}
        self._calls[key] = _Call(key, worker, request, worker.work.remote([request], _POLL_S))

    def tell(self, key: str, message: dict[str, Any]) -> None:
        """Send a message to a call; it arrives within half a second."""
        self._request(key, {"key": key, "message": message})

    def kill(self, key: str) -> None:
        """Kill a call; :meth:`wait` returns its "died" event."""
        if call := self._calls.get(key):
            call.killed = True
        self._request(key, {"key": key})

    @property
    def running(self) -> tuple[str, ...]:
        """Keys of the calls whose end :meth:`wait` has not returned yet."""
        return tuple(self._calls)

    def close(self) -> None:
        """End all calls, and let the nodes remove their files of this search."""
        import ray

        workers = [*self._idle, *(call.worker for call in self._calls.values())]
        with contextlib.suppress(Exception):  # nodes, or the whole cluster, may be gone
            ray.wait([worker.close.remote() for worker in workers], num_returns=len(workers), timeout=_CLOSE_WAIT_S)
        for worker in workers:
            with contextlib.suppress(Exception):
                ray.kill(worker)
        self._idle.clear()
        self._calls.clear()

    def _take_in(self, timeout_s: float) -> None:
        import ray

        by_answer = {call.answer: call for call in self._calls.values()}
        try:
            ready, _ = ray.wait(list(by_answer), timeout=timeout_s)
        except (ConnectionError, RuntimeError) as error:
            raise JobError(f"lost the connection to the cluster: {error}", where="cluster") from None
        for answer in ready:
            self._receive(by_answer[answer])

    def _request(self, key: str, request: dict[str, Any]) -> None:
        if call := self._calls.get(key):
            call.requests.append(request)

    def _receive(self, call: _Call) -> None:
        """Record a worker's answer, and ask again while its call runs."""
        import ray

        try:
            events = ray.get(call.answer)
        except ray.exceptions.RayError as error:
            del self._calls[call.key]
            if "creation task" in str(error) or isinstance(error, ray.exceptions.RayTaskError):
                reason = str(error).strip().splitlines()[-1]
                raise JobError(f"a node of the cluster cannot run trials: {reason}", where="cluster") from None
            died = {"status": None, "signal": "SIGKILL", "killed": call.killed, "lost": True, "log": str(error)}
            self._events.append(Event(call.key, "died", died))
            return
        for key, kind, value in events:
            if kind == ERROR:
                raise JobError(
                    f"node {value['node']} of the cluster cannot run trials: {value['message']}", where="cluster"
                )
            self._events.append(Event(key, kind, value))
        call.begun = True
        if any(kind != "message" for _, kind, _ in events):
            del self._calls[call.key]
            self._release(call.worker)
        else:
            requests, call.requests = call.requests, []
            call.answer = call.worker.work.remote(requests, _POLL_S)

    def _release(self, worker: Any) -> None:
        """Pass a free worker to a call that waits for a node; an idle one would keep the node's resources."""
        import ray

        waiting = next((call for call in self._calls.values() if not call.begun), None)
        if waiting is None:
            self._idle.append(worker)
            return
        ray.kill(waiting.worker)
        requests, waiting.requests = [waiting.begin, *waiting.requests], []
        waiting.worker, waiting.answer = worker, worker.work.remote(requests, _POLL_S)


def _relative(value: Any, root: str) -> Any:
    """Return a payload in which paths below ``root`` are relative to it."""
    if isinstance(value, str):
        return value.removeprefix(root)
    if isinstance(value, dict):
        return {name: _relative(inner, root) for name, inner in value.items()}
    if isinstance(value, list):
        return [_relative(inner, root) for inner in value]
    return value
