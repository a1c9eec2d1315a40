"""Environments in several processes, where their steps take long enough for it."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import random
import signal
import time
import warnings
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any, NoReturn

import numpy as np

from zoo.errors import DataError, ZooError, shorten_error

from ._steppers import Outcome, Stepper

TRY_S = 60.0  # a process that resets or steps its environments for the first time must answer within this time
CLOSE_S = 5.0  # processes that have not ended by then are killed


class ProcessStepper(Stepper):
    """Environments in several processes, of which this one is the first.

    The results are those of one process, since each episode has a seed of its own; an environment that draws from
    NumPy's global generator, or Python's, draws other numbers in each process. The processes are forked, so that
    environments need not be importable, and end with this one.

    Args:
        name: Environment id.
        options: Keyword arguments of the environment.
        count: Number of environments.
        processes: Number of processes, at least 2 and at most ``count``.

    Raises:
        DataError: If an environment raises, or a process ends, or does not answer the first call in time.
    """

    def __init__(self, name: str, options: Mapping[str, Any], count: int, processes: int) -> None:
        self.name, self.processes, self.environments = name, processes, []
        self._others: list[tuple[Any, Connection]] = []
        self._limit_s: float | None = None  # none for what a constructor does
        context = multiprocessing.get_context("fork")
        try:
            for number in range(1, processes):
                ours, theirs = context.Pipe()
                inherited = [ours, *(connection for _, connection in self._others)]
                work = (theirs, inherited, number, name, options, len(range(number, count, processes)))
                process = context.Process(target=_serve, args=work, name=f"environments-{number}", daemon=True)
                self._others.append((process, ours))
                with warnings.catch_warnings():  # TensorFlow's threads, whose locks the process never takes
                    warnings.simplefilter("ignore", DeprecationWarning)
                    process.start()
                theirs.close()
            super().__init__(name, options, len(range(0, count, processes)))
            for number in range(1, processes):
                self._receive(number)
        except BaseException:
            self.close()
            raise
        self._limit_s = TRY_S

    def reset(self, rows: Sequence[int], seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray | None]:
        """Begin episodes; see :meth:`Stepper.reset`."""
        observations, masks = _gather(self._call_processes("reset", rows, seeds))
        return observations, masks

    def step(self, rows: Sequence[int], actions: Sequence[Any]) -> Outcome:
        """Step environments; see :meth:`Stepper.step`."""
        outcome = Outcome(*_gather(self._call_processes("step", rows, actions)))
        self._limit_s = None
        return outcome

    def close(self) -> None:
        """End the processes and close the environments of this one."""
        for _, connection in self._others:
            with contextlib.suppress(OSError):
                connection.send(None)
            connection.close()
        deadline = time.monotonic() + CLOSE_S
        for process, _ in self._others:
            if process.pid is None:  # it could not be started
                continue
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        self._others = []
        super().close()

    def _call_processes(
        self, call: str, rows: Sequence[int], values: Sequence[Any]
    ) -> list[tuple[list[int], Sequence[Any]]]:
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
            self._raise_ended(number)

    def _receive(self, number: int) -> Any:
        connection = self._others[number - 1][1]
        try:
            if not connection.poll(self._limit_s):
                self._raise_failed(f"did not answer within {self._limit_s:g} s")
            answer = connection.recv()
        except (EOFError, OSError):
            self._raise_ended(number)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _raise_ended(self, number: int) -> NoReturn:
        process = self._others[number - 1][0]
        process.join(CLOSE_S)
        status = process.exitcode
        how = signal.Signals(-status).name if status is not None and status < 0 else f"status {status}"
        self._raise_failed(f"ended with {how}")

    def _raise_failed(self, what: str) -> NoReturn:
        raise DataError(
            f"a process of its environments {what}; --processes 1 steps all of them in one process", where=self.name
        )


def _serve(
    connection: Connection,
    inherited: Sequence[Connection],
    number: int,
    name: str,
    options: Mapping[str, Any],
    count: int,
) -> None:
    """Step environments for another process, until it sends None or has ended."""
    gc.freeze()  # objects of the parent, such as TensorFlow's, must not be deleted here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this process
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in inherited:  # so that the end of the parent is seen
        other.close()
    drawn = random.randrange(2**31)  # noqa: S311 (environments may draw from the global generators)
    np.random.seed([drawn, number])  # noqa: NPY002
    random.seed(f"{drawn} {number}")
    stepper: Stepper | None = None
    with contextlib.suppress(EOFError, OSError):  # the parent has ended
        try:
            stepper = Stepper(name, options, count)
            connection.send(True)
        except Exception as error:
            connection.send(_describe_error(error, name))
            return
        while (message := connection.recv()) is not None:
            call, *arguments = message
            try:
                answer = getattr(stepper, call)(*arguments)
            except Exception as error:
                answer = _describe_error(error, name)
            connection.send(answer)
        stepper.close()


def _describe_error(error: Exception, name: str) -> ZooError:
    """Return an error that another process can read."""
    if isinstance(error, ZooError):
        return error
    return DataError(f"{type(error).__name__}: {shorten_error(error)}", where=name)


def _gather(parts: list[tuple[list[int], Sequence[Any]]]) -> list[Any]:
    """Return the arrays of several answers, in the order of their rows.

    An answer without masks, or metrics, counts as one in which all actions are legal, if another one has them.
    """
    order = np.argsort(np.concatenate([np.asarray(places) for places, _ in parts]))
    gathered: list[Any] = []
    for arrays in zip(*(answer for _, answer in parts), strict=True):
        some = next((array for array in arrays if array is not None), None)
        if some is None:
            gathered.append(None)
            continue
        filled = [
            np.ones((len(places), *some.shape[1:]), some.dtype) if array is None else array
            for (places, _), array in zip(parts, arrays, strict=True)
        ]
        gathered.append(np.concatenate(filled)[order])
    return gathered
