"""A Python environment with the packages of a rival, which zoo does not need."""

from __future__ import annotations

import os
import subprocess
import venv
from collections.abc import Mapping
from pathlib import Path

from _results import say


def find_interpreter(packages: Mapping[str, str], *, variable: str) -> str:
    """Return a Python that has the packages: the user's own, or that of an environment that is made once.

    Args:
        packages: Versions by name.
        variable: Environment variable with the path of the user's own Python.
    """
    if variable in os.environ:
        return os.environ[variable]
    pins = [f"{name}=={number}" for name, number in packages.items()]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zoo-benchmarks" / "_".join(pins)
    interpreter, complete = folder / "bin" / "python", folder / ".done"
    if not complete.exists():
        say(f"installing {', '.join(pins)} into {folder}")
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([interpreter, "-m", "pip", "install", "--quiet", *pins], check=True)
        complete.touch()
    return str(interpreter)
