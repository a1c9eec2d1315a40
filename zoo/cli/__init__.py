"""The command ``zoo``: thin over the functions that Python calls."""

from zoo.cli.app import main

__all__ = ["main"]
