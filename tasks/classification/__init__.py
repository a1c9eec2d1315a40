"""Classification: predict which of two or more classes a table row belongs to."""

from zoo.supervised.supervised_task import SupervisedTask

from ._baselines import baselines

TASK = SupervisedTask("classification", example="iris", target_kind="class", estimators=baselines)
