"""Options of a comparison."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator, model_validator

from zoo.errors import UsageError
from zoo.jobs.fit_options import MOST_REPEATS, Baselines, TrainJob
from zoo.jobs.option import declare_option

DEFAULT_SEEDS = 5


class CompareJob(TrainJob):
    """Models compared with each other and with baselines, on the same splits of the same data."""

    command: Literal["compare"] = "compare"  # type: ignore[assignment]
    model: None = None
    resume: None = None
    source: Any = declare_option(None, "A file, or a bundled name.", positional=True)
    others: tuple[Any, ...] = declare_option(
        (), "Further sources, on which the same models are compared.", positional=True
    )
    models: tuple[Any, ...] = declare_option(
        (), "Names that zoo list shows, or patterns such as 'TASK/*'.", theme="Comparison", metavar="MODEL,…"
    )
    runs: tuple[str, ...] = declare_option(
        (), "Existing runs, in place of models.", theme="Comparison", metavar="RUN,…"
    )
    refit: bool = declare_option(False, "Train the runs again, on the data of the first.", theme="Comparison")
    seeds: int | None = declare_option(
        None,
        f"Number of seeds to train each with; default {DEFAULT_SEEDS}.",
        theme="Evaluation",
        ge=2,
        le=MOST_REPEATS,
    )
    baselines: Baselines = declare_option(
        "quick", "Classical models on the same splits.", theme="Evaluation", metavar="quick|all"
    )
    output: str | None = declare_option(None, "Write the comparison as a page, .html.", theme="Output", metavar="FILE")

    @field_validator("models", "runs", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, (list, tuple)):
            return value
        parts = [item.split(",") if isinstance(item, str) else [item] for item in texts]
        items = [item.strip() if isinstance(item, str) else item for part in parts for item in part]
        return tuple(item for item in items if item != "")

    @model_validator(mode="after")
    def _models_or_runs(self) -> CompareJob:
        if bool(self.models) == bool(self.runs):
            raise UsageError(
                "give either models to train (see zoo list) or existing runs, separated by commas",
                where="models",
            )
        if self.models and self.source is None:
            raise UsageError("the source is missing: give the data to compare the models on", where="source")
        if self.runs and (self.source is not None or self.others):
            raise UsageError("runs have their own data; leave the source out", where="source")
        if self.refit and not self.runs:
            raise UsageError("refit needs runs to train again", where="refit")
        if self.baselines == "none":
            raise UsageError("a comparison always includes baselines: quick or all", where="baselines")
        for name in ("seeds", "cv", "epochs", "hyperparameters"):
            if self.runs and not self.refit and getattr(self, name):
                raise UsageError("runs are compared as they are; train them again with refit", where=name)
        return self
