"""Ctrl-C during training, also where it meets code in C++."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def translate_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt also where Ctrl-C reaches TensorFlow while it traces a function.

    TensorFlow replaces the KeyboardInterrupt by a SystemError there.
    """
    handler = signal.getsignal(signal.SIGINT)
    if handler is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return
    received = []

    def keep(number: int, frame: Any) -> None:
        received.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, keep)
    try:
        yield
    except SystemError as error:
        if received:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, handler)
