"""Regression: a number is predicted from the columns of a table."""

from zoo.training.supervised import SupervisedTask

from ._rivals import rivals

TASK = SupervisedTask("regression", example="diabetes", target_kind="number", estimators=rivals)
