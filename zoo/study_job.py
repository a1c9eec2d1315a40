"""What a job says of a study: which run, and what of it is looked at."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator

from zoo.data_job import Job, names_among

STUDIES = ("architecture", "importance", "rates", "sizes", "landscape", "layers")


class StudyJob(Job):
    """A closer look at a run's network; see :func:`zoo.running.study.study`.

    Args:
        run: MLflow's id, or its first characters, or ``NAME@ALIAS``.
        kinds: What is looked at; default all.
    """

    command: Literal["study"] = "study"
    run: str
    kinds: tuple[str, ...] = STUDIES

    @field_validator("kinds", mode="before")
    @classmethod
    def _known_kinds(cls, value: Any) -> Any:
        return names_among(value, "study", STUDIES, where="kinds")
