"""Rules for several targets at once: several numbers, several labels, or both, in one network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.encode import decode_classes
from zoo.errors import UsageError
from zoo.metrics.metric import Metric
from zoo.metrics.numbers import find_present
from zoo.spec import Spec, Target
from zoo.supervised.several_metrics import MOST_TARGETS, OF_EACH, TargetColumn, create_several_metrics, score_targets
from zoo.supervised.targets import (
    MOST_DRAWN,
    ClassRules,
    NumberRules,
    OrderedRules,
    QuantileRules,
    SeveralNumbersRules,
    TargetRules,
)

SCORES = "scores_by_target"
RULES: dict[str, type[TargetRules]] = {"class": ClassRules, "number": NumberRules}


def create_rules(spec: Spec) -> TargetRules:
    """Return the rules for a spec's targets.

    Raises:
        UsageError: If there are several, and one of them is an array.
    """
    if len(spec.targets) > 1:
        return SeveralTargetsRules(spec)
    target = spec.target
    if target.kind == "number" and (target.shape or target.quantiles):
        return SeveralNumbersRules(spec) if target.shape else QuantileRules(spec)
    return OrderedRules(spec) if target.ordered else RULES[target.kind](spec)


class SeveralTargetsRules(TargetRules):
    """Several targets, each with the rules that it has alone; a row may lack some of them.

    The output has those of the targets one after another. The truth (N, K) has a column of class indices or numbers
    for each target, NaN where a row lacks it; the prediction (N, P) has the probabilities of classes, or a number.
    """

    loss_words = (*ClassRules.loss_words, *NumberRules.loss_words)

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        array = next((target.name for target in spec.targets if target.shape), None)
        if array is not None:
            raise UsageError(f"several targets have one value each; {array} is an array", where="target")
        self.parts = [create_rules(dataclasses.replace(spec, targets=(target,))) for target in spec.targets]
        self.widths = [part.output_width() for part in self.parts]
        sizes = [len(target.classes) or 1 for target in spec.targets]
        edges = np.concatenate([[0], np.cumsum(sizes)]).tolist()
        self.columns = [
            TargetColumn(
                target.name,
                [metric for metric in part.metrics() if metric.name in OF_EACH],
                _compute_scale(target),
                index,
                slice(*places),
                part.called if isinstance(part, ClassRules) else None,
            )
            for index, (target, part, places) in enumerate(zip(spec.targets, self.parts, pairwise(edges), strict=True))
        ]

    def metrics(self) -> Sequence[Metric]:
        """Return the metrics over all targets, then those of each unless there are many."""
        return create_several_metrics(self.columns)

    def tabulate(self, truth: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None) -> dict[str, pd.DataFrame]:
        """Return the scores of each target."""
        return {SCORES: pd.DataFrame(score_targets(self.columns, truth, prediction, weight))}

    def list_notes(self) -> tuple[str, ...]:
        """Return where the scores of each target are, if they are no metrics."""
        count = len(self.columns)
        return (f"the scores of each of the {count} targets are the table {SCORES}",) if count > MOST_TARGETS else ()

    def output_width(self) -> int:
        """Return the number of outputs of all targets."""
        return sum(self.widths)

    def decode(self, output: np.ndarray) -> np.ndarray:
        """Return probabilities and numbers in the targets' units (N, P)."""
        parts = np.split(np.asarray(output, np.float64), np.cumsum(self.widths)[:-1], axis=1)
        decoded = [rules.decode(part) for rules, part in zip(self.parts, parts, strict=True)]
        return np.concatenate([part.reshape(len(part), -1) for part in decoded], axis=1)

    def truth(self, target: np.ndarray) -> np.ndarray:
        """Return class indices and numbers in the targets' units (N, K)."""
        values = np.asarray(target, np.float64)
        scales = [(1.0, 0.0) if each.kind == "class" else (each.std, each.mean) for each in self.spec.targets]
        std, mean = np.array(scales).T
        return np.asarray(values * std + mean)

    def named_truth(self, target: np.ndarray) -> pd.DataFrame:
        """Return ``truth_<name>`` of each target, None for a class that a row lacks."""
        truth = self.truth(target)
        columns: dict[str, Any] = {}
        for index, each in enumerate(self.spec.targets):
            values = truth[:, index]
            if each.kind == "class":
                rows = find_present(values)
                named = np.full(len(values), None, object)
                named[rows] = decode_classes(values[rows].astype(np.int64), each)
                values = named
            columns[f"truth_{each.name}"] = values
        return pd.DataFrame(columns)

    def decoding(self) -> dict[str, Any]:
        """Return the name, the number of outputs and the rule of each target."""
        parts = [
            {"name": target.name, "width": width, "rule": dict(rules.decoding())}
            for target, width, rules in zip(self.spec.targets, self.widths, self.parts, strict=True)
        ]
        return {"kind": "several", "of": "output", "parts": parts}

    def draw(self, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return for each of the first targets its first figure: confusion matrix, or predicted against true values."""
        figures = {}
        for column, part in list(zip(self.columns, self.parts, strict=True))[:MOST_DRAWN]:
            rows = find_present(truth[:, column.truth])
            if not len(rows):
                continue
            values, output = truth[rows, column.truth], prediction[rows, column.prediction]
            if column.is_class:
                values = values.astype(np.int64)
            name, figure = next(iter(part.draw(values, output if column.is_class else output[:, 0]).items()))
            figures[f"{name}_{column.name}"] = figure
        return figures


def _compute_scale(target: Target) -> float:
    """Return the objective of a model that uses the target alone: standard deviation, or entropy of the classes."""
    if target.kind == "number":
        return target.std
    shares = np.array([count for count in target.counts if count], float)
    shares /= shares.sum()
    return float(-(shares * np.log(shares)).sum()) or 1.0
