"""Ctrl-C at any moment: one line, exit status 130, no traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Python itself exits by the signal when the interrupt passes through an `exec` of source code, as a dataclass makes.
INTERRUPTED = (130, -signal.SIGINT)
# Writes to standard error when zoo answers to interrupts; a shell may have started the tests with these ignored.
START = """
import signal, sys, zoo
signal.signal(signal.SIGINT, signal.default_int_handler)
print("started", file=sys.stderr, flush=True)
from zoo.__main__ import main
main()
"""


def interrupt(words: tuple[str, ...], after_s: float) -> tuple[int, str]:
    """Return the exit status and standard error of a command that is interrupted so many seconds after its start."""
    process = subprocess.Popen(
        [sys.executable, "-c", START, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "started\n"
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    try:
        error = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    return process.returncode, error


TRAIN = ("train", "classification/linear", "wine", "--epochs", "100000", "--set", "patience=100000")
TUNE = ("tune", "classification/linear", "wine", "--trials", "1000", "--baselines", "none")


@pytest.mark.parametrize(
    ("words", "after_s"),
    [
        (TRAIN, 0.05),
        (TRAIN, 2.0),
        *(
            pytest.param(words, after_s, marks=pytest.mark.slow)
            for words in (TRAIN, TUNE)
            for after_s in (0.2, 0.5, 1.0, 4.0, 7.0, 10.0, 15.0)
        ),
    ],
)
def test_an_interrupt_is_one_line(workspace: Path, words: tuple[str, ...], after_s: float) -> None:
    status, error = interrupt(words, after_s)
    assert status in INTERRUPTED
    assert error.splitlines()[-1] == "zoo: interrupted"
    assert "Traceback" not in error
