"""Trials on a Ray cluster: the slots of ``zoo.tuning.execution.worker_processes``, on whichever node has room."""

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

from zoo.errors import JobError, UsageError, first_line
from zoo.tuning.execution.executor import Event, TrialExecutor
from zoo.tuning.execution.packed_call import pack_call
from zoo.tuning.execution.ray_worker import ERROR, RayWorker, versions
from zoo.tuning.storage.shared_storage import Storage

ANSWER_WAIT_S = 8.0
_POLL_S, _CLOSE_WAIT_S = 0.5, 5.0


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be connected to a cluster; without an address, or where this process is connected already, do nothing.

    Args:
        address: ``auto`` for the cluster that this machine belongs to, ``HOST:PORT`` of its head, or
            ``ray://HOST:PORT`` of its client server.

    Raises:
        UsageError: When Ray is not installed, or no cluster answers there.
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
        raise UsageError(f"no Ray cluster at {address}: {first_line(error)}", where="cluster") from None
    _keep_standard_output()
    try:
        yield
    finally:
        ray.shutdown()


def room_for(needs: dict[str, float]) -> int:
    """Return how many trials of these needs (``CPU``, ``GPU``, ``memory``) the connected cluster has room for."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    wanted = {name: amount for name, amount in needs.items() if amount}
    return sum(min(int(node.get(name, 0) // amount) for name, amount in wanted.items()) for node in nodes)


def _keep_standard_output() -> None:
    """Drop what nodes say of themselves: Ray prints it among a command's own output, and has no switch for it."""
    worker: Any = sys.modules.get("ray._private.worker")
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *positional, **named: None


def _check_answers(address: str) -> None:
    """Raise an error unless a server that speaks gRPC, as Ray's do, answers in time."""
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
            f"no Ray cluster at {address}: what answers there is something else", where="cluster"
        ) from None
    finally:
        channel.close()


@dataclass
class _Call:
    """A trial, the place that it runs in, the order that begins it, and the answer that is waited for from there."""

    key: str
    place: Any
    begin: dict[str, Any]
    answer: Any
    begun: bool = False
    orders: list[dict[str, Any]] = field(default_factory=list)
    killed: bool = False


class RayExecutor(TrialExecutor):
    """Slots on a cluster, with the methods of :class:`zoo.tuning.execution.worker_processes.WorkerProcesses`.

    A call waits where the cluster has no room. A call whose node is lost has died by SIGKILL, with ``lost`` beside
    it. Use it within :func:`connected`.

    Args:
        slots: How many calls may be under way at the same time.
        folder: The search's folder; paths below it are named relative to it in payloads.
        storage: What nodes share with the driver; None where they share the folder.
        needs: What a call occupies: ``CPU``, ``GPU`` and ``memory`` in bytes.
        preload: Modules that every call needs.
    """

    def __init__(
        self,
        slots: int,
        *,
        folder: Path,
        storage: Storage | None,
        needs: dict[str, float],
        preload: Sequence[str],
    ) -> None:
        import ray

        super().__init__(slots)
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
        self._new_place: Callable[[], Any] = lambda: kind.remote(
            str(folder), storage, token, versions(), tuple(preload)
        )

    def start(
        self,
        key: str,
        function: Callable[..., Any],
        payload: dict[str, Any],
        *,
        memory_bytes: int | None = None,
    ) -> None:
        """Run ``function(channel, payload)`` on a node; ``payload["folder"]`` is where the call writes."""
        payload = _relative(payload, f"{self.folder}/")
        packed = pack_call(function, payload)
        place = self._idle.pop() if self._idle else self._new_place()
        order = {"key": key, "call": packed, "folder": payload["folder"], "memory_bytes": memory_bytes}
        self._calls[key] = _Call(key, place, order, place.work.remote([order], _POLL_S))

    def tell(self, key: str, message: dict[str, Any]) -> None:
        """Send a message to a call; it is heard within half a second."""
        self._order(key, {"key": key, "message": message})

    def kill(self, key: str) -> None:
        """Kill a call; its "died" event comes by :meth:`wait`."""
        if call := self._calls.get(key):
            call.killed = True
        self._order(key, {"key": key})

    @property
    def running(self) -> tuple[str, ...]:
        """Keys of the calls whose end has not been seen."""
        return tuple(self._calls)

    def close(self) -> None:
        """End all calls, and let the nodes remove what they hold of this search."""
        import ray

        places = [*self._idle, *(call.place for call in self._calls.values())]
        with contextlib.suppress(Exception):  # nodes may be gone, and the cluster too
            ray.wait([place.close.remote() for place in places], num_returns=len(places), timeout=_CLOSE_WAIT_S)
        for place in places:
            with contextlib.suppress(Exception):
                ray.kill(place)
        self._idle.clear()
        self._calls.clear()

    def _take_in(self, timeout_s: float) -> None:
        import ray

        by_answer = {call.answer: call for call in self._calls.values()}
        try:
            ready, _ = ray.wait(list(by_answer), timeout=timeout_s)
        except (ConnectionError, RuntimeError) as error:
            raise JobError(f"the cluster is gone: {error}", where="cluster") from None
        for answer in ready:
            self._take(by_answer[answer])

    def _order(self, key: str, order: dict[str, Any]) -> None:
        if call := self._calls.get(key):
            call.orders.append(order)

    def _take(self, call: _Call) -> None:
        """Take in what a place answered, and ask it again while its call goes on."""
        import ray

        try:
            told = ray.get(call.answer)
        except ray.exceptions.RayError as error:
            del self._calls[call.key]
            if "creation task" in str(error) or isinstance(error, ray.exceptions.RayTaskError):
                reason = str(error).strip().splitlines()[-1]
                raise JobError(f"a node of the cluster cannot run trials: {reason}", where="cluster") from None
            died = {"status": None, "signal": "SIGKILL", "killed": call.killed, "lost": True, "log": str(error)}
            self._events.append(Event(call.key, "died", died))
            return
        for key, kind, value in told:
            if kind == ERROR:
                raise JobError(
                    f"node {value['node']} of the cluster cannot run trials: {value['message']}", where="cluster"
                )
            self._events.append(Event(key, kind, value))
        call.begun = True
        if any(kind != "message" for _, kind, _ in told):
            del self._calls[call.key]
            self._leave(call.place)
        else:
            orders, call.orders = call.orders, []
            call.answer = call.place.work.remote(orders, _POLL_S)

    def _leave(self, place: Any) -> None:
        """Give a place that is free to a call that waits for a node; an idle one would keep the node's room."""
        import ray

        waiting = next((call for call in self._calls.values() if not call.begun), None)
        if waiting is None:
            self._idle.append(place)
            return
        ray.kill(waiting.place)
        orders, waiting.orders = [waiting.begin, *waiting.orders], []
        waiting.place, waiting.answer = place, place.work.remote(orders, _POLL_S)


def _relative(value: Any, root: str) -> Any:
    """A payload in which what lies below ``root`` is named from there."""
    if isinstance(value, str):
        return value.removeprefix(root)
    if isinstance(value, dict):
        return {name: _relative(inner, root) for name, inner in value.items()}
    if isinstance(value, list):
        return [_relative(inner, root) for inner in value]
    return value
