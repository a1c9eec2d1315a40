"""The command ``zoo``: thin over the functions that Python calls."""

from zoo.cli import learn, use  # noqa: F401  the commands join the application as they are imported
from zoo.cli.app import main

__all__ = ["main"]
