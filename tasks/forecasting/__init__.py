"""Forecasting: predict the next values of one or many series in time, all steps of a horizon at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd
from pydantic import Field, field_validator

from zoo.data.dataset import Dataset, Split
from zoo.data.layout import COLUMNS, Layout
from zoo.data.reading_options import apply_reading_options
from zoo.data.sources.read import read_table
from zoo.errors import UsageError
from zoo.jobs.data_options import DataJob
from zoo.jobs.fit_options import TaskOptions
from zoo.models.built_model import BuiltModel
from zoo.spec import Spec
from zoo.supervised.quantile_options import QuantileOptions
from zoo.supervised.supervised_task import SupervisedTask
from zoo.task import Baseline, Calibration

from ._baselines import choose_baselines
from ._columns import choose_columns, refuse_options
from ._forecast_dataset import create_forecast_dataset
from ._forecast_rows import create_example, describe_source, name_steps, read_windows
from ._forecast_rules import ForecastRules, create_rules
from ._preprocessing import WindowPreprocessing


class Options(QuantileOptions):
    """Options of forecasting."""

    series: str | None = Field(None, description="column with the name of the series that a row belongs to")
    time: str | None = Field(None, description="column of times; default the only one of dates")
    horizon: int | None = Field(None, ge=1, description="steps that are forecast; default a season")
    known: tuple[str, ...] = Field((), description="column that is known ahead; may be repeated")
    past: tuple[str, ...] = Field((), description="column that is known up to the present; may be repeated")
    static: tuple[str, ...] = Field((), description="column that is constant in a series; may be repeated")
    period: int | None = Field(None, ge=1, description="steps in a season, 1 for none; default by time and data")
    lookback: int | None = Field(None, ge=2, description="steps of history that a forecast sees; default 5 horizons")

    @field_validator("known", "past", "static", mode="before")
    @classmethod
    def _as_names(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


class PredictOptions(TaskOptions):
    """Options of prediction."""

    horizon: int | None = Field(None, ge=1, description="steps that are forecast; default all that the model has")


class Forecasting(SupervisedTask):
    """Forecasts of series."""

    options = Options
    predict_options = PredictOptions
    reads = ("series",)
    describe_source = staticmethod(describe_source)

    def read(self, job: DataJob) -> Dataset:
        """Return the job's dataset: windows of the series, split in time."""
        options = self.settings(job)
        refuse_options(job)
        with apply_reading_options(job):
            table = read_table(job.source)
        return create_forecast_dataset(table, choose_columns(table, job, options), job, options, self.name)

    def layout_of(self, spec: Spec) -> Layout:
        """Return the layout that turns a long table into a row of windows for each series."""
        return Layout(lambda source, text: read_windows(read_table(source), spec), COLUMNS.describe)

    def standard(self, spec: Spec) -> WindowPreprocessing:
        """Return the preprocessing of windows."""
        return WindowPreprocessing(spec)

    def rules(self, spec: Spec) -> ForecastRules:
        """Return metrics, predictions and intervals of forecasts, or of their quantiles."""
        return create_rules(spec)

    def suits(self, model: Any) -> bool:
        """Return False: windows have several inputs, so that no loss tells."""
        return False

    def calibrate(self, built_model: BuiltModel, dataset: Dataset, job: DataJob) -> Calibration:
        """Return the conformal quantiles of each step, of errors in scales of the window."""
        split = dataset.splits.get("calibration")
        if split is None:
            return Calibration(dataset.spec)
        output = self.output(built_model.full_model(), split.inputs)
        quantiles, notes = self.rules(dataset.spec).compute_quantiles(split, output)
        return Calibration(dataset.spec, quantiles, notes=notes)

    def predict(
        self, model: Any, spec: Spec, frame: pd.DataFrame, inputs: Mapping[str, Any], options: Any
    ) -> tuple[Any, pd.DataFrame]:
        """Return the raw output and one row for each series and step, with the source's columns of both."""
        steps = options.horizon or spec.options["horizon"]
        if steps > spec.options["horizon"]:
            raise UsageError(f"the model forecasts up to {spec.options['horizon']} steps", where="horizon")
        output = self.output(model, inputs)
        rules = self.rules(spec)
        output = rules.shorten(output, steps)
        return output, pd.DataFrame({**name_steps(frame, spec, steps), **rules.name_forecasts(rules.decode(output))})

    def example_rows(self, dataset: Dataset, split: str = "train", rows: int = 3) -> pd.DataFrame:
        """Return a long table of one series."""
        return create_example(dataset.splits.get(split) or next(iter(dataset.splits.values())), dataset.spec)

    def baselines(self, level: Literal["quick", "all", "none"], spec: Spec) -> Sequence[Baseline]:
        """Return the classical forecasts of a level."""
        return choose_baselines(level)

    def draw(self, model: Any, split: Split, spec: Spec, truth: Any, prediction: Any) -> Mapping[str, Any]:
        """Return history and forecast of the best, the median and the worst window."""
        return self.rules(spec).draw_windows(truth, prediction, split)


TASK = Forecasting("forecasting", example="air_passengers", target_kind="number", estimators=lambda level, spec: [])
