"""Ctrl-C that meets code in C++, which raises another error for it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from zoo.training.interrupts import translate_interrupts


def interrupt_within_another_error() -> None:
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise SystemError("bad argument to internal function") from None


@pytest.fixture
def _listening() -> Iterator[None]:
    """Handle SIGINT as Python does, also where the tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_listening")
def test_a_system_error_after_ctrl_c_is_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), translate_interrupts():
        interrupt_within_another_error()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("_listening")
def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(SystemError), translate_interrupts():
        raise SystemError("another one")
