"""Regression: a number is predicted from the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from zoo.scoring.numbers import number_scores
from zoo.scoring.score import Score
from zoo.spec import Spec
from zoo.training.supervised import SupervisedTask

from ._rivals import rivals


class Regression(SupervisedTask):
    """A number from the columns of a table."""

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


TASK = Regression(
    "regression",
    example="diabetes",
    target_kind="number",
    estimators=rivals,
    loss_words=("squared", "absolute", "huber", "cosh", "mse", "mae", "mape"),
)
