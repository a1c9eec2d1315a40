"""Rules for each kind of target: scores, output width, decoding, predictions and figures."""

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

    ``loss_words`` are parts of the names of Keras losses for such targets.
    """

    loss_words: Sequence[str] = ()

    @abstractmethod
    def metrics(self, spec: Spec) -> Sequence[Metric]:
        """Return the scores; the first is the objective of a search."""

    @abstractmethod
    def output_width(self, spec: Spec) -> int:
        """Return the required width of a network's output."""

    @abstractmethod
    def decode(self, spec: Spec, output: np.ndarray) -> np.ndarray:
        """Return a network's or estimator's output in the form for scoring: probabilities (N, K), or numbers (N,)."""

    @abstractmethod
    def truth(self, spec: Spec, target: np.ndarray) -> np.ndarray:
        """Return an encoded target (N,) in the form for scoring."""

    def named_truth(self, spec: Spec, target: np.ndarray) -> np.ndarray:
        """Return an encoded target (N,) as in the source."""
        return self.truth(spec, target)

    def predictions(self, spec: Spec, output: np.ndarray) -> pd.DataFrame:
        """Return the predictions that users see: ``prediction`` of N rows and any further columns."""
        return pd.DataFrame(decoded({"output": output}, self.decoding(spec)))

    @abstractmethod
    def decoding(self, spec: Spec) -> dict[str, Any]:
        """Return, in plain values, how predictions are decoded from an output."""

    @abstractmethod
    def nonconformity(self, spec: Spec, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Return the nonconformity scores (N,) of decoded predictions, for conformal prediction."""

    @abstractmethod
    def intervals(self, spec: Spec, output: np.ndarray, limit: float, percent: float) -> pd.DataFrame:
        """Return prediction sets or intervals of an output, N rows, for a conformal quantile."""

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
        """Return figures of the errors by the most important inputs."""
        return {}


class ClassRules(TargetRules):
    """Classes, encoded as their index."""

    loss_words = ("crossentropy", "hinge", "kullback", "kl_div")

    def metrics(self, spec: Spec) -> Sequence[Metric]:
        """Return the scores of class probabilities; log_loss comes first."""
        return class_metrics(len(spec.target.classes), spec.target.positive_index, spec.target.threshold)

    def output_width(self, spec: Spec) -> int:
        """Return 1 for two classes, else the number of classes."""
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
        return decode_classes(np.asarray(target), spec.target)

    def decoding(self, spec: Spec) -> dict[str, Any]:
        """Return the names of the classes and the rule that chooses the predicted class."""
        target = spec.target
        return {
            "kind": "classes",
            "of": "output",
            "classes": decode_classes(np.arange(len(target.classes)), target).tolist(),
            "names": list(target.classes),
            "threshold": target.threshold if len(target.classes) == 2 else None,
            "positive": target.positive_index,
        }

    def called(self, spec: Spec, probabilities: np.ndarray) -> np.ndarray:
        """Return the index of the predicted class (N,): the most probable one, or by the threshold."""
        return called_classes(probabilities, spec.target.threshold, spec.target.positive_index)

    def nonconformity(self, spec: Spec, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Return 1 minus the probability of the true class."""
        return class_scores_of(truth, prediction)

    def intervals(self, spec: Spec, output: np.ndarray, limit: float, percent: float) -> pd.DataFrame:
        """Return ``set_<percent>``: the classes of each prediction set as a JSON list, in class order."""
        names = decode_classes(np.arange(len(spec.target.classes)), spec.target)
        inside = class_sets(self.decode(spec, output), limit)
        sets = [json.dumps(names[row].tolist(), ensure_ascii=False) for row in inside]
        return pd.DataFrame({f"set_{percent:g}": sets})

    def interval_metrics(
        self, spec: Spec, truth: np.ndarray, prediction: np.ndarray, limit: float, percent: float, weight: np.ndarray
    ) -> dict[str, float]:
        """Return the coverage, overall and by class, and the size of prediction sets."""
        return set_metrics(truth, class_sets(prediction, limit), spec.target.classes, percent, weight)

    def draw(self, spec: Spec, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return confusion matrix, reliability, ROC and precision-recall; for two classes also cost by threshold."""
        from zoo.figures.classes import confusion_matrix, reliability
        from zoo.figures.thresholds import roc_and_precision_recall, threshold_cost

        target = spec.target
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
    """A number, standardized by the mean and standard deviation of the training split."""

    loss_words = ("squared", "absolute", "huber", "cosh", "mse", "mae", "mape")

    def metrics(self, spec: Spec) -> Sequence[Metric]:
        """Return rmse, mae and r2, in the target's units."""
        return number_metrics()

    def output_width(self, spec: Spec) -> int:
        """Return 1."""
        return 1

    def decode(self, spec: Spec, output: np.ndarray) -> np.ndarray:
        """Return numbers (N,) in the target's units; networks predict standardized ones."""
        return np.asarray(output, np.float64).reshape(len(output)) * spec.target.std + spec.target.mean

    def truth(self, spec: Spec, target: np.ndarray) -> np.ndarray:
        """Return true numbers (N,) in the target's units."""
        return self.decode(spec, target)

    def decoding(self, spec: Spec) -> dict[str, Any]:
        """Return the mean and standard deviation that undo the standardization."""
        return {"kind": "number", "of": "output", "mean": spec.target.mean, "std": spec.target.std}

    def bounds(self, spec: Spec, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and upper bound (N,) of a decoded prediction: the number itself, twice."""
        return prediction, prediction

    def nonconformity(self, spec: Spec, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Return the distance of the truth from the interval between the prediction's bounds."""
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
        """Return figures of predicted against true values, and of residuals."""
        from zoo.figures.numbers import predicted_against_true, residuals

        return {
            "predicted_against_true": predicted_against_true(truth, prediction, name=spec.target.name),
            "residuals": residuals(truth, prediction, name=spec.target.name),
        }

    def draw_inputs(
        self, spec: Spec, truth: np.ndarray, prediction: np.ndarray, inputs: Mapping[str, np.ndarray]
    ) -> Mapping[str, Any]:
        """Return figures of the residuals by the most important inputs, if a single number is predicted."""
        from zoo.figures.numbers import residuals_by_input

        if prediction.shape != truth.shape:  # a user's own task may predict several numbers
            return {}
        return {"residuals_by_input": residuals_by_input(truth - prediction, inputs, name=spec.target.name)}


class QuantileRules(NumberRules):
    """Several quantiles of a number, predicted with the pinball loss (Koenker and Bassett 1978)."""

    def metrics(self, spec: Spec) -> Sequence[Metric]:
        """Return pinball (first), interval score and coverage of the outermost quantiles, and the median's scores."""
        return quantile_metrics(spec.target.quantiles)

    def output_width(self, spec: Spec) -> int:
        """Return the number of quantiles."""
        return len(spec.target.quantiles)

    def decode(self, spec: Spec, output: np.ndarray) -> np.ndarray:
        """Return quantiles (N, Q) in the target's units, sorted so that they do not cross."""
        return np.sort(np.asarray(output, np.float64), axis=1) * spec.target.std + spec.target.mean

    def truth(self, spec: Spec, target: np.ndarray) -> np.ndarray:
        """Return true numbers (N,) in the target's units."""
        return NumberRules.decode(self, spec, target)

    def decoding(self, spec: Spec) -> dict[str, Any]:
        """Return the levels of the quantiles, and the mean and standard deviation that undo the standardization."""
        levels = spec.target.quantiles
        rule = {"kind": "quantiles", "levels": list(levels), "middle": middle_quantile(levels)}
        return {**super().decoding(spec), **rule}

    def bounds(self, spec: Spec, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the outermost quantiles, which conformal prediction widens or narrows."""
        return prediction[:, 0], prediction[:, -1]

    def draw(self, spec: Spec, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return the figures of the median."""
        return super().draw(spec, truth, prediction[:, middle_quantile(spec.target.quantiles)])

    def draw_inputs(
        self, spec: Spec, truth: np.ndarray, prediction: np.ndarray, inputs: Mapping[str, np.ndarray]
    ) -> Mapping[str, Any]:
        """Return figures of the median's residuals by the most important inputs."""
        return super().draw_inputs(spec, truth, prediction[:, middle_quantile(spec.target.quantiles)], inputs)


def rules_of(spec: Spec) -> TargetRules:
    """Return the rules for a spec's target."""
    return QUANTILES if spec.target.quantiles else RULES[spec.target.kind]


QUANTILES = QuantileRules()
RULES: dict[str, TargetRules] = {"class": ClassRules(), "number": NumberRules()}
