"""Import TensorFlow without the messages that its libraries print."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def import_tensorflow() -> None:
    """Import TensorFlow silently; while loading it writes to standard error at any log level.

    Python exceptions are still raised.
    """
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # retracing warnings are expected with several models
    with silence_libraries():
        import tensorflow  # noqa: F401


@contextmanager
def silence_libraries() -> Iterator[None]:
    """Discard standard error, including output of C++ libraries; exceptions are still raised."""
    sys.stderr.flush()
    standard_error, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)
        os.close(nothing)
