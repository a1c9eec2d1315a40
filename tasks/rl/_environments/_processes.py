"""Environments in several processes, where their steps take long enough for it."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import warnings
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any, NoReturn

import numpy as np

from zoo.errors import DataError

from ._steppers import Outcome, Stepper

ALIVE_S = 5.0  # a process checks this often whether the training has ended, which waits as long for its end


class ProcessStepper(Stepper):
    """Environments in several processes, of which this one is the first.

    The results are those of one process, since each episode has a seed of its own. The processes are forked, so that
    environments need not be importable; they compute with NumPy alone, and end with this one.

    Args:
        name: Environment id.
        options: Keyword arguments of the environment.
        count: Number of environments.
        processes: Number of processes, at least 2 and at most ``count``.
    """

    def __init__(self, name: str, options: Mapping[str, Any], count: int, processes: int) -> None:
        self.processes = processes
        self._count = count
        self._others: list[tuple[Any, Connection]] = []
        context = multiprocessing.get_context("fork")
        try:
            for number in range(1, processes):
                ours, theirs = context.Pipe()
                work = (theirs, name, options, len(range(number, count, processes)), os.getpid())
                process = context.Process(target=_serve, args=work, name=f"environments-{number}", daemon=True)
                with warnings.catch_warnings():  # TensorFlow's threads, whose locks the process never takes
                    warnings.simplefilter("ignore", DeprecationWarning)
                    process.start()
                theirs.close()
                self._others.append((process, ours))
            super().__init__(name, options, len(range(0, count, processes)))
            for number in range(1, processes):
                self._receive(number)
        except BaseException:
            self.close()
            raise

    def reset(self, rows: Sequence[int], seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray | None]:
        """Begin episodes; see :meth:`Stepper.reset`."""
        parts = self._ask("reset", rows, seeds)
        observations, masks = _gather([index for index, _ in parts], [answer for _, answer in parts])
        return observations, masks

    def step(self, rows: Sequence[int], actions: Sequence[Any]) -> Outcome:
        """Step environments; see :meth:`Stepper.step`."""
        parts = self._ask("step", rows, actions)
        return Outcome(*_gather([index for index, _ in parts], [answer for _, answer in parts]))

    def close(self) -> None:
        """End the processes and close the environments of this one."""
        for _, connection in self._others:
            with contextlib.suppress(OSError):
                connection.send(None)
            connection.close()
        for process, _ in self._others:
            process.join(ALIVE_S)
            if process.is_alive():
                process.kill()
                process.join()
        self._others = []
        for environment in getattr(self, "environments", ()):
            environment.close()

    def _ask(self, call: str, rows: Sequence[int], values: Sequence[Any]) -> list[tuple[list[int], Any]]:
        """Call a method in all processes that have some of the rows; return the places of their rows, and answers."""
        shares: dict[int, list[int]] = {}
        for index, row in enumerate(rows):
            shares.setdefault(row % self.processes, []).append(index)
        parts = {
            number: ([rows[index] // self.processes for index in places], [values[index] for index in places])
            for number, places in shares.items()
        }
        for number, part in parts.items():
            if number:
                self._send(number, (call, *part))
        answers = {0: getattr(super(), call)(*parts[0])} if 0 in parts else {}
        answers |= {number: self._receive(number) for number in parts if number}
        return [(places, answers[number]) for number, places in shares.items()]

    def _send(self, number: int, message: Any) -> None:
        try:
            self._others[number - 1][1].send(message)
        except OSError:
            self._refuse(number)

    def _receive(self, number: int) -> Any:
        try:
            answer = self._others[number - 1][1].recv()
        except (EOFError, OSError):
            self._refuse(number)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _refuse(self, number: int) -> NoReturn:
        process = self._others[number - 1][0]
        process.join(ALIVE_S)
        raise DataError(
            f"a process of its environments ended with status {process.exitcode}; --processes 1 steps all of them in"
            " one process",
            where=getattr(self, "name", None),
        )


def _serve(connection: Connection, name: str, options: Mapping[str, Any], count: int, parent: int) -> None:
    """Step environments for another process, until it sends None or has ended."""
    gc.freeze()  # objects of the parent, such as TensorFlow's, must not be deleted here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this process
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    stepper = None
    try:
        try:
            stepper = Stepper(name, options, count)
            connection.send(True)
        except Exception as error:
            return connection.send(error)
        while True:
            while not connection.poll(ALIVE_S):
                if os.getppid() != parent:
                    return None
            message = connection.recv()
            if message is None:
                return None
            call, *arguments = message
            try:
                answer = getattr(stepper, call)(*arguments)
            except Exception as error:
                answer = error
            connection.send(answer)
    except (EOFError, OSError):  # the parent has ended
        return None
    finally:
        if stepper is not None:
            stepper.close()


def _gather(places: list[list[int]], answers: list[Any]) -> list[Any]:
    """Return the arrays of several answers, joined in the order of their rows; None where all are."""
    order = np.argsort(np.concatenate([np.asarray(part) for part in places]))
    joined = []
    for arrays in zip(*answers, strict=True):
        some = [array for array in arrays if array is not None]
        joined.append(np.concatenate(some)[order] if len(some) == len(arrays) else None)
    return joined
