"""Classification: predict which of two or more classes a table row belongs to."""

from zoo.supervised.supervised_task import SupervisedTask

from ._baselines import choose_baselines

TASK = SupervisedTask("classification", example="iris", target_kind="class", estimators=choose_baselines)
