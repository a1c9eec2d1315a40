"""The command line ``zoo``: commands made from the table in ``zoo.jobs.commands``."""

from zoo.cli import job_files, list_models  # noqa: F401  importing them registers the two that are written by hand
from zoo.cli.app import main

__all__ = ["main"]
