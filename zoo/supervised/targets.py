"""What depends on the kind of target: scores, the width of an output, what it decodes to, predictions, figures."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from zoo.calibration.conformal import (
    class_scores_of,
    class_sets,
    interval_metrics,
    number_bounds,
    number_scores_of,
    set_metrics,
)
from zoo.data.columns.encode import decode_classes
from zoo.metrics.classes import called_classes, class_metrics
from zoo.metrics.metric import Metric
from zoo.metrics.numbers import middle_quantile, number_metrics, quantile_metrics
from zoo.portable.predict import decoded
from zoo.spec import Spec


class TargetRules(ABC):
    """The rules for one kind of target.

    ``loss_words`` are parts of the names of Keras losses that are for such targets.
    """

    loss_words: Sequence[str] = ()

    @abstractmethod
    def metrics(self, spec: Spec) -> Sequence[Metric]:
        """Return the scores; the first is the objective of a search."""

    @abstractmethod
    def output_width(self, spec: Spec) -> int:
        """Return the width that a network's output must have."""

    @abstractmethod
    def decode(self, spec: Spec, output: np.ndarray) -> np.ndarray:
        """Return a network's or estimator's output as scores take it: probabilities (N, K), or numbers (N,)."""

    @abstractmethod
    def truth(self, spec: Spec, target: np.ndarray) -> np.ndarray:
        """Return an encoded target (N,) as scores take it."""

    def named_truth(self, spec: Spec, target: np.ndarray) -> np.ndarray:
        """Return an encoded target (N,) as the source has it."""
        return self.truth(spec, target)

    def predictions(self, spec: Spec, output: np.ndarray) -> pd.DataFrame:
        """Return what users see of an output: ``prediction`` of N rows and what else applies."""
        return pd.DataFrame(decoded({"output": output}, self.decoding(spec)))

    @abstractmethod
    def decoding(self, spec: Spec) -> dict[str, Any]:
        """Return, in plain values, how predictions come out of an output."""

    @abstractmethod
    def nonconformity(self, spec: Spec, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Return how wrong decoded predictions are (N,): the scores of conformal prediction."""

    @abstractmethod
    def intervals(self, spec: Spec, output: np.ndarray, limit: float, percent: float) -> pd.DataFrame:
        """Return prediction sets or intervals of an output, N rows, given the limit of nonconformity."""

    @abstractmethod
    def interval_metrics(
        self, spec: Spec, truth: np.ndarray, prediction: np.ndarray, limit: float, percent: float, weight: np.ndarray
    ) -> dict[str, float]:
        """Return coverage and size of prediction sets or intervals."""

    @abstractmethod
    def draw(self, spec: Spec, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return figures of one split, by name."""

    def draw_inputs(
        self, spec: Spec, truth: np.ndarray, prediction: np.ndarray, inputs: Mapping[str, np.ndarray]
    ) -> Mapping[str, Any]:
        """Return figures of how errors go with the strongest inputs."""
        return {}


class ClassRules(TargetRules):
    """Classes, encoded as their index."""

    loss_words = ("crossentropy", "hinge", "kullback", "kl_div")

    def metrics(self, spec: Spec) -> Sequence[Metric]:
        """Return the scores of class probabilities; log_loss comes first."""
        assert spec.target is not None
        return class_metrics(len(spec.target.classes), spec.target.positive_index, spec.target.threshold)

    def output_width(self, spec: Spec) -> int:
        """Return 1 for two classes, else the number of classes."""
        assert spec.target is not None
        return len(spec.target.classes) if len(spec.target.classes) > 2 else 1

    def decode(self, spec: Spec, output: np.ndarray) -> np.ndarray:
        """Return probabilities (N, K)."""
        output = np.asarray(output, np.float64)
        if output.shape[-1] == 1:
            return np.concatenate([1 - output, output], axis=-1)
        return output / output.sum(axis=-1, keepdims=True)

    def truth(self, spec: Spec, target: np.ndarray) -> np.ndarray:
        """Return class indices (N,)."""
        return np.asarray(target, np.int64)

    def named_truth(self, spec: Spec, target: np.ndarray) -> np.ndarray:
        """Return classes (N,) by name."""
        assert spec.target is not None
        return decode_classes(np.asarray(target), spec.target)

    def decoding(self, spec: Spec) -> dict[str, Any]:
        """Return the names of the classes, and which of them is called."""
        target = spec.target
        assert target is not None
        return {
            "kind": "classes",
            "of": "output",
            "classes": decode_classes(np.arange(len(target.classes)), target).tolist(),
            "names": list(target.classes),
            "threshold": target.threshold if len(target.classes) == 2 else None,
            "positive": target.positive_index,
        }

    def called(self, spec: Spec, probabilities: np.ndarray) -> np.ndarray:
        """Return the index of the class (N,) that is called: the likeliest, or by the threshold."""
        assert spec.target is not None
        return called_classes(probabilities, spec.target.threshold, spec.target.positive_index)

    def nonconformity(self, spec: Spec, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Return 1 less the probability of the true class."""
        return class_scores_of(truth, prediction)

    def intervals(self, spec: Spec, output: np.ndarray, limit: float, percent: float) -> pd.DataFrame:
        """Return ``set_<percent>``: the classes as a JSON list, in their order."""
        assert spec.target is not None
        names = decode_classes(np.arange(len(spec.target.classes)), spec.target)
        inside = class_sets(self.decode(spec, output), limit)
        sets = [json.dumps(names[row].tolist(), ensure_ascii=False) for row in inside]
        return pd.DataFrame({f"set_{percent:g}": sets})

    def interval_metrics(
        self, spec: Spec, truth: np.ndarray, prediction: np.ndarray, limit: float, percent: float, weight: np.ndarray
    ) -> dict[str, float]:
        """Return coverage, of all rows and by class, and size of prediction sets."""
        assert spec.target is not None
        return set_metrics(truth, class_sets(prediction, limit), spec.target.classes, percent, weight)

    def draw(self, spec: Spec, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return confusion matrix, reliability, ROC with precision and recall; of two classes cost by threshold."""
        from zoo.figures.classes import confusion_matrix, reliability
        from zoo.figures.thresholds import roc_and_precision_recall, threshold_cost

        target = spec.target
        assert target is not None
        figures = {
            "confusion_matrix": confusion_matrix(truth, self.called(spec, prediction), target.classes),
            "reliability": reliability(truth, prediction),
        }
        if np.isfinite(prediction).all():
            figures["roc_and_precision_recall"] = roc_and_precision_recall(truth, prediction, target.classes)
            if len(target.classes) == 2:
                place = target.positive_index
                figures["threshold_cost"] = threshold_cost(
                    truth == place, prediction[:, place], positive=target.classes[place], threshold=target.threshold
                )
        return figures


class NumberRules(TargetRules):
    """A number, encoded by mean and standard deviation of the training split."""

    loss_words = ("squared", "absolute", "huber", "cosh", "mse", "mae", "mape")

    def metrics(self, spec: Spec) -> Sequence[Metric]:
        """Return rmse, mae and r2, in the target's own units."""
        return number_metrics()

    def output_width(self, spec: Spec) -> int:
        """Return 1."""
        return 1

    def decode(self, spec: Spec, output: np.ndarray) -> np.ndarray:
        """Return numbers (N,) in the target's units: networks learn standardised ones."""
        assert spec.target is not None
        return np.asarray(output, np.float64).reshape(len(output)) * spec.target.std + spec.target.mean

    def truth(self, spec: Spec, target: np.ndarray) -> np.ndarray:
        """Return true numbers (N,) in the target's units."""
        return self.decode(spec, target)

    def decoding(self, spec: Spec) -> dict[str, Any]:
        """Return the mean and deviation that were taken off."""
        assert spec.target is not None
        return {"kind": "number", "of": "output", "mean": spec.target.mean, "std": spec.target.std}

    def bounds(self, spec: Spec, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and upper bound (N,) that a decoded prediction itself has: the number, twice."""
        return prediction, prediction

    def nonconformity(self, spec: Spec, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Return how far the truth lies outside of the prediction's own bounds."""
        return number_scores_of(truth, *self.bounds(spec, prediction))

    def intervals(self, spec: Spec, output: np.ndarray, limit: float, percent: float) -> pd.DataFrame:
        """Return ``lower_<percent>`` and ``upper_<percent>``, in the target's units."""
        low, high = number_bounds(*self.bounds(spec, self.decode(spec, output)), limit)
        return pd.DataFrame({f"lower_{percent:g}": low, f"upper_{percent:g}": high})

    def interval_metrics(
        self, spec: Spec, truth: np.ndarray, prediction: np.ndarray, limit: float, percent: float, weight: np.ndarray
    ) -> dict[str, float]:
        """Return coverage, width and interval score."""
        low, high = number_bounds(*self.bounds(spec, prediction), limit)
        return interval_metrics(truth, low, high, percent, weight)

    def draw(self, spec: Spec, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return predicted against true values, and residuals."""
        from zoo.figures.numbers import predicted_against_true, residuals

        assert spec.target is not None
        return {
            "predicted_against_true": predicted_against_true(truth, prediction, name=spec.target.name),
            "residuals": residuals(truth, prediction, name=spec.target.name),
        }

    def draw_inputs(
        self, spec: Spec, truth: np.ndarray, prediction: np.ndarray, inputs: Mapping[str, np.ndarray]
    ) -> Mapping[str, Any]:
        """Return the residuals over the strongest inputs, where one number is predicted."""
        from zoo.figures.numbers import residuals_by_input

        assert spec.target is not None
        if prediction.shape != truth.shape:  # a task of one's own predicts several
            return {}
        return {"residuals_by_input": residuals_by_input(truth - prediction, inputs, name=spec.target.name)}


class QuantileRules(NumberRules):
    """A number of which several quantiles are predicted, by the pinball loss (Koenker and Bassett 1978)."""

    def metrics(self, spec: Spec) -> Sequence[Metric]:
        """Return pinball, which comes first, score and coverage of the outermost quantiles, and those of the median."""
        assert spec.target is not None
        return quantile_metrics(spec.target.quantiles)

    def output_width(self, spec: Spec) -> int:
        """Return the number of quantiles."""
        assert spec.target is not None
        return len(spec.target.quantiles)

    def decode(self, spec: Spec, output: np.ndarray) -> np.ndarray:
        """Return quantiles (N, Q) in the target's units, a low one never above a high one."""
        assert spec.target is not None
        return np.sort(np.asarray(output, np.float64), axis=1) * spec.target.std + spec.target.mean

    def truth(self, spec: Spec, target: np.ndarray) -> np.ndarray:
        """Return true numbers (N,) in the target's units."""
        return NumberRules.decode(self, spec, target)

    def decoding(self, spec: Spec) -> dict[str, Any]:
        """Return the levels, and what was taken off."""
        assert spec.target is not None
        levels = spec.target.quantiles
        rule = {"kind": "quantiles", "levels": list(levels), "middle": middle_quantile(levels)}
        return {**super().decoding(spec), **rule}

    def bounds(self, spec: Spec, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the outermost quantiles, which conformal prediction widens or narrows."""
        return prediction[:, 0], prediction[:, -1]

    def draw(self, spec: Spec, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return the figures of the median."""
        assert spec.target is not None
        return super().draw(spec, truth, prediction[:, middle_quantile(spec.target.quantiles)])

    def draw_inputs(
        self, spec: Spec, truth: np.ndarray, prediction: np.ndarray, inputs: Mapping[str, np.ndarray]
    ) -> Mapping[str, Any]:
        """Return the residuals of the median over the strongest inputs."""
        assert spec.target is not None
        return super().draw_inputs(spec, truth, prediction[:, middle_quantile(spec.target.quantiles)], inputs)


def rules_of(spec: Spec) -> TargetRules:
    """Return the rules for a spec's target."""
    assert spec.target is not None
    return QUANTILES if spec.target.quantiles else RULES[spec.target.kind]


QUANTILES = QuantileRules()
RULES: dict[str, TargetRules] = {"class": ClassRules(), "number": NumberRules()}
