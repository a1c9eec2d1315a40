"""What a job says of a comparison: which models, on which sources, over how many seeds or folds."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator, model_validator

from zoo.errors import UsageError
from zoo.train_job import TrainJob

DEFAULT_SEEDS = 5


class CompareJob(TrainJob):
    """Models beside each other and beside baselines, on the same parts of the same data.

    Args:
        models: Names of the catalogue, patterns such as ``classification/*``, or in Python models of one's own.
        runs: Runs that were made before, in place of ``models``: trainings, searches (their best), or repeats.
        others: Further sources, on which the same models are compared.
        seeds: Train each so many times; each time with another split, where the split is drawn. Default 5.
        cv: Compare over folds instead of seeds.
        refit: Train the models of ``runs`` again, as they were set, on the data of the first of them.
        output: File that the comparison is written to as a page, .html.
    """

    command: Literal["compare"] = "compare"  # type: ignore[assignment]
    model: None = None
    source: Any = None
    models: tuple[Any, ...] = ()
    runs: tuple[str, ...] = ()
    others: tuple[Any, ...] = ()
    refit: bool = False
    output: str | None = None

    @field_validator("models", "runs", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _models_or_runs(self) -> CompareJob:
        if bool(self.models) == bool(self.runs):
            raise UsageError(
                "give either models to train (zoo list names them) or runs that were made; several with commas between",
                where="models",
            )
        if self.models and self.source is None:
            raise UsageError("the source is missing: the data that the models are compared on", where="source")
        if self.runs and (self.source is not None or self.others):
            raise UsageError("runs have their own data; leave the source out", where="source")
        if self.refit and not self.runs:
            raise UsageError("refit trains runs again, and none are given", where="refit")
        if self.baselines == "none":
            raise UsageError("baselines always stand in a comparison: quick or all", where="baselines")
        for name in ("seeds", "cv", "epochs", "hyperparameters"):
            if self.runs and not self.refit and getattr(self, name):
                raise UsageError("runs are compared as they are; refit trains them again", where=name)
        return self
