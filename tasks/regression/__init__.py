"""Regression: predict a number, or several of its quantiles, from the columns of a table."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from zoo.errors import UsageError
from zoo.jobs.fit_options import TaskOptions
from zoo.supervised.supervised_task import SupervisedTask

from ._baselines import choose_baselines


class Options(TaskOptions):
    """Options of regression."""

    quantiles: tuple[float, ...] | None = Field(
        None, description="levels of quantiles to predict instead of the mean, such as 0.05,0.5,0.95"
    )

    @field_validator("quantiles", mode="before")
    @classmethod
    def _levels(cls, value: Any) -> Any:
        levels = value.split(",") if isinstance(value, str) else [value] if isinstance(value, float) else value
        try:
            numbers = [float(level) for level in levels]
        except (TypeError, ValueError):
            numbers = []
        if not numbers or numbers != sorted(set(numbers)) or not 0 < numbers[0] <= numbers[-1] < 1:
            raise UsageError(
                f"received {value!r}; levels rise between 0 and 1, such as 0.05,0.5,0.95", where="quantiles"
            )
        return numbers


class Regression(SupervisedTask):
    """Regression on table rows."""

    options = Options


TASK = Regression("regression", example="diabetes", target_kind="number", estimators=choose_baselines)
