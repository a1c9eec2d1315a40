"""Rules for each kind of target: scores, output width, decoding, predictions and figures."""

from __future__ import annotations

import json
import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from zoo.calibration.conformal import (
    ConformalQuantiles,
    look_up_quantile,
    measure_intervals,
    measure_sets,
    predict_sets,
    score_bounds,
    score_classes,
    widen_bounds,
)
from zoo.data.columns.encode import decode_classes
from zoo.data.dataset import Split
from zoo.metrics.classes import create_class_metrics, decide_classes
from zoo.metrics.metric import Metric
from zoo.metrics.numbers import (
    create_mean_metrics,
    create_number_metrics,
    create_quantile_metrics,
    select_median,
)
from zoo.metrics.ranks import create_ordered_metrics
from zoo.portable.predict import choose_median_class
from zoo.spec import Spec
from zoo.task import OutputRules

MOST_DRAWN = 6
COVERAGES = (*range(10, 100, 10), 95, 99)  # percent, on the axis of a figure


class TargetRules(OutputRules):
    """The rules for one kind of target.

    ``loss_words`` are parts of the names of Keras losses for such targets.
    """

    loss_words: Sequence[str] = ()

    @abstractmethod
    def output_width(self) -> int:
        """Return the required width of a network's output."""

    @abstractmethod
    def decode(self, output: np.ndarray) -> np.ndarray:
        """Return a network's or estimator's output in the form for scoring: probabilities (N, K), or numbers (N, …)."""

    @abstractmethod
    def truth(self, target: np.ndarray) -> np.ndarray:
        """Return an encoded target (N, …) in the form for scoring."""

    def truth_of(self, rows: Split) -> np.ndarray:
        """Return the truth of a split in the form for scoring; metrics that need other columns find them here."""
        return self.truth(rows.encoded_target)

    def named_truth(self, target: np.ndarray) -> pd.DataFrame:
        """Return an encoded target as in the source, N rows: ``truth``."""
        return pd.DataFrame({"truth": self.truth(target)})

    def held_out(self, rows: Split, output: Any) -> pd.DataFrame:
        """Return ``row`` in the source, ``truth``, ``weight`` if any, and predictions of a split's rows."""
        weight = {} if rows.weight is None else {"weight": rows.weight}
        columns = [pd.DataFrame({"row": rows.rows}), self.named_truth(rows.encoded_target), pd.DataFrame(weight)]
        return pd.concat([*columns, self.predictions(output)], axis=1)

    @abstractmethod
    def draw(self, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return figures of one split, by name."""

    def tabulate(self, truth: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None) -> dict[str, pd.DataFrame]:
        """Return tables of one split, by name."""
        return {}

    def list_notes(self) -> tuple[str, ...]:
        """Return notes for the user about the scores."""
        return ()

    def draw_inputs(
        self, truth: np.ndarray, prediction: np.ndarray, inputs: Mapping[str, np.ndarray]
    ) -> Mapping[str, Any]:
        """Return figures of the errors by the most important inputs."""
        return {}


class ConformalRules(TargetRules):
    """The rules for targets with prediction sets or intervals."""

    @abstractmethod
    def nonconformity(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Return the nonconformity scores (N,) of decoded predictions, for conformal prediction."""

    @abstractmethod
    def intervals_at(self, output: np.ndarray, limit: Any, percent: float) -> pd.DataFrame:
        """Return prediction sets or intervals of an output, N rows, for a conformal quantile."""

    @abstractmethod
    def interval_metrics(
        self, truth: np.ndarray, prediction: np.ndarray, limit: Any, percent: float, weight: np.ndarray
    ) -> dict[str, float]:
        """Return coverage and size of prediction sets or intervals."""

    def intervals(self, output: Any, conformal_quantiles: ConformalQuantiles, percent: float) -> pd.DataFrame:
        """Return prediction sets or intervals of N rows at the given coverage in percent."""
        return self.intervals_at(output, look_up_quantile(conformal_quantiles, percent), percent)

    def interval_scores(
        self, rows: Split, output: Any, conformal_quantiles: ConformalQuantiles, percent: float = 90.0
    ) -> dict[str, float]:
        """Return coverage and size of the prediction sets or intervals of a split's rows."""
        return self._interval_scores(rows, output, conformal_quantiles, [percent])[0]

    def draw_intervals(self, rows: Split, output: Any, conformal_quantiles: ConformalQuantiles) -> Mapping[str, Any]:
        """Return figures of the coverage and size of a split's prediction sets or intervals by nominal coverage."""
        from zoo.figures.intervals import interval_coverage

        percents = [each for each in COVERAGES if np.isfinite(look_up_quantile(conformal_quantiles, each)).all()]
        scores = self._interval_scores(rows, output, conformal_quantiles, percents)
        if not scores:
            return {}
        by_percent = list(zip(percents, scores, strict=True))
        classes = self.spec.has_classes
        kind, size = ("set_size", "classes in a set") if classes else ("interval_width", "width")
        size = size if classes else f"{size} of {self.spec.target.name}"
        coverages = [values[f"conformal_coverage_{percent:g}"] for percent, values in by_percent]
        sizes = [values[f"conformal_{kind}_{percent:g}"] for percent, values in by_percent]
        return {"interval_coverage": interval_coverage(percents, coverages, sizes, n_rows=len(rows), size=size)}

    def _interval_scores(
        self, rows: Split, output: Any, conformal_quantiles: ConformalQuantiles, percents: Sequence[float]
    ) -> list[dict[str, float]]:
        prediction, truth = self.decode(output), self.truth_of(rows)
        weight = np.ones(len(rows)) if rows.weight is None else np.asarray(rows.weight)
        return [
            self.interval_metrics(truth, prediction, look_up_quantile(conformal_quantiles, percent), percent, weight)
            for percent in percents
        ]


class ClassRules(ConformalRules):
    """Classes, encoded as their index."""

    loss_words = ("crossentropy", "hinge", "kullback", "kl_div")

    def metrics(self) -> Sequence[Metric]:
        """Return the scores of class probabilities; log_loss comes first."""
        return create_class_metrics(
            len(self.spec.target.classes), self.spec.target.positive_index, self.spec.target.threshold
        )

    def output_width(self) -> int:
        """Return 1 for two classes, else the number of classes."""
        return len(self.spec.target.classes) if len(self.spec.target.classes) > 2 else 1

    def decode(self, output: np.ndarray) -> np.ndarray:
        """Return probabilities (N, K)."""
        output = np.asarray(output, np.float64)
        if output.shape[-1] == 1:
            return np.concatenate([1 - output, output], axis=-1)
        return output / output.sum(axis=-1, keepdims=True)

    def truth(self, target: np.ndarray) -> np.ndarray:
        """Return class indices (N,)."""
        return np.asarray(target, np.int64)

    def named_truth(self, target: np.ndarray) -> pd.DataFrame:
        """Return classes by name, N rows: ``truth``."""
        return pd.DataFrame({"truth": decode_classes(np.asarray(target), self.spec.target)})

    def decoding(self) -> dict[str, Any]:
        """Return the names of the classes and the rule that chooses the predicted class."""
        target = self.spec.target
        return {
            "kind": "classes",
            "of": "output",
            "classes": decode_classes(np.arange(len(target.classes)), target).tolist(),
            "names": list(target.classes),
            "threshold": target.threshold if len(target.classes) == 2 else None,
            "positive": target.positive_index,
        }

    def called(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the index of the predicted class (N,): the most probable one, or by the threshold."""
        return decide_classes(probabilities, self.spec.target.threshold, self.spec.target.positive_index)

    def nonconformity(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Return 1 minus the probability of the true class."""
        return score_classes(truth, prediction)

    def intervals_at(self, output: np.ndarray, limit: Any, percent: float) -> pd.DataFrame:
        """Return ``set_<percent>``: the classes of each prediction set as a JSON list, in class order."""
        names = decode_classes(np.arange(len(self.spec.target.classes)), self.spec.target)
        inside = predict_sets(self.decode(output), limit)
        sets = [json.dumps(names[row].tolist(), ensure_ascii=False) for row in inside]
        return pd.DataFrame({f"set_{percent:g}": sets})

    def interval_metrics(
        self, truth: np.ndarray, prediction: np.ndarray, limit: Any, percent: float, weight: np.ndarray
    ) -> dict[str, float]:
        """Return the coverage, overall and by class, and the size of prediction sets."""
        return measure_sets(truth, predict_sets(prediction, limit), self.spec.target.classes, percent, weight)

    def draw(self, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return confusion matrix, reliability, ROC and precision-recall; for two classes also cost by threshold."""
        from zoo.figures.classes import confusion_matrix, reliability
        from zoo.figures.thresholds import roc_and_precision_recall, threshold_cost

        target = self.spec.target
        figures = {
            "confusion_matrix": confusion_matrix(truth, self.called(prediction), target.classes),
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


class OrderedRules(ClassRules):
    """Classes in an order, from low to high; the predicted class is the median."""

    def metrics(self) -> Sequence[Metric]:
        """Return the scores of class probabilities, then those of ranks."""
        return create_ordered_metrics(len(self.spec.target.classes))

    def called(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the index of the predicted class (N,): the median."""
        return choose_median_class(probabilities)

    def decoding(self) -> dict[str, Any]:
        """Return the names of the classes, and that the predicted one is the median."""
        return {**super().decoding(), "ordered": True}


class NumberRules(ConformalRules):
    """A number, standardized by the mean and standard deviation of the training split."""

    loss_words = ("squared", "absolute", "huber", "cosh", "mse", "mae", "mape")

    def metrics(self) -> Sequence[Metric]:
        """Return rmse, mae and r2, in the target's units."""
        return create_number_metrics()

    def output_width(self) -> int:
        """Return 1."""
        return 1

    def decode(self, output: np.ndarray) -> np.ndarray:
        """Return numbers (N,) in the target's units; networks predict standardized ones."""
        return np.asarray(output, np.float64).reshape(len(output)) * self.spec.target.std + self.spec.target.mean

    def truth(self, target: np.ndarray) -> np.ndarray:
        """Return true numbers (N,) in the target's units."""
        return self.decode(target)

    def decoding(self) -> dict[str, Any]:
        """Return the mean and standard deviation that undo the standardization."""
        return {"kind": "number", "of": "output", "mean": self.spec.target.mean, "std": self.spec.target.std}

    def bounds(self, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and upper bound (N,) of a decoded prediction: the number itself, twice."""
        return prediction, prediction

    def nonconformity(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Return the distance of the truth from the interval between the prediction's bounds."""
        return score_bounds(truth, *self.bounds(prediction))

    def intervals_at(self, output: np.ndarray, limit: Any, percent: float) -> pd.DataFrame:
        """Return ``lower_<percent>`` and ``upper_<percent>``, in the target's units."""
        low, high = widen_bounds(*self.bounds(self.decode(output)), limit)
        return pd.DataFrame({f"lower_{percent:g}": low, f"upper_{percent:g}": high})

    def interval_metrics(
        self, truth: np.ndarray, prediction: np.ndarray, limit: Any, percent: float, weight: np.ndarray
    ) -> dict[str, float]:
        """Return coverage, width and interval score."""
        low, high = widen_bounds(*self.bounds(prediction), limit)
        return measure_intervals(truth, low, high, percent, weight)

    def draw(self, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return figures of predicted against true values, and of residuals."""
        from zoo.figures.numbers import predicted_against_true, residuals

        return {
            "predicted_against_true": predicted_against_true(truth, prediction, name=self.spec.target.name),
            "residuals": residuals(truth, prediction, name=self.spec.target.name),
        }

    def draw_inputs(
        self, truth: np.ndarray, prediction: np.ndarray, inputs: Mapping[str, np.ndarray]
    ) -> Mapping[str, Any]:
        """Return figures of the residuals by the most important inputs, if a single number is predicted."""
        from zoo.figures.numbers import residuals_by_input

        if prediction.shape != truth.shape:  # a user's own task may predict several numbers
            return {}
        return {"residuals_by_input": residuals_by_input(truth - prediction, inputs, name=self.spec.target.name)}


class QuantileRules(NumberRules):
    """Several quantiles of a number, predicted with the pinball loss (Koenker and Bassett 1978)."""

    def metrics(self) -> Sequence[Metric]:
        """Return pinball (first), interval score and coverage of the outermost quantiles, and the median's scores."""
        return create_quantile_metrics(self.spec.target.quantiles)

    def output_width(self) -> int:
        """Return the number of quantiles."""
        return len(self.spec.target.quantiles)

    def decode(self, output: np.ndarray) -> np.ndarray:
        """Return quantiles (N, Q) in the target's units, sorted so that they do not cross."""
        return np.sort(np.asarray(output, np.float64), axis=1) * self.spec.target.std + self.spec.target.mean

    def truth(self, target: np.ndarray) -> np.ndarray:
        """Return true numbers (N,) in the target's units."""
        return NumberRules.decode(self, target)

    def decoding(self) -> dict[str, Any]:
        """Return the levels of the quantiles, and the mean and standard deviation that undo the standardization."""
        levels = self.spec.target.quantiles
        rule = {"kind": "quantiles", "levels": list(levels), "middle": select_median(levels)}
        return {**super().decoding(), **rule}

    def bounds(self, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the outermost quantiles, which conformal prediction widens or narrows."""
        return prediction[:, 0], prediction[:, -1]

    def draw(self, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return the figures of the median."""
        return super().draw(truth, prediction[:, select_median(self.spec.target.quantiles)])

    def draw_inputs(
        self, truth: np.ndarray, prediction: np.ndarray, inputs: Mapping[str, np.ndarray]
    ) -> Mapping[str, Any]:
        """Return figures of the median's residuals by the most important inputs."""
        return super().draw_inputs(truth, prediction[:, select_median(self.spec.target.quantiles)], inputs)


class SeveralNumbersRules(TargetRules):
    """An array of numbers for each row: one target with a shape."""

    loss_words = NumberRules.loss_words

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.names = [str(index) for index in range(math.prod(spec.target.shape))]

    def metrics(self) -> Sequence[Metric]:
        """Return the means of rmse, mae and r2 over the standardized numbers."""
        return create_mean_metrics(np.full(len(self.names), self.spec.target.std))

    def output_width(self) -> int:
        """Return the number of numbers."""
        return len(self.names)

    def decode(self, output: np.ndarray) -> np.ndarray:
        """Return numbers (N, K) in the target's units; networks predict standardized ones."""
        values = np.asarray(output, np.float64).reshape(len(output), -1)
        return values * self.spec.target.std + self.spec.target.mean

    def truth(self, target: np.ndarray) -> np.ndarray:
        """Return true numbers (N, K) in the target's units."""
        return self.decode(target)

    def named_truth(self, target: np.ndarray) -> pd.DataFrame:
        """Return true numbers: ``truth_<index>`` of each."""
        return pd.DataFrame(self.truth(target), columns=[f"truth_{name}" for name in self.names])

    def decoding(self) -> dict[str, Any]:
        """Return the mean and standard deviation that undo the standardization."""
        columns, target = [f"prediction_{name}" for name in self.names], self.spec.target
        mean, std = [target.mean] * len(columns), [target.std] * len(columns)
        return {"kind": "numbers", "of": "output", "columns": columns, "mean": mean, "std": std}

    def draw(self, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return a figure of predicted against true values of each of the first numbers."""
        from zoo.figures.numbers import predicted_against_true

        return {
            f"predicted_against_true_{name}": predicted_against_true(truth[:, i], prediction[:, i], name=name)
            for i, name in enumerate(self.names[:MOST_DRAWN])
        }
