"""Regression: predict a number, or several of its quantiles, from the columns of a table."""

from zoo.supervised.quantile_options import QuantileOptions
from zoo.supervised.supervised_task import SupervisedTask

from ._baselines import choose_baselines


class Regression(SupervisedTask):
    """Regression on table rows."""

    options = QuantileOptions


TASK = Regression("regression", example="diabetes", target_kind="number", estimators=choose_baselines)
