"""Classification: rows of a table belong to one of two or more classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.inputs import decode_classes
from zoo.scoring.classes import class_scores
from zoo.scoring.score import Score
from zoo.spec import Spec
from zoo.training.supervised import SupervisedTask

from ._rivals import rivals


class Classification(SupervisedTask):
    """Classes from the columns of a table."""

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


TASK = Classification(
    "classification",
    example="iris",
    target_kind="class",
    estimators=rivals,
    loss_words=("crossentropy", "hinge", "kullback", "kl_div"),
)
