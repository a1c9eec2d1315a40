"""The loader that MLflow calls for a model of zoo: it lives in the installed package, not in the model's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from zoo.data.examples.array_columns import IMAGE
from zoo.errors import UsageError, ZooError
from zoo.saving.model import Model
from zoo.saving.model_folder import load_model


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
            check_no_paths(self.model, model_input)
            return self.model.predict(model_input, intervals=percent or None)
        except ZooError as error:  # the scoring server answers 400 with this text, and with a trace to any other
            raise MlflowException.invalid_parameter_value(str(error)) from None


def check_no_paths(model: Model, rows: Any) -> None:
    """Refuse images that are named by a path: who asks a server has no business with the files of its machine.

    Raises:
        UsageError: With the column.
    """
    for known in model.spec.of_kind(IMAGE):
        cells = rows[known.name] if isinstance(rows, (pd.DataFrame, Mapping)) and known.name in rows else ()
        if any(isinstance(cell, (str, bytes, Path)) for cell in cells):
            raise UsageError("an image is a list of lists of numbers here, and no path of a file", where=known.name)


def _load_pyfunc(path: str) -> PyfuncModel:
    """Load a model's folder; MLflow finds this function by its name."""
    return PyfuncModel(load_model(Path(path)))


def check_flavor(folder: Path) -> None:
    """Refuse a model's folder whose description asks MLflow to run something else than zoo's own loader.

    Args:
        folder: MLflow's folder of the model, with its file ``MLmodel``.

    Raises:
        UsageError: With what it asks for.
    """
    try:
        told = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
        flavor = told["flavors"]["python_function"]
        data = (folder / flavor["data"]).resolve()
        wrong = (
            f"its loader is {flavor['loader_module']}" if flavor["loader_module"] != __name__
            else f"it brings code: {flavor['code']}" if flavor.get("code")
            else f"its data lie outside of it: {flavor['data']}" if not data.is_relative_to(folder.resolve())
            else ""
        )  # fmt: skip
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        wrong = f"its MLmodel cannot be read: {error}"
    if wrong:
        raise UsageError(f"the model was not saved by zoo, or changed since: {wrong}", where=str(folder))
