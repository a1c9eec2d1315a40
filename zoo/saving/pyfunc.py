"""The loader that MLflow calls for a model of zoo: it lives in the installed package, not in the model's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from zoo.errors import ZooError
from zoo.saving.folder import load_model
from zoo.saving.model import Model


class PyfuncModel:
    """What ``mlflow.pyfunc.load_model(…).predict`` talks to."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def get_raw_model(self) -> Model:
        """Return the model itself: MLflow's own name for it."""
        return self.model

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return predictions for raw rows, as ``zoo predict`` does.

        Args:
            model_input: A frame of raw rows.
            params: ``intervals``, such as 90: of how many rows in a hundred the truth shall lie in the set or
                interval that is predicted; 0 for none.
        """
        from mlflow.exceptions import MlflowException

        percent = float((params or {}).get("intervals") or 0)
        try:
            return self.model.predict(model_input, intervals=percent or None)
        except ZooError as error:  # the scoring server answers 400 with this text, and with a trace to any other
            raise MlflowException.invalid_parameter_value(str(error)) from None


def _load_pyfunc(path: str) -> PyfuncModel:
    """Load a model's folder; MLflow finds this function by its name."""
    return PyfuncModel(load_model(Path(path)))
