"""Forecasts of several series: all steps of the horizon at once, with columns that are known ahead."""

import numpy as np
import pandas as pd
from pydantic import Field

from zoo.data.columns.describe_table import describe_table
from zoo.data.examples.array_columns import convert_to_cells
from zoo.data.examples.describe_examples import describe_sequence
from zoo.data.layout import Layout
from zoo.data.sources.read import Table, read_table
from zoo.data.table_dataset import create_table_dataset
from zoo.jobs.fit_options import TaskOptions
from zoo.metrics.metric import Metric, evaluate
from zoo.metrics.weighting import weighted_mean
from zoo.spec import Spec
from zoo.supervised.supervised_task import SupervisedTask
from zoo.supervised.targets import SeveralNumbersRules
from zoo.task import Baseline


class Options(TaskOptions):
    """Options of forecasting."""

    series: str = Field("series", description="column that says which series a row belongs to")
    time: str = Field("time", description="column that orders the rows of a series")
    known: str = Field("known", description="column that is known ahead")
    static: str = Field("static", description="column that is constant in a series")
    horizon: int = Field(4, ge=1, description="steps that are forecast")


class PredictOptions(TaskOptions):
    """Options of prediction."""

    steps: int | None = Field(None, ge=1, description="number of steps; default the whole horizon")


def mase(truth, prediction, weights):
    """Return the mean absolute error relative to the naive error in training: truth (N, H, 2) with the scale last."""
    return weighted_mean((np.abs(truth[..., 0] - prediction) / truth[..., 1]).mean(axis=1), weights)


class ForecastRules(SeveralNumbersRules):
    """A target of shape (H,), scored relative to the training series."""

    def metrics(self):
        return (Metric("mase", "min", mase),)

    def truth_of(self, rows):
        truth = self.truth(rows.encoded_target)
        return np.stack([truth, np.broadcast_to(np.asarray(rows.inputs["scale"])[:, None], truth.shape)], axis=-1)

    def draw(self, truth, prediction):
        return {}


def windows(table, options, target, every):
    """Return a row for each series and origin: history and future as cells, static columns, target and split."""
    rows = []
    for name, frame in table.frame.groupby(options["series"], sort=False):
        frame = frame.sort_values(options["time"])
        sales, horizon = frame[target].to_numpy(float), options["horizon"]
        known, size = frame[options["known"]].to_numpy(float), float(frame[options["static"]].iloc[0])
        end = int(np.isfinite(sales).sum())
        origins = range(8, end - horizon + 1) if every else [end]
        scale = float(np.abs(np.diff(sales[: end - 2 * horizon if every else end])).mean())
        for origin in origins:
            after = end - horizon - origin
            rows.append(
                {
                    "series": name,
                    "history": np.stack([sales[:origin], known[:origin]], axis=1)[-12:],
                    "future": known[origin : origin + horizon, None],
                    "size": size,
                    "scale": scale,
                    target: sales[origin : origin + horizon],
                    "split": "test" if after == 0 else "validation" if after < horizon else "train",
                }
            )
    frame = pd.DataFrame({name: [row[name] for row in rows] for name in ("series", "size", "scale", "split")})
    cells = {
        name: convert_to_cells([row[name] for row in rows])
        for name in ("history", "future", *([target] if every else []))
    }
    return Table(frame.assign(**cells), table.name, table.source, target)


def describe(frame, targets, task):
    """Return the spec: two sequences, each with its own length, and two numbers."""
    columns, notes = describe_table(frame[["size", "scale"]], targets, task)
    sequences = [describe_sequence(name, frame[name], where="the windows", key=name) for name in ("history", "future")]
    return Spec(task, (*sequences, *columns.inputs), targets, len(frame)), notes


class Forecasting(SupervisedTask):
    """Forecasts."""

    options = Options
    predict_options = PredictOptions

    def read(self, job):
        options = self.settings(job).model_dump()
        layout = Layout(lambda source, text: windows(read_table(source), options, job.target[0], True), describe)
        job = job.model_copy(update={"split": "column=split"})
        return create_table_dataset(job, task=self.name, target_kind="number", layout=layout, options=options)

    def rules(self, spec):
        return ForecastRules(spec)

    def rows(self, source, spec):
        return windows(read_table(source), spec.options, spec.target.name, False)

    def predict(self, model, spec, frame, inputs, options):
        output = self.output(model, inputs)
        values = self.rules(spec).decode(output)[:, : options.steps]
        names = np.repeat(frame["series"].to_numpy(), values.shape[1])
        steps = np.tile(np.arange(1, values.shape[1] + 1), len(frame))
        return output, pd.DataFrame({"series": names, "step": steps, "prediction": values.ravel()})

    def baselines(self, level, spec):
        return [] if level == "none" else [Baseline("naive", self.naive, is_dummy=True)]

    def naive(self, dataset, seed):
        """Repeat the last value."""
        rules, scores = self.rules(dataset.spec), {}
        for name, rows in dataset.splits.items():
            last = np.array([rows.inputs["history"].example(row)[-1, 0] for row in range(len(rows))])
            prediction = np.repeat(last[:, None], dataset.spec.options["horizon"], axis=1)
            scores[name], _ = evaluate(rules.metrics(), rules.truth_of(rows), prediction, resamples=0)
        return scores

    def example_rows(self, dataset, split="train", rows=3):
        rows_, options = dataset.splits[split], dataset.spec.options
        history, future = (rows_.inputs[name].example(0) for name in ("history", "future"))
        sales = np.concatenate([history[:, 0], np.full(len(future), np.nan)])
        return pd.DataFrame(
            {
                options["series"]: "example",
                options["time"]: np.arange(len(sales)),
                dataset.spec.target.name: sales,
                options["known"]: np.concatenate([history[:, 1], future[:, 0]]),
                options["static"]: rows_.inputs["size"][0],
            }
        )


TASK = Forecasting("forecast", example="sales.csv", target_kind="number", estimators=lambda level, spec: [])
