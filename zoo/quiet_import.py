"""Importing TensorFlow without the lines that its libraries write as they load."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def import_tensorflow() -> None:
    """Import TensorFlow, which writes to standard error as it loads, whatever its log level says.

    Python's own errors are raised as ever.
    """
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # each fold's model is traced anew, and that is right
    with libraries_silenced():
        import tensorflow  # noqa: F401


@contextmanager
def libraries_silenced() -> Iterator[None]:
    """Let nothing through to standard error, not even what libraries in C++ write there; errors are raised as ever."""
    sys.stderr.flush()
    standard_error, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)
        os.close(nothing)
