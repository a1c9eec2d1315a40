"""Classification: rows of a table belong to one of two or more classes."""

from zoo.supervised.supervised_task import SupervisedTask

from ._baselines import baselines

TASK = SupervisedTask("classification", example="iris", target_kind="class", estimators=baselines)
