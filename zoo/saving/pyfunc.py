"""The loader that MLflow calls for a model of zoo; it is in the installed package, not in the model's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from zoo.errors import UsageError, ZooError, join_first
from zoo.spec import ImageInput

if TYPE_CHECKING:  # it imports Keras, which checking a model's files does not need
    from zoo.saving.model import Model


class PyfuncModel:
    """The wrapper behind ``mlflow.pyfunc.load_model(…).predict``."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def get_raw_model(self) -> Model:
        """Return the model itself; MLflow defines this name."""
        return self.model

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return predictions for raw rows, as ``zoo predict`` does.

        Args:
            model_input: A frame of raw rows.
            params: ``intervals``: coverage in per cent of the prediction sets or intervals, such as 90; 0 for none.
                Others are the task's own options of prediction.
        """
        from mlflow.exceptions import MlflowException

        options = {name: value for name, value in (params or {}).items() if value is not None}
        percent = float(options.pop("intervals", 0))
        try:
            check_no_paths(self.model, model_input)
            self._check_columns(model_input)
            return self.model.predict(model_input, intervals=percent or None, **options)
        except (
            ZooError
        ) as error:  # the scoring server answers 400 with this text; for other errors it shows a traceback
            raise MlflowException.invalid_parameter_value(str(error)) from None

    def _check_columns(self, rows: Any) -> None:
        """Refuse rows without a column: MLflow, which adds the rows that it received, drops all the model lacks."""
        if isinstance(rows, pd.DataFrame) and rows.columns.empty:
            names = join_first([input_.name for input_ in self.model.spec.inputs])
            raise UsageError(f"the rows have no column that the model needs; it needs {names}")


def check_no_paths(model: Model, rows: Any) -> None:
    """Refuse images given by path: a client of a server must not read files of its machine.

    Raises:
        UsageError: With the column.
    """
    for input_ in model.spec.of_kind(ImageInput):
        cells = rows[input_.name] if isinstance(rows, (pd.DataFrame, Mapping)) and input_.name in rows else ()
        if any(isinstance(cell, (str, bytes, Path)) for cell in cells):
            raise UsageError(
                "an image must be a list of lists of numbers here, not the path of a file", where=input_.name
            )


def _load_pyfunc(path: str) -> PyfuncModel:
    """Load a model's folder; MLflow calls this function by its name."""
    from zoo.saving.model_folder import load_model

    return PyfuncModel(load_model(Path(path)))


def check_flavor(folder: Path) -> None:
    """Refuse a model whose ``MLmodel`` tells MLflow to run anything else than zoo's own loader.

    Args:
        folder: MLflow's folder of the model, with its file ``MLmodel``.

    Raises:
        UsageError: With what it would run.
    """
    try:
        description = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
        flavor = description["flavors"]["python_function"]
        data = (folder / flavor["data"]).resolve()
        problem = (
            f"its loader is {flavor['loader_module']}" if flavor["loader_module"] != __name__
            else f"it contains code: {flavor['code']}" if flavor.get("code")
            else f"its data are outside its folder: {flavor['data']}" if not data.is_relative_to(folder.resolve())
            else ""
        )  # fmt: skip
    except (OSError, yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        problem = f"its MLmodel cannot be read: {error}"
    if problem:
        raise UsageError(f"the model was not saved by zoo, or was changed since: {problem}", where=str(folder))
