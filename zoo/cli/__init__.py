"""The command line ``zoo``: a thin layer over the Python functions."""

from zoo.cli import learn, use  # noqa: F401  importing them registers the commands
from zoo.cli.app import main

__all__ = ["main"]
