"""Options of tasks that predict a number: its quantiles."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from zoo.errors import UsageError
from zoo.jobs.fit_options import TaskOptions


class QuantileOptions(TaskOptions):
    """Options of a task that predicts a number, or several of its quantiles."""

    quantiles: tuple[float, ...] | None = Field(
        None, description="levels of quantiles to predict instead of one value, such as 0.05,0.5,0.95"
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
