"""What depends on the kind of target: scores, the width of an output, what it decodes to, predictions, figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.inputs import decode_classes
from zoo.scoring.classes import class_scores
from zoo.scoring.numbers import number_scores
from zoo.scoring.score import Score
from zoo.spec import Spec


class TargetRules(ABC):
    """The rules for one kind of target.

    ``loss_words`` are parts of the names of Keras losses that are for such targets.
    """

    loss_words: Sequence[str] = ()

    @abstractmethod
    def scores(self, spec: Spec) -> Sequence[Score]:
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

    @abstractmethod
    def predictions(self, spec: Spec, output: np.ndarray) -> pd.DataFrame:
        """Return what users see of an output: ``prediction`` of N rows and what else applies."""

    @abstractmethod
    def draw(self, spec: Spec, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return figures of one part, by name."""


class ClassRules(TargetRules):
    """Classes, encoded as their index."""

    loss_words = ("crossentropy", "hinge", "kullback", "kl_div")

    def scores(self, spec: Spec) -> Sequence[Score]:
        """Return the scores of class probabilities; log_loss comes first."""
        assert spec.target is not None
        return class_scores(len(spec.target.classes), spec.target.positive_index)

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

    def predictions(self, spec: Spec, output: np.ndarray) -> pd.DataFrame:
        """Return ``prediction`` and ``probability_<class>`` of N rows."""
        assert spec.target is not None
        probabilities = self.decode(spec, output)
        columns = {f"probability_{name}": probabilities[:, index] for index, name in enumerate(spec.target.classes)}
        return pd.DataFrame({"prediction": decode_classes(probabilities.argmax(axis=1), spec.target), **columns})

    def draw(self, spec: Spec, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return confusion matrix and reliability diagram."""
        from zoo.figures.classes import confusion_matrix, reliability

        assert spec.target is not None
        return {
            "confusion_matrix": confusion_matrix(truth, prediction.argmax(axis=1), spec.target.classes),
            "reliability": reliability(truth, prediction),
        }


class NumberRules(TargetRules):
    """A number, encoded by mean and standard deviation of the training part."""

    loss_words = ("squared", "absolute", "huber", "cosh", "mse", "mae", "mape")

    def scores(self, spec: Spec) -> Sequence[Score]:
        """Return rmse, mae and r2, in the target's own units."""
        return number_scores()

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

    def predictions(self, spec: Spec, output: np.ndarray) -> pd.DataFrame:
        """Return ``prediction`` of N rows."""
        return pd.DataFrame({"prediction": self.decode(spec, output)})

    def draw(self, spec: Spec, truth: np.ndarray, prediction: np.ndarray) -> Mapping[str, Any]:
        """Return predicted against true values, and residuals."""
        from zoo.figures.numbers import predicted_against_true, residuals

        assert spec.target is not None
        return {
            "predicted_against_true": predicted_against_true(truth, prediction, name=spec.target.name),
            "residuals": residuals(truth, prediction, name=spec.target.name),
        }


RULES: dict[str, TargetRules] = {"class": ClassRules(), "number": NumberRules()}
