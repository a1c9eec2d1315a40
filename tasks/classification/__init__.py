"""Classification: rows of a table belong to one of two or more classes."""

from zoo.supervised.supervised_task import SupervisedTask

from ._rivals import rivals

TASK = SupervisedTask("classification", example="iris", target_kind="class", estimators=rivals)
