"""Options of clustering."""

from __future__ import annotations

from pydantic import Field

from zoo.jobs.fit_options import TaskOptions


class Options(TaskOptions):
    """Options of clustering."""

    clusters: int = Field(8, ge=2, description="number of clusters")
    labels: str | None = Field(None, description="column of known groups, for scoring only: nothing learns from it")
    size: int | None = Field(None, ge=4, description="height and width that images are brought to; default their own")
