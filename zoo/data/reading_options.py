"""Options of a job that hold while its sources are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from zoo.data.sources.image_files import drop_broken_images
from zoo.data.sources.public_sets import set_dataset_folder
from zoo.jobs.data_options import DataJob


@contextmanager
def apply_reading_options(job: DataJob) -> Iterator[None]:
    """Apply the folder of public datasets, and what happens to broken images, inside a ``with`` block."""
    with set_dataset_folder(job.data_dir), drop_broken_images(job.skip_broken):
        yield
