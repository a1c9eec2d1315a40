"""What a job says of an export: which run, to which formats, and where to."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator, model_validator

from zoo.data_job import Job, names_among
from zoo.errors import UsageError

FORMATS = ("savedmodel", "onnx", "litert")


class ExportJob(Job):
    """A run's model in formats that predict without zoo; see :func:`zoo.running.export.export`.

    Args:
        run: MLflow's id, or its first characters, or ``NAME@ALIAS``.
        format: One or several of ``savedmodel``, ``onnx`` and ``litert``; default all that can hold the model.
        output: Folder, in which each format gets one of its own; default named by model and run.
        quantize: For LiteRT: keep weights in 8 bits, and tell what that costs.
        on: Rows on which the exports are compared with the model; default those of the run's own source.
    """

    command: Literal["export"] = "export"
    run: str
    format: tuple[str, ...] = ()
    output: str | None = None
    quantize: bool = False
    on: Any = None

    @field_validator("format", mode="before")
    @classmethod
    def _known_formats(cls, value: Any) -> Any:
        return names_among(value, "format", FORMATS, where="format")

    @model_validator(mode="after")
    def _something_to_quantize(self) -> ExportJob:
        if self.quantize and self.format and "litert" not in self.format:
            raise UsageError("only litert is quantized", where="quantize")
        return self
