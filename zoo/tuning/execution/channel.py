"""The connection between the driver and a call: JSON messages, each preceded by its length, over a socket."""

from __future__ import annotations

import json
import math
import select
import socket
import struct
import time
from collections import deque
from typing import Any

_LENGTH = struct.Struct("!I")


def encode_message(message: Any) -> bytes:
    """Encode a JSON value for sending: its length, then its text."""
    text = json.dumps(message).encode()
    return _LENGTH.pack(len(text)) + text


class Frames:
    """Splits a stream of bytes into the messages that were encoded with `frame`.

    Example:
        >>> frames, data = Frames(), encode_message({"epoch": 1}) + encode_message("done")
        >>> frames.feed(data[:9]), frames.feed(data[9:])
        ([], [{'epoch': 1}, 'done'])
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """Add bytes and return the messages that they complete."""
        self._buffer += data
        messages: list[Any] = []
        start = 0
        while len(self._buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            end = start + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            messages.append(json.loads(self._buffer[start + _LENGTH.size : end]))
            start = end
        del self._buffer[:start]
        return messages


def read_some(connection: socket.socket) -> bytes:
    """Return the bytes received, or nothing at the end of the stream (a connection reset counts as the end)."""
    try:
        return connection.recv(1 << 16)
    except ConnectionError:
        return b""


class Channel:
    """A call's connection to the driver; the called function gets it as its first argument.

    Example:
        >>> def count(channel, payload):
        ...     for step in range(payload["steps"]):
        ...         channel.send({"step": step})
        ...         if channel.stop_requested:
        ...             break
        ...     return step
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._frames = Frames()
        self._inbox: deque[Any] = deque()
        self._open = True
        self._stop = False

    def send(self, message: Any) -> None:
        """Send a JSON value to the driver, which gets it as an event of kind "message".

        Raises:
            TypeError: The value is not JSON, for example a NumPy number.
            BrokenPipeError: The driver is gone.
        """
        self._socket.sendall(encode_message({"kind": "message", "value": message}))

    def receive(self, timeout_s: float = 0.0) -> Any:
        """Return the driver's next message, or None when none came within ``timeout_s``."""
        if not self._inbox:
            self._take_in(timeout_s)
        return self._inbox.popleft() if self._inbox else None

    @property
    def stop_requested(self) -> bool:
        """Whether the driver has asked to stop (or is gone); other messages wait for `receive`."""
        self._take_in(0.0)
        return self._stop

    def _take_in(self, timeout_s: float) -> None:
        """Read all that was received; wait up to ``timeout_s`` for a first message."""
        deadline = time.monotonic() + timeout_s
        poll = select.poll()  # not select(), which refuses descriptors beyond 1,023
        poll.register(self._socket, select.POLLIN)
        while self._open:
            left_s = 0.0 if self._inbox else max(0.0, deadline - time.monotonic())
            if not poll.poll(math.ceil(left_s * 1000)):
                return
            data = read_some(self._socket)
            self._open = bool(data)
            messages = self._frames.feed(data)
            self._inbox.extend(messages)
            stops = any(isinstance(message, dict) and message.get("stop") is True for message in messages)
            self._stop = self._stop or stops or not self._open
